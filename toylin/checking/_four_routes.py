"""One loss and its gradient by four routes that share nothing, and whether they agree."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toylin import autodiff, closed_form
from toylin._internal import checks
from toylin.checking._differences import finite_differences
from toylin.models import Params, is_scalar
from toylin.rules import Rule, check_problem
from toylin.tasks import LinearRegression, check_one_output

FINITE_DIFFERENCE_TOLERANCE = 1e-6
ROUTES = ("closed_form", "autodiff", "finite_differences", "exact")


class Answer(NamedTuple):
    """What one route says, and how far it is from the exact answer.

    Attributes:
        loss: None where a route has only a gradient.
        grad: one number a layer.
        loss_error: relative to the exact loss or, where that is larger, to that of predicting zero.
        grad_error: the largest, relative to the largest entry or the loss of predicting zero.
        uncertainty: how far ``grad`` can be off by the route's own account, on the same scale.
    """

    loss: float | None
    grad: list[float]
    loss_error: float | None = None
    grad_error: float | None = None
    uncertainty: float = 0.0


class RoutesReport(NamedTuple):
    """What ``check_routes`` found; printed, a table.

    Attributes:
        answers: by the name of the route: "closed_form", "autodiff", "finite_differences", "exact".
        exact_fraction: the exact loss, as text.
        tolerance: what closed form and automatic differentiation are held to.
        finite_differences_tolerance: what finite differences are held to.
    """

    answers: dict[str, Answer]
    exact_fraction: str
    tolerance: float
    finite_differences_tolerance: float

    @property
    def abstains(self) -> bool:
        """Whether finite differences cannot tell, their own rounding being more than allowed."""
        uncertainty = self.answers["finite_differences"].uncertainty
        return not uncertainty <= self.finite_differences_tolerance

    @property
    def agree(self) -> bool:
        """Whether every route that can tell is within its tolerance of the exact answer."""
        close = [
            error is not None and error <= self.tolerance
            for name in ("closed_form", "autodiff")
            for error in self.answers[name][2:4]
        ]
        error = self.answers["finite_differences"].grad_error
        assert error is not None
        return all(close) and (self.abstains or error <= self.finite_differences_tolerance)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        found: dict[str, Any] = {"exact_fraction": self.exact_fraction}
        for name, answer in self.answers.items():
            entries = {"": answer.loss, "_grad": answer.grad}
            entries |= {"_error": answer.loss_error, "_grad_error": answer.grad_error}
            found |= {f"{name}{key}": x for key, x in entries.items() if x is not None}
        return found | {
            "finite_differences_uncertainty": self.answers["finite_differences"].uncertainty,
            "finite_differences_abstain": self.abstains,
            "tolerance": self.tolerance,
            "finite_differences_tolerance": self.finite_differences_tolerance,
            "agree": self.agree,
        }

    def __str__(self) -> str:
        """A table of the routes, and the verdict."""
        layers = len(self.answers["exact"].grad)
        head = "".join(f"{f'd/dw{i + 1}':>24}" for i in range(layers))
        lines = [f"{'route':<20}{'loss':>24}{head}{'loss off by':>14}{'grad off by':>14}"]
        lines += [_row(name, self.answers[name]) for name in ROUTES]
        if len(self.exact_fraction) <= 60:
            lines += ["", f"exact loss: {self.exact_fraction}"]
        return "\n".join([*lines, "", self.verdict])

    @property
    def verdict(self) -> str:
        """In one sentence, whether the routes agree."""
        if self.abstains:
            limits = f"within {self.tolerance:g}"
            unsure = (
                "; finite differences cannot tell (rounding alone moves them by "
                f"{self.answers['finite_differences'].uncertainty:.1e})"
            )
        else:
            limits = f"within {self.tolerance:g} (finite differences: "
            limits += f"{self.finite_differences_tolerance:g})"
            unsure = ""
        if self.agree:
            return f"all {'three' if self.abstains else 'four'} agree {limits}{unsure}"
        return f"the routes do NOT agree {limits}{unsure}"


def check_routes(
    params: Params, tasks: LinearRegression, rule: Rule, tolerance: float = 1e-10
) -> RoutesReport:
    """Compute one loss and gradient by four routes, and say whether they agree.

    ``closed_form``; ``autodiff``; finite differences of the closed form's values; and rational
    arithmetic on the expanded polynomial, which rounds nothing and which the others are compared
    with. Finite differences are held to 1e-6 or ``tolerance``, whichever is looser; where their own
    rounding is larger than that they abstain, and the report says so.

    Args:
        params: scalar weights, L matrices of shape (1, 1), in float64.
        tasks: a scalar linear regression. Its numbers are read as written: 0.1 is one tenth.
        rule: a ``MAML``, not first-order.
        tolerance: relative disagreement allowed, of the loss and of its gradient.

    Returns:
        A ``RoutesReport``.

    Raises:
        ValueError: an argument of the wrong kind, float32 parameters, a polynomial too large to
            expand, or an exact answer beyond double precision.

    >>> import toylin as tl
    >>> with jax.enable_x64(True):
    ...     params = (jnp.array([[0.7]]), jnp.array([[-0.9]]))
    ...     report = check_routes(params, tl.LinearRegression(shots=5), tl.MAML(step_size=0.1))
    >>> report.agree
    True
    """
    check_one_output(tasks)
    check_problem(params, tasks, rule)
    if not is_scalar(params) or any(w.dtype != np.float64 for w in params):
        raise ValueError(
            "params must be scalar weights, matrices of shape (1, 1) in float64 "
            f"(jax.config.update('jax_enable_x64', True)), got {params!r}"
        )
    if rule.first_order:
        raise ValueError(
            f"rule must not be first-order: its gradient is not that of the loss, got {rule!r}"
        )
    checks.positive("tolerance", tolerance, below=1.0)
    reference, fraction = _exact(params, tasks, rule)
    answers = {
        "closed_form": _by_route(closed_form, params, tasks, rule),
        "autodiff": _by_route(autodiff, params, tasks, rule),
        "finite_differences": _by_differences(params, tasks, rule),
    }
    floor = 0.5 * (tasks.x_cov * (tasks.theta_mean**2 + tasks.theta_cov) + tasks.noise_std**2)
    judged = {name: _judge(answer, reference, float(floor)) for name, answer in answers.items()}
    looser = max(tolerance, FINITE_DIFFERENCE_TOLERANCE)
    return RoutesReport(judged | {"exact": reference}, fraction, tolerance, looser)


def _by_route(route: ModuleType, *problem: Any) -> Answer:
    """The answer of ``closed_form`` or ``autodiff``."""
    loss, grads = jax.jit(lambda p: (route.outer_loss(*p), route.outer_grad(*p)))(problem)
    return Answer(float(loss), [float(g[0, 0]) for g in grads])


def _by_differences(params: Params, tasks: LinearRegression, rule: Rule) -> Answer:
    def loss(weights: jax.Array) -> jax.Array:
        return closed_form.outer_loss(tuple(w[None, None] for w in weights), tasks, rule)

    depth = len(params)
    degree = 2 * depth * (2 * depth - 1) ** rule.steps
    grad, uncertainty = finite_differences(loss, jnp.concatenate([w[0] for w in params]), degree)
    return Answer(None, grad.tolist(), uncertainty=float(uncertainty.max()))


def _exact(params: Params, tasks: LinearRegression, rule: Any) -> tuple[Answer, str]:
    """The exact answer, rounded once, and the loss as a fraction."""
    from toylin import symbolic

    weights = [float(w[0, 0]) for w in params]
    loss, grad = symbolic.outer_value_and_grad(weights, tasks, rule)
    return Answer(_round(loss), [_round(g) for g in grad]), str(loss)


def _round(value: Any) -> float:
    try:
        return int(value.numerator) / int(value.denominator)
    except OverflowError:
        raise ValueError(
            f"the exact loss or gradient, about {value.n(3)}, is beyond double precision: there is "
            "nothing to compare"
        ) from None


def _judge(answer: Answer, exact: Answer, floor: float) -> Answer:
    """The same answer with its errors. At a minimum loss and gradient are zero, hence ``floor``."""
    assert exact.loss is not None
    scale = max(floor, *map(abs, exact.grad))
    loss_error = None
    if answer.loss is not None:
        loss_error = _distance([answer.loss], [exact.loss], max(floor, abs(exact.loss)))
    grad_error = _distance(answer.grad, exact.grad, scale)
    return Answer(answer.loss, answer.grad, loss_error, grad_error, answer.uncertainty / scale)


def _distance(values: list[float], reference: list[float], scale: float) -> float:
    distance = float(np.max(np.abs(np.subtract(values, reference)))) / scale
    return distance if np.isfinite(distance) else float("inf")


def _row(name: str, answer: Answer) -> str:
    numbers = [answer.loss, *answer.grad]
    return (
        f"{name:<20}"
        + "".join(f"{'-' if x is None else f'{x:.16g}':>24}" for x in numbers)
        + "".join(f"{'-' if x is None else f'{x:.1e}':>14}" for x in answer[2:4])
    )
