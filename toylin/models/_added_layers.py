"""Linear layers put into deep linear parameters; they compute, and can compute, what they did."""

from __future__ import annotations

import jax.numpy as jnp

from toylin._internal import checks
from toylin.models._linear import Params, check_params


def add_linear_layers(params: Params, num_layers: int, position: int = 0) -> Params:
    """Put identity layers into a model, of the width that it has there.

    The function computed is the same at the start, and a square factor adds no capacity, in
    regression as in logistic regression: only the gradients change. At the input (``position=0``)
    the layers are d x d and act as a learned preconditioner of what is above; on top
    (``position=L``) they are as wide as there are outputs, numbers for one. For other models see
    ``LinNet``.

    Args:
        params: (W_1, ..., W_L), W_l of shape (d_l, d_{l-1}).
        num_layers: how many layers to add, at least 0.
        position: above which layer: 0 for the input, L for the output.

    Returns:
        The L + ``num_layers`` matrices of the new model.

    Raises:
        ValueError: ``params`` do not chain, or a bad number or position.

    Source: Arnold, Iqbal and Sha, "When MAML Can Adapt Fast and How to Assist When It Cannot",
    AISTATS 2021.

    >>> shallow = (jnp.array([[1.0, 2.0]]),)
    >>> [w.shape for w in add_linear_layers(shallow, num_layers=2)]
    [(2, 2), (2, 2), (1, 2)]
    """
    check_params(params, outputs=None)
    checks.integer("num_layers", num_layers, minimum=0)
    checks.integer("position", position, minimum=0)
    if position > len(params):
        raise ValueError(
            f"position must be at most {len(params)}, the number of layers, got {position}"
        )
    below, above = tuple(params[:position]), tuple(params[position:])
    width = above[0].shape[1] if above else below[-1].shape[0]
    return (*below, *[jnp.eye(width, dtype=params[0].dtype)] * num_layers, *above)
