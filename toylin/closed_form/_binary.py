"""Binary classification in the population: the outer loss and its gradient, as integrals.

Served where gradients of the first layer u lie in the span of u and the class mean: x_cov a number,
and layers of width one above the input. The loss is then an even function of |u|, which is smooth,
and so are all its derivatives in u; those of |u| itself are not at 0. They are written out here.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.norms import in_range
from toylin._internal.shapes import Array, Float
from toylin.closed_form._binary_integral import (
    MAX_RECTANGLES,
    OnBatch,
    Problem,
    expectation,
    tolerance,
)
from toylin.models import Params
from toylin.rules import MAML
from toylin.tasks import BinaryClassification


def _split(
    params: Params, tasks: BinaryClassification, rule: MAML, on_batch: OnBatch
) -> tuple[Problem, Float[Array, " dim"], Float[Array, " rest"]]:
    """The problem, its first layer, and the vector of all else that it depends on."""
    rest = [*(w[0, 0] for w in params[1:]), tasks.mean_std, tasks.x_cov, rule.step_size]
    dtype = params[0].dtype
    problem = Problem(on_batch, tasks.dim, rule.steps, rule.first_order)
    return problem, params[0][0], jnp.stack([jnp.asarray(a, dtype) for a in rest])


def _polar(u: Float[Array, " dim"]) -> tuple[Float[Array, ""], Float[Array, " dim"]]:
    """The length of u without overflow, and its direction; at 0 that of the first axis."""
    scaled, power = in_range(u)
    square = jnp.sum(scaled**2)
    zero = square == 0
    length = jnp.sqrt(jnp.where(zero, 1.0, square))  # with a derivative
    first = jnp.zeros_like(u).at[0].set(1.0)
    return jnp.where(zero, 0, length) / power, jnp.where(zero, first, scaled / length)


def _integral(problem: Problem, order: int, x: Float[Array, " entries"]) -> Array:
    """The expectation, or its derivative, certified: an error, or NaN where values are not known.

    A loss that leaves the range of floats is ``inf``.
    """
    value, error, _ = expectation(problem, order, x)
    bound = tolerance(x.dtype)
    overflow = ~jnp.all(jnp.isfinite(value)) & jnp.all(jnp.isfinite(x))
    if not isinstance(error, jax.core.Tracer) and not np.isnan(x).any():
        _refuse(np.asarray(x), float(error), bound, bool(overflow) and value.ndim > 0)
    value = jnp.where(error <= bound, value, jnp.nan)
    return jnp.where(overflow, jnp.inf, value) if value.ndim == 0 else value


def _refuse(x: np.ndarray, error: float, bound: float, overflow: bool) -> None:
    if overflow:
        problem = "the gradient leaves the range of floats"
    elif error > bound:
        problem = (
            f"the quadrature has not converged to {bound:g}: its error may be {error:.1g} with "
            f"{MAX_RECTANGLES} rectangles"
        )
    else:
        return
    length, *weights, mean_std, cov, step_size = x.tolist()
    raise ValueError(
        f"{problem} at mean_std={mean_std!r}, x_cov={cov!r}, step_size={step_size!r}, "
        f"|W_1|={length:g} and weights {weights} above; "
        "toylin.estimate(params, tasks, rule, key, num_tasks) serves it"
    )


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _parts(
    problem: Problem, order: int, u: Float[Array, " dim"], rest: Float[Array, " rest"]
) -> dict[tuple[bool, ...], Array]:
    """An expectation's entries, by which of its axes are about |u|; the others about all else.

    They are even functions of |u| for an even number of such axes, else odd: those come times
    u / |u|, as vectors. So all are smooth in u.
    """
    length, direction = _polar(u)
    value = _integral(problem, order, jnp.concatenate([length[None], rest]))
    parts = {}
    for about_u in product((True, False), repeat=value.ndim):
        part = value[tuple(0 if axis else slice(1, None) for axis in about_u)]
        parts[about_u] = part[..., None] * direction if sum(about_u) % 2 else part
    return parts


@_parts.defjvp
def _parts_jvp(
    problem: Problem,
    order: int,
    primals: tuple[Array, Array],
    tangents: tuple[Array, Array],
) -> tuple[dict[tuple[bool, ...], Array], dict[tuple[bool, ...], Array]]:
    """Of g(|u|) u / |u|: along u the derivative of g, across it g / |u|, at 0 again the former."""
    (u, rest), (d_u, d_rest) = primals, tangents
    parts, slopes = (_parts(problem, order + k, *primals) for k in (0, 1))
    length, direction = _polar(u)
    along = direction @ d_u
    # Rounding makes g / |u| wrong by eps / |u|, and the derivative of g differs by |u|² only.
    near = length * _rate(rest, len(u)) < float(jnp.finfo(u.dtype).eps) ** (1 / 3)
    near |= length == 0
    changes = {}
    for about_u, part in parts.items():
        in_u, in_rest = slopes[*about_u, True], slopes[*about_u, False]
        if sum(about_u) % 2:
            across = jnp.where(near, in_u, part @ direction / jnp.where(near, 1.0, length))
            turned = across[..., None] * d_u + ((in_u - across) * along)[..., None] * direction
            changes[about_u] = turned + d_rest @ in_rest
        else:
            changes[about_u] = in_u @ d_u + in_rest @ d_rest
    return parts, changes


def _rate(rest: Float[Array, " rest"], dim: int) -> Array:
    """About how much logits, before and after a step, change with |u|, of whatever sign.

    They are u'x times the product p of the weights above, which a step moves by ``moved`` |u|:
    where p is zero, logits after it still grow like the square of |u|.
    """
    weights, (mean_std, x_cov, step_size) = rest[:-3], rest[-3:]
    spread = jnp.abs(mean_std) * dim**0.5 + jnp.sqrt(x_cov)
    others = jnp.prod(jnp.where(jnp.eye(len(weights), dtype=bool), 1.0, weights), axis=1)
    moved = jnp.abs(step_size) * jnp.sum(others**2)
    growth = 1 + jnp.abs(step_size) * moved * spread**2
    return spread * jnp.hypot(jnp.prod(weights) * growth, jnp.sqrt(moved))


def outer_loss(
    params: Params, tasks: BinaryClassification, rule: MAML, loss_on: OnBatch
) -> Float[Array, ""]:
    """The expected query loss after adaptation, to a relative 1e-10 (in single precision 1e-5).

    The accuracy is certified, in either direction of the quadrature, and so is that of every
    derivative, relative to the expectation of its absolute value. Derivatives of every order hold,
    at a first layer of zero those of order up to three.

    Raises:
        ValueError: the quadrature has not converged, or a derivative leaves the range of floats
            (the loss is then ``inf``). Under ``jit`` and ``vmap``, where values are not known, the
            result is NaN instead.
    """
    problem, u, rest = _split(params, tasks, rule, loss_on)
    return _parts(problem, 0, u, rest)[()]


def outer_value_and_grad(
    params: Params, tasks: BinaryClassification, rule: MAML, on_batch: OnBatch
) -> tuple[Float[Array, ""], Params]:
    """``outer_loss`` and its gradient. By symmetry, that of the first layer lies along it."""
    problem, u, rest = _split(params, tasks, rule, on_batch)
    parts = _parts(problem, 0, u, rest)
    first, (*others, value) = parts[(True,)], parts[(False,)]
    return value, (first[None], *(w.reshape(1, 1) for w in others))
