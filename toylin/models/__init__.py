"""Models: the deep linear one, networks, and linear layers added to any of them."""

from toylin.models._added_layers import add_linear_layers
from toylin.models._deep_linear import MAX_DEPTH, DeepLinear
from toylin.models._linear import (
    Params,
    Scalar,
    check_params,
    end_to_end,
    init,
    is_scalar,
    predict,
    products_above,
    products_below,
)
from toylin.models._linnet import LinNet
from toylin.models._networks import MLP, Convolutional
from toylin.models._protocol import Model

__all__ = [
    "MAX_DEPTH",
    "MLP",
    "Convolutional",
    "DeepLinear",
    "LinNet",
    "Model",
    "Params",
    "Scalar",
    "add_linear_layers",
    "check_params",
    "end_to_end",
    "init",
    "is_scalar",
    "predict",
    "products_above",
    "products_below",
]
