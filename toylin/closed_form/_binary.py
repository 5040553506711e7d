"""Binary classification in the population: the outer loss and its gradient, as integrals.

Served where gradients of the first layer u lie in the span of u and the class mean: x_cov a number,
and layers of width one above the input. The loss is then an even function of |u|, which is smooth,
and so are all its derivatives in u; those of |u| itself are not at 0. They are written out here.
"""

from __future__ import annotations

from functools import partial

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
    length = jnp.sqrt(jnp.sum(scaled**2))
    zero = length == 0
    first = jnp.zeros_like(u).at[0].set(1.0)
    return length / power, jnp.where(zero, first, scaled / jnp.where(zero, 1.0, length))


def _entries(length: Array, rest: Array) -> Float[Array, " entries"]:
    return jnp.concatenate([length[None], rest])


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
def _expected(problem: Problem, order: int, x: Float[Array, " entries"]) -> Array:
    return _integral(problem, order, x)


@_expected.defjvp
def _expected_jvp(
    problem: Problem, order: int, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    """The derivative of an integral is the integral of the derivative."""
    value = _expected(problem, order, *primals)
    return value, _expected(problem, order + 1, *primals) @ tangents[0]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _loss(problem: Problem, u: Float[Array, " dim"], rest: Float[Array, " rest"]) -> Array:
    return _expected(problem, 0, _entries(_polar(u)[0], rest))


@_loss.defjvp
def _loss_jvp(
    problem: Problem, primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    in_u, in_rest = _field(problem, 1, *primals)
    return _loss(problem, *primals), in_u @ tangents[0] + in_rest @ tangents[1]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _field(
    problem: Problem, order: int, u: Float[Array, " dim"], rest: Float[Array, " rest"]
) -> tuple[Float[Array, " dim"], Array]:
    """A gradient, from that in |u| and all else: g(|u|) u / |u| with g odd, and the others."""
    length, direction = _polar(u)
    gradient = _expected(problem, order, _entries(length, rest))
    return gradient[0] * direction, gradient[1:]


@_field.defjvp
def _field_jvp(
    problem: Problem,
    order: int,
    primals: tuple[Array, Array],
    tangents: tuple[Array, Array],
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Along u the derivative of g, across it g / |u|, at 0 again the derivative of g."""
    (u, rest), (d_u, d_rest) = primals, tangents
    length, direction = _polar(u)
    x = _entries(length, rest)
    gradient, hessian = (_expected(problem, order + k, x) for k in (0, 1))
    along = direction @ d_u
    change = hessian @ _entries(along, d_rest)
    # Rounding makes g / |u| wrong by eps / |u|, and the derivative of g differs by |u|² only.
    near = length * _rate(rest, len(u)) < float(jnp.finfo(u.dtype).eps) ** (1 / 3)
    near |= length == 0
    across = jnp.where(near, hessian[0, 0], gradient[0] / jnp.where(near, 1.0, length))
    d_field = change[0] * direction + across * (d_u - along * direction)
    return (gradient[0] * direction, gradient[1:]), (d_field, change[1:])


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
    return _loss(*_split(params, tasks, rule, loss_on))


def outer_value_and_grad(
    params: Params, tasks: BinaryClassification, rule: MAML, on_batch: OnBatch
) -> tuple[Float[Array, ""], Params]:
    """``outer_loss`` and its gradient. By symmetry, that of the first layer lies along it."""
    problem, u, rest = _split(params, tasks, rule, on_batch)
    first, (*others, value) = _field(problem, 0, u, rest)
    return value, (first[None], *(w.reshape(1, 1) for w in others))
