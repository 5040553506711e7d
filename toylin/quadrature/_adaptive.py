"""Integrals over rectangles by adaptive bisection, certified in each direction, inside ``jit``.

A rectangle is integrated by the tensor product of the 21-point Kronrod rule; putting in its place,
in one direction, the Gauss rule of ten of its points gives the error of that direction. The
rectangle with the largest error is halved across it, until the errors sum to the tolerance. As the
Gauss rule is the poorer by ten orders of the polynomials, the result is better than its bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.shapes import Array, Bool, Float, Int

# Piessens et al., QUADPACK (1983): nodes >= 0 from the largest; every second is one of Gauss's.
_NODES = np.array(
    [0.995657163025808080735527280689003, 0.973906528517171720077964012084452]
    + [0.930157491355708226001207180059508, 0.865063366688984510732096688423493]
    + [0.780817726586416897063717578345042, 0.679409568299024406234327365114874]
    + [0.562757134668604683339000099272694, 0.433395394129247190799265943165784]
    + [0.294392862701460198131126603103866, 0.148874338981631210884826001129720, 0.0]
)
_KRONROD = np.array(
    [0.011694638867371874278064396062192, 0.032558162307964727478818972459390]
    + [0.054755896574351996031381300244580, 0.075039674810919952767043140916190]
    + [0.093125454583697605535065465083366, 0.109387158802297641899210590325805]
    + [0.123491976262065851077958109585166, 0.134709217311473325928054001771707]
    + [0.142775938577060080797094273138717, 0.147739104901338491374841515972068]
    + [0.149445554002916905664936468389821]
)
_GAUSS = np.array(
    [0.0, 0.066671344308688137593568809893332, 0.0, 0.149451349150580593145863397657697]
    + [0.0, 0.219086362515982043995534934228163, 0.0, 0.269266719309996355091226921569469]
    + [0.0, 0.295524224714752870173815619188769, 0.0]
)
NODES = np.concatenate([-_NODES, _NODES[-2::-1]])
KRONROD, GAUSS = (np.concatenate([w, w[-2::-1]]) for w in (_KRONROD, _GAUSS))


Function: TypeAlias = Callable[[Array, Array], tuple[Array, Array]]


class Integral(NamedTuple):
    """The value, a bound of its error relative to the integral of sizes, the rectangles used."""

    value: Float[Array, "*outputs"]
    error: Float[Array, ""]
    rectangles: Int[Array, ""]


class _State(NamedTuple):
    corners: Float[Array, "rectangles 4"]  # from, to in x; from, to in y
    pending: Bool[Array, " rectangles"]
    values: Float[Array, "rectangles ..."]
    sizes: Float[Array, "rectangles ..."]
    errors: Float[Array, "rectangles 2 ..."]  # in x, in y
    count: Int[Array, ""]  # type: ignore[assignment]  # hides tuple.count


def integrate(
    function: Function,
    x_edges: Float[Array, " x"],
    y_edges: Float[Array, " y"],
    tolerance: float,
    max_rectangles: int,
) -> Integral:
    """The integral of ``function`` over a rectangle, to a tolerance relative to that of its sizes.

    One program of bounded memory, whatever the number of rectangles; it does not differentiate:
    integrate the derivative. Where ``max_rectangles`` do not suffice ``error`` exceeds
    ``tolerance``; where the function is not finite it is NaN.

    Args:
        function: of nodes x and y, each of shape (21,), to values and their sizes at the grid, both
            (21, 21, *outputs). A size is |value|, or that of the terms that a value sums.
        x_edges: where the rectangles begin and end at first, at least two.
        y_edges: likewise.
        tolerance: of the sum of the errors of all rectangles, in both directions.
        max_rectangles: how many there can be.
    """
    start = _start(function, x_edges, y_edges, max_rectangles)

    def go_on(state: _State) -> Array:
        error = _total_error(state)
        unsure = (error > tolerance) & (state.count < max_rectangles)
        return (jnp.any(state.pending) | unsure) & jnp.isfinite(error)

    end = jax.lax.while_loop(go_on, lambda state: _refine(function, state), start)
    error = _total_error(end)
    return Integral(
        jnp.sum(end.values, 0), jnp.where(jnp.isfinite(error), error, jnp.nan), end.count
    )


def _start(function: Function, x_edges: Array, y_edges: Array, size: int) -> _State:
    x, y = (jnp.stack([edges[:-1], edges[1:]], 1) for edges in (x_edges, y_edges))
    count = len(x) * len(y)
    corners = jnp.concatenate([jnp.repeat(x, len(y), 0), jnp.tile(y, (len(x), 1))], 1)
    nodes = jnp.zeros(len(NODES), x.dtype)
    outputs = jax.eval_shape(function, nodes, nodes)[0].shape[2:]
    zeros = jnp.zeros((size, *outputs), x.dtype)
    return _State(
        corners=jnp.zeros((size, 4), x.dtype).at[:count].set(corners),
        pending=jnp.arange(size) < count,
        values=zeros,
        sizes=zeros,
        errors=jnp.stack([zeros, zeros], 1),
        count=jnp.asarray(count),
    )


def _relative(state: _State) -> Float[Array, "rectangles 2"]:
    """Every rectangle's errors in x and y, relative to the sizes, the worst output's."""
    total = jnp.sum(state.sizes, 0)
    relative = jnp.where(total > 0, state.errors / jnp.where(total > 0, total, 1.0), state.errors)
    return jnp.max(relative.reshape(*relative.shape[:2], -1), -1)


def _total_error(state: _State) -> Float[Array, ""]:
    return jnp.sum(_relative(state))


def _refine(function: Function, state: _State) -> _State:
    """Evaluate a pending rectangle; or halve the worst, evaluate one half and leave the other."""
    relative = _relative(state)
    i = jnp.argmax(jnp.where(state.pending, jnp.inf, jnp.max(relative, 1)))
    split = ~state.pending[i]
    x0, x1, y0, y1 = state.corners[i]
    in_x = relative[i, 0] >= relative[i, 1]
    x, y = jnp.where(in_x, (x0 + x1) / 2, x1), jnp.where(in_x, y1, (y0 + y1) / 2)
    left = jnp.where(split, jnp.stack([x0, x, y0, y]), state.corners[i])
    right = jnp.stack([jnp.where(in_x, x, x0), x1, jnp.where(in_x, y0, y), y1])
    value, size, errors = _evaluate(function, left)
    new = jnp.where(split, state.count, i)
    return _State(
        corners=state.corners.at[new].set(right).at[i].set(left),
        pending=state.pending.at[new].set(split).at[i].set(False),
        values=state.values.at[i].set(value),
        sizes=state.sizes.at[i].set(size),
        errors=state.errors.at[i].set(errors),
        count=state.count + split,
    )


def _evaluate(function: Function, corners: Float[Array, 4]) -> tuple[Array, Array, Array]:
    """The integrals of values and sizes over a rectangle, and the errors in x and y."""
    nodes, kronrod, gauss = (jnp.asarray(a, corners.dtype) for a in (NODES, KRONROD, GAUSS))
    x0, x1, y0, y1 = corners
    values, sizes = function(
        (x0 + x1) / 2 + (x1 - x0) / 2 * nodes, (y0 + y1) / 2 + (y1 - y0) / 2 * nodes
    )

    def total(x_weight: Array, y_weight: Array, values: Array) -> Array:
        return (x1 - x0) / 2 * (y1 - y0) / 2 * jnp.einsum("x,y,xy...", x_weight, y_weight, values)

    errors = total(kronrod - gauss, kronrod, values), total(kronrod, kronrod - gauss, values)
    return (
        total(kronrod, kronrod, values),
        total(kronrod, kronrod, sizes),
        jnp.abs(jnp.stack(errors)),
    )
