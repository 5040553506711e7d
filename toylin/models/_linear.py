"""The deep linear model f(x) = W_L ... W_1 x, its parameters and its end-to-end matrix."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from itertools import pairwise
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin._internal import checks
from toylin._internal.dtypes import float_dtype
from toylin._internal.shapes import Array, Float, PRNGKeyArray

Params: TypeAlias = tuple[Array, ...]
Scalar: TypeAlias = float | Array


def init(
    key: PRNGKeyArray, widths: Sequence[int], scale: Scalar = 1.0, dtype: DTypeLike | None = None
) -> Params:
    """Random parameters of a deep linear model without biases.

    Entries of W_l are drawn from N(0, scale² / d_{l-1}), so that with ``scale=1`` the variance of
    each layer's output is that of its input.

    Args:
        key: a JAX random key.
        widths: (d_0, d_1, ..., d_L), input width first; the depth is L = len(widths) - 1.
        scale: standard deviation of an entry times the square root of its layer's input width.
        dtype: of the entries; JAX's default float type if None.

    Returns:
        The tuple (W_1, ..., W_L), W_l of shape (d_l, d_{l-1}).

    Raises:
        ValueError: no key, fewer than two widths, a width that is no positive integer, or a bad
            scale.

    >>> params = init(jax.random.key(0), widths=(3, 4, 1))
    >>> [w.shape for w in params]
    [(4, 3), (1, 4)]
    """
    if not isinstance(widths, Sequence | np.ndarray):
        raise ValueError(f"widths must be a sequence of integers (d_0, ..., d_L), got {widths!r}")
    widths = tuple(widths)
    if len(widths) < 2:
        raise ValueError(f"widths must name an input and an output width at least, got {widths}")
    for width in widths:
        checks.integer("every entry of widths", width, minimum=1)
    checks.key("key", key)
    checks.scalar("scale", scale, minimum=0.0)
    shapes = list(pairwise(widths))
    numbers = _normal_rows(key, len(shapes), max(a * b for a, b in shapes), float_dtype(dtype))
    return tuple(
        row[: fan_in * fan_out].reshape(fan_out, fan_in) * (scale / fan_in**0.5)
        for row, (fan_in, fan_out) in zip(numbers, shapes, strict=True)
    )


@partial(jax.jit, static_argnums=(1, 2, 3))
def _normal_rows(key: PRNGKeyArray, rows: int, size: int, dtype: np.dtype) -> Array:
    """A key a row: a layer's first numbers do not depend on the others."""
    return jax.vmap(lambda k: jax.random.normal(k, (size,), dtype))(jax.random.split(key, rows))


def check_params(params: Params, dim: int | None = None, outputs: int | None = 1) -> None:
    """Raise a ValueError unless ``params`` is a chain of float matrices, one above the other.

    Args:
        params: what should be (W_1, ..., W_L).
        dim: the inputs that W_1 must take; None accepts any number.
        outputs: the outputs that W_L must give; None accepts any number.
    """
    if not isinstance(params, tuple | list) or not params:
        raise ValueError(
            f"params must be a tuple of matrices (W_1, ..., W_L), got {type(params).__name__}"
        )
    if not all(hasattr(w, "shape") for w in params):
        raise ValueError(f"params must be arrays of floats, a matrix a layer, got {params!r}")
    checks.float_leaves("params", tuple(params))
    shapes = [np.shape(w) for w in params]
    if any(len(s) != 2 for s in shapes):
        raise ValueError(f"params must be matrices, W_l of shape (d_l, d_l-1), got shapes {shapes}")
    if any(0 in s for s in shapes):
        raise ValueError(f"params must be matrices with entries, got shapes {shapes}")
    for layer, (below, above) in enumerate(pairwise(shapes), start=1):
        if above[1] != below[0]:
            raise ValueError(
                f"widths of params do not chain: W_{layer} has shape {below} and gives {below[0]} "
                f"outputs, but W_{layer + 1} has shape {above} and takes {above[1]} inputs"
            )
    if dim is not None and shapes[0][1] != dim:
        raise ValueError(
            f"dimensions disagree: the data have dim={dim} inputs, "
            f"but W_1 has shape {shapes[0]} and takes {shapes[0][1]}"
        )
    if outputs is not None and shapes[-1][0] != outputs:
        wanted = "one output" if outputs == 1 else f"{outputs} outputs"
        raise ValueError(f"params must end in {wanted}, but W_{len(shapes)} is {shapes[-1]}")


def end_to_end(params: Params) -> Float[Array, "outputs inputs"]:
    """The matrix W = W_L ... W_1 that the model computes.

    Args:
        params: (W_1, ..., W_L), W_l of shape (d_l, d_{l-1}).

    Raises:
        ValueError: ``params`` do not chain, or are no arrays of one float type.

    >>> print(end_to_end((jnp.ones((3, 2)), jnp.ones((1, 3)))))
    [[3. 3.]]
    """
    check_params(params, outputs=None)
    return reduce(lambda below, above: above @ below, params)


def predict(
    params: Params, x: Float[Array, "*points inputs"]
) -> Float[Array, "*points"] | Float[Array, "*points outputs"]:
    """The deep linear model, f(x) = W_L ... W_1 x for each row of ``x``: the default model.

    One output (W_L has one row) is a number a point, several are a row a point.

    Args:
        params: (W_1, ..., W_L), W_l of shape (d_l, d_{l-1}).
        x: inputs, shape (..., d_0).

    Raises:
        ValueError: ``params`` do not chain, or ``x`` has another last axis than they take.
    """
    w = end_to_end(params)
    shape = checks.real("x", x)
    if shape[-1:] != w.shape[1:]:
        raise ValueError(f"x must have shape (..., {w.shape[1]}) for these params, got {shape}")
    return x @ w[0] if w.shape[0] == 1 else x @ w.T


def is_scalar(params: Params) -> bool:
    """Whether every layer is 1 x 1, so that the model is a product of numbers."""
    return all(np.shape(w) == (1, 1) for w in params)


def products_below(params: Params) -> list[Array]:
    """[B_1, ..., B_L, W]: the products of the layers under each, and of all."""
    products = [jnp.eye(params[0].shape[1], dtype=params[0].dtype)]
    for w in params:
        products.append(w @ products[-1])
    return products


def products_above(params: Params) -> list[Array]:
    """[A_1, ..., A_L]: the products of the layers above each."""
    products = [jnp.eye(params[-1].shape[0], dtype=params[-1].dtype)]
    for w in params[:0:-1]:
        products.append(products[-1] @ w)
    return products[::-1]
