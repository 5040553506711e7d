"""Proximal: adaptation to the minimum of the support loss with a pull to the start (ridge)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from toylin._internal import checks
from toylin._internal.errors import NoClosedFormError
from toylin._internal.loops import repeat
from toylin._internal.norms import norm
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array
from toylin._internal.solving import solve
from toylin.models import Params
from toylin.rules._base import Loss, Rule, check_step

Field = Callable[[Array], Array]


@pytree_dataclass
class Proximal(Rule):
    """No descent: what adapts goes to argmin_v loss(v) + strength/2 |v - start|².

    On squared errors and what enters them linearly, the shallow model or the head of a deep one
    (``ANIL(rule=Proximal(0.1))``), it is ridge regression towards the start, exactly:
    v = (S + strength I)^-1 (S t + strength start), S the second moment of the inputs and t a least
    squares estimate. Newton's method solves for it, in one iteration there, to the rounding of the
    larger of start and solution (a second iteration gives all digits of a solution that is much the
    smaller); other losses, such as the logistic one, take several. Outer gradients go through the
    solution.

    Args:
        strength: lambda, a positive number, a leaf. Towards infinity nothing adapts; towards zero
            the support is fitted.
        iterations: Newton's, at least 1. **Where they have not converged the result is NaN.**

    Raises:
        ValueError: a strength that is no positive number, or a bad number of iterations.

    Source: the inner problem of Rajeswaran, Finn, Kakade and Levine, "Meta-Learning with Implicit
    Gradients", NeurIPS 2019, and of Bai et al., "How Important is the Train-Validation Split in
    Meta-Learning?", ICML 2021.

    >>> import toylin as tl
    >>> task = tl.LinearRegression().population(jnp.array([3.0]))
    >>> print(tl.autodiff.adapt((jnp.zeros((1, 1)),), task, tl.Proximal(0.5))[0].item())
    2.0
    """

    steps: ClassVar[int] = 1  # type: ignore[misc]
    first_order: ClassVar[bool] = False  # type: ignore[misc]

    strength: float | jax.Array
    iterations: int = static_field(default=1)

    def __post_init__(self) -> None:
        checks.positive("strength", self.strength)
        checks.integer("iterations", self.iterations, minimum=1)

    @property
    def affine(self) -> bool:
        return True

    def update(self, grads: Params) -> Params:
        raise NoClosedFormError(
            "Proximal has no update that is a function of the gradient: it solves for the minimum; "
            "use autodiff, such as autodiff.adapt(params, support, rule)"
        )

    def step(self, params: Params, loss: Loss) -> tuple[Params, Proximal]:
        check_step(self, loss, params=params)
        start, unravel = ravel_pytree(params)

        def objective(v: Array) -> Array:
            return loss(unravel(v)) + self.strength / 2 * jnp.sum((v - start) ** 2)

        end = jax.lax.custom_root(jax.grad(objective), start, self._newton, _solve_linear)
        return unravel(jnp.where(_solves(objective, start, end), end, jnp.nan)), self

    def _newton(self, slope: Field, start: Array) -> Array:
        """Where Newton's iterations for a zero of ``slope`` end."""

        def step(v: Array) -> Array:
            return v - solve(jax.jacfwd(slope)(v), slope(v))

        return repeat(step, start, self.iterations)


def _solve_linear(linear: Field, right: Array) -> Array:
    """The solution of ``linear(v) = right``: derivatives are those of an implicit function."""
    return solve(jax.jacfwd(linear)(right), right)


def _solves(objective: Field, start: Array, end: Array) -> Array:
    """Whether the gradient at ``end`` is zero to half of the digits that it is computed to."""
    slope = jax.grad(objective)
    start, end = jax.lax.stop_gradient((start, end))
    size = norm(slope(start)) + norm(slope(jnp.zeros_like(start)))
    return norm(slope(end)) <= jnp.finfo(end.dtype).eps ** 0.5 * size
