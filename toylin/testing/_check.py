"""Whether a formula for an outer loss, and its gradient, are right; if not, where and why."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis
import jax
import numpy as np
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import SearchStrategy

from toylin._internal import checks
from toylin.testing import _slips, _strategies
from toylin.testing._comparison import (
    Comparison,
    by_sampling,
    compare,
    evaluation,
    first_order_grad,
    right_loss,
)
from toylin.testing._slips import Setting


class FormulaReport(NamedTuple):
    """What ``check_outer_loss`` did where all was well.

    Attributes:
        settings: how many settings were tried.
        exact: at how many of them the right answer was exact; at the others it was sampled.
        value_error: the largest error of the loss where it was, relative to it or, where that is
            larger, to the loss of predicting zero; 0 where none was.
        grad_error: the largest of the gradient, relative to its largest entry or the same.
        sampled: how far losses of sampled tasks were from the formula, in standard errors.
    """

    settings: int
    exact: int
    value_error: float
    grad_error: float
    sampled: tuple[float, ...]

    def __str__(self) -> str:
        lines = [f"right at {self.settings} settings"]
        if self.exact:
            lines.append(
                f"  against autodiff on exact nodes at {self.exact}: loss off by "
                f"{self.value_error:.1e}, gradient by {self.grad_error:.1e}"
            )
        off = ", ".join(f"{z:+.1f}" for z in self.sampled)
        return "\n".join([*lines, f"  against sampled tasks: off by {off} standard errors"])


class WrongFormulaError(AssertionError):
    """A formula is wrong: the simplest setting found, and the slips that would explain it.

    Attributes:
        comparison: formula and right answer there.
        slips: descriptions of slips that lead to just what the formula gave, at all settings tried.
    """

    def __init__(self, comparison: Comparison, slips: list[str], tried: int, wrong: int) -> None:
        self.comparison, self.slips = comparison, slips
        setting = comparison.setting
        source = "exact nodes" if comparison.exact else "sampled tasks"
        lines = [
            f"the formula is wrong at {wrong} of {tried} settings tried; the simplest found:",
            *(f"  w_{i + 1} = {np.asarray(w).tolist()}" for i, w in enumerate(setting.params)),
            f"  {setting.tasks!r}",
            f"  {setting.rule!r}",
            f"  loss: {comparison.value:.12g}, but {comparison.want:.12g} by autodiff on {source}",
            f"  gradient: {_row(comparison.grad)}, but {_row(comparison.want_grad)}",
        ]
        if slips:
            lines += ["what would explain it, at every setting tried:"]
        super().__init__("\n".join([*lines, *(f"  {name}" for name in slips)]))


def check_outer_loss(
    formula: Callable[..., Any],
    *,
    params: Any = None,
    tasks: Any = None,
    rule: Any = None,
    grad: Callable[..., Any] | None = None,
    tolerance: float = 1e-10,
    max_examples: int = 50,
    seed: int = 0,
) -> FormulaReport:
    """Check a formula for an expected outer loss and its gradient, at settings by Hypothesis.

    The right answer is that of automatic differentiation through the inner loop over exact nodes,
    where there are such (``quadrature_batch``), and else the mean over 16,000 sampled tasks, which
    a formula may miss by 8 standard errors. Where there are exact nodes, three settings are
    compared with sampled tasks besides; that is reported and not judged, since means of few tasks
    can miss what rare supports carry (``toylin.tails``).

    Args:
        formula: ``formula(params, tasks, rule)``, the loss as a number.
        params: a strategy for parameters, or one model; ``testing.params()`` if None, two scalar
            layers.
        tasks: a strategy for laws of tasks, or one law; ``testing.regressions()`` if None.
        rule: a strategy for rules, or one rule; ``testing.maml_rules()`` if None.
        grad: ``grad(params, tasks, rule)``, the gradient in the parameters, a pytree like them;
            that of ``formula`` by JAX if None.
        tolerance: what may be off where the right answer is exact, relative as ``FormulaReport``
            says.
        max_examples: how many settings to try.
        seed: of the settings and of sampled tasks.

    Returns:
        A ``FormulaReport``.

    Raises:
        WrongFormulaError: an AssertionError; it shows the simplest setting that Hypothesis found,
            and names the slip (a factor, a sign, a missing noise term, ...) where one of those it
            knows leads to just the formula's values at every setting tried.
        ValueError: single precision; a formula that returns no number, or cannot be differentiated
            by JAX; a bad tolerance or number of examples.

    >>> from toylin import closed_form, testing
    >>> with jax.enable_x64(True):
    ...     report = testing.check_outer_loss(closed_form.outer_loss, max_examples=5)
    >>> report.settings, report.value_error < 1e-10
    (5, True)
    """
    if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise ValueError(
            "formulas are checked in double precision: jax.config.update('jax_enable_x64', True)"
        )
    checks.function("formula", formula, "of (params, tasks, rule)")
    if grad is not None:
        checks.function("grad", grad, "of (params, tasks, rule)")
    checks.integer("max_examples", max_examples, minimum=1)
    checks.integer("seed", seed, minimum=0)
    checks.positive("tolerance", tolerance, below=1.0)
    settings = st.builds(
        Setting,
        _as_strategy(params, _strategies.params()),
        _as_strategy(tasks, _strategies.regressions()),
        _as_strategy(rule, _strategies.maml_rules()),
    )
    evaluate = evaluation(formula, grad)
    seen: list[Comparison] = []

    def wrong(setting: Setting) -> bool:
        seen.append(compare(evaluate, setting, tolerance, seed))
        return not seen[-1].right

    simplest = _find(settings, wrong, max_examples, seed)
    if simplest is None:
        return _report(seen, seed)
    comparison = compare(evaluate, simplest, tolerance, seed)
    raise WrongFormulaError(
        comparison, _explanations(seen), len(seen), sum(not c.right for c in seen)
    )


def _as_strategy(given: Any, default: SearchStrategy[Any]) -> SearchStrategy[Any]:
    if given is None:
        return default
    return given if isinstance(given, SearchStrategy) else st.just(given)


def _find(
    strategy: SearchStrategy[Setting], wrong: Callable[..., bool], max_examples: int, seed: int
) -> Setting | None:
    """The simplest setting that is wrong, or None."""
    options = hypothesis.settings(
        max_examples=max_examples,
        deadline=None,
        database=None,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    try:
        return hypothesis.find(strategy, wrong, settings=options, random=random.Random(seed))
    except NoSuchExample:
        return None


def _report(seen: list[Comparison], seed: int) -> FormulaReport:
    exact = [c for c in seen if c.exact]
    chosen = exact or seen
    sampled = []
    for c in chosen[:: max(1, len(chosen) // 3)][:3]:
        mean, error = by_sampling(c.setting, seed + 1)
        off = c.value - mean[0]
        sampled.append(float(off / error[0]) if error[0] > 0 else 0.0)
    return FormulaReport(
        len(seen),
        len(exact),
        max((c.value_error for c in exact), default=0.0),
        max((c.grad_error for c in exact), default=0.0),
        tuple(sampled),
    )


def _explanations(seen: list[Comparison]) -> list[str]:
    """Slips that lead to the formula's values at the wrong settings and at the right ones."""
    exact = [c for c in seen if c.exact]
    wrong = [c for c in exact if not c.right_value]
    if not wrong:
        return _gradient_slips([c for c in exact if not c.right])
    right = [c for c in exact if c.right_value]
    values = [(c.setting, c.value) for c in [*wrong[:12], *right[:4]]]
    return _slips.named(values, right_loss, 1e-9)


def _gradient_slips(wrong: list[Comparison]) -> list[str]:
    """What is wrong with gradients of right losses."""
    slips: dict[str, Callable[[Comparison], np.ndarray]] = {
        "the gradient is twice the right one": lambda c: 2 * c.want_grad,
        "the gradient is half the right one": lambda c: 0.5 * c.want_grad,
        "the sign of the gradient": lambda c: -c.want_grad,
        "the gradient is first-order: it takes inner gradients for constants": (
            lambda c: first_order_grad(c.setting)
        ),
    }
    return [
        name
        for name, slip in slips.items()
        if wrong and all(_close(c.grad, slip(c)) for c in wrong[:12])
    ]


def _close(got: np.ndarray, want: np.ndarray) -> bool:
    return bool(np.max(np.abs(got - want)) <= 1e-9 * np.max(np.abs(want)))


def _row(grad: np.ndarray) -> str:
    return "(" + ", ".join(f"{x:.9g}" for x in grad) + ")"
