"""The scalar problem in exact rational arithmetic: the third route, which rounds nothing.

With S = (1/K) sum x_k² and v = (1/K) sum x_k y_k (so v = S theta + n), an inner step is
w_i <- w_i - alpha (S p - v) prod_{j != i} w_j, p the product of all weights. After T steps p is a
polynomial in (S, v), written out here by SymPy's sparse polynomials, and the expected loss is a sum
of its coefficients times moments of (S, v), each known exactly. No quadrature, no floats, no
differentiation by JAX: nothing is shared with ``closed_form`` or ``autodiff``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, reduce
from math import lcm
from operator import mul
from typing import Any

import numpy as np
from sympy import QQ, ZZ, Rational, ring

from toylin._internal import checks
from toylin._internal.errors import NoClosedFormError
from toylin._internal.pytree import recheck
from toylin.rules import MAML
from toylin.tasks import LinearRegression, check_one_output

MAX_COST = 2e6


def others(weights: Sequence[Any], one: Any) -> list[Any]:
    """prod_{j != i} w_j for every i, by products from both ends."""
    before, after = [one], [one]
    for below, above in zip(weights[:-1], weights[:0:-1], strict=True):
        before.append(before[-1] * below)
        after.append(above * after[-1])
    return [a * b for a, b in zip(before, reversed(after), strict=True)]


def descend(
    weights: Sequence[Any], step_size: Any, second_moment: Any, slope: Any, steps: int, one: Any
) -> tuple[list[Any], Any]:
    """The weights after ``steps`` inner steps, and their product; in any commutative ring.

    ``slope`` is the first g = S p - v; later ones follow from it, since v stays what it is.
    """
    weights = list(weights)
    product = reduce(mul, weights, one)
    for _ in range(steps):
        pairs = zip(weights, others(weights, one), strict=True)
        weights = [w - step_size * slope * c for w, c in pairs]
        moved = reduce(mul, weights, one)
        slope, product = slope + second_moment * (moved - product), moved
    return weights, product


def moments(mean: Any, prior: Any, noise: Any, second: Callable[[int], Any]) -> Callable[..., Any]:
    """The map (a, b) -> E[S^a v^b], where v | S ~ N(S mean, S² prior + S noise).

    By parts (Stein's lemma), E[S^a v^b] = mean E[S^(a+1) v^(b-1)]
    + (b - 1) (prior E[S^(a+2) v^(b-2)] + noise E[S^(a+1) v^(b-2)]).

    Args:
        mean: of theta, mu.
        prior: the variance of theta, tau².
        noise: sigma² / K.
        second: the map a -> E[S^a].
    """

    @cache
    def moment(a: int, b: int) -> Any:
        if b == 0:
            return second(a)
        total = mean * moment(a + 1, b - 1)
        if b > 1:
            spread = prior * moment(a + 2, b - 2) + noise * moment(a + 1, b - 2)
            total = total + (b - 1) * spread
        return total

    return moment


def second_moments(x_cov: Any, inverse_shots: Any) -> Callable[[int], Any]:
    """The map a -> E[S^a] = s^(2a) prod_{i<a} (1 + 2 i / K), for S ~ s² chi²_K / K."""

    def second(a: int) -> Any:
        return reduce(mul, (1 + 2 * i * inverse_shots for i in range(a)), x_cov**a)

    return second


class _Dual:
    """A polynomial and its derivatives in the start's weights, under sums and products.

    Coefficients are integers over the ``power``-th power of a common denominator: reducing
    fractions would cost ten times what the arithmetic does.
    """

    def __init__(self, denominator: int, power: int, value: Any, slopes: Sequence[Any]) -> None:
        self.denominator, self.power = denominator, power
        self.value, self.slopes = value, list(slopes)

    def _over(self, power: int) -> _Dual:
        factor = self.denominator ** (power - self.power)
        slopes = [factor * a for a in self.slopes]
        return _Dual(self.denominator, power, factor * self.value, slopes)

    def __add__(self, other: _Dual) -> _Dual:
        power = max(self.power, other.power)
        a, b = self._over(power), other._over(power)
        slopes = [x + y for x, y in zip(a.slopes, b.slopes, strict=True)]
        return _Dual(self.denominator, power, a.value + b.value, slopes)

    def __sub__(self, other: _Dual) -> _Dual:
        minus = _Dual(other.denominator, other.power, -other.value, [-a for a in other.slopes])
        return self + minus

    def __mul__(self, other: _Dual) -> _Dual:
        pairs = zip(self.slopes, other.slopes, strict=True)
        slopes = [self.value * b + other.value * a for a, b in pairs]
        return _Dual(self.denominator, self.power + other.power, self.value * other.value, slopes)


def _rational(name: str, value: Any) -> Any:
    """A number as it prints: 0.1 is 1/10, not the nearest double."""
    if isinstance(value, (int, Fraction, Rational)):
        fraction = Fraction(int(value.numerator), int(value.denominator))
    else:
        if np.size(value) != 1:
            raise ValueError(f"{name} must be one number, got {value!r}")
        checks.scalar(name, np.reshape(value, ()))
        fraction = Fraction(repr(float(np.reshape(value, ()))))
    return QQ(fraction.numerator, fraction.denominator)


def _degrees(depth: int, steps: int) -> tuple[int, int, int]:
    """Degrees of the adapted product in theta and S, and the denominator's power in a weight.

    Those of one layer grow with the steps, those of several with their exponential: beyond 64 steps
    they are given as at 64, which is too many for any use.
    """
    if depth == 1:
        return min(steps, 1), steps, 2 * steps + 1
    theta, second, power = 0, 0, 1
    slope = (1, 1, depth + 1)
    for _ in range(min(steps, 64)):
        theta = slope[0] + (depth - 1) * theta
        second = slope[1] + (depth - 1) * second
        power = 1 + slope[2] + (depth - 1) * power
        slope = (depth * theta, 1 + depth * second, 1 + depth * power)
    return depth * theta, depth * second, power


def _check_cost(depth: int, steps: int, few_shots: bool, denominator: int) -> None:
    """Raise a ValueError where the polynomials are too large to multiply out in half a minute.

    A unit of cost is about 15 microseconds; every power of v comes with one of S, so half the terms
    are missing.
    """
    theta, second, power = _degrees(depth, steps)
    terms = (theta + 1) * ((second + 1) / 2 if few_shots else 1)
    bits = depth * power * denominator.bit_length()
    cost = (depth + 1) * terms**2 * (1 + (bits / 4000) ** 1.6)
    if cost > MAX_COST:
        of_s = f" and {second} in S" if few_shots else ""
        raise ValueError(
            f"exact arithmetic at depth={depth}, steps={steps}, "
            f"{'K shots' if few_shots else 'the population'} takes too long: the adapted product "
            f"is a polynomial of degree {theta} in theta{of_s} with coefficients of {bits:.2g} "
            "bits; use fewer steps or layers, or inputs of fewer digits"
        )


def outer_value_and_grad(
    weights: Sequence[Any], tasks: LinearRegression, rule: MAML
) -> tuple[Rational, tuple[Rational, ...]]:
    """The expected query loss after adaptation and its gradient, as exact rational numbers.

    Args:
        weights: the start (w_1, ..., w_L), numbers: int, Fraction, SymPy Rational, or float.
        tasks: scalar regression; its numbers and ``rule.step_size`` may be of those types too. A
            float stands for the shortest decimal that prints as it, so that 0.1 means 1/10.
        rule: gradient descent, with second-order outer gradients.

    Returns:
        The loss and its derivatives in w_1, ..., w_L.

    Raises:
        ValueError: no weights, numbers that are not finite, or a degree too high (named).
        NoClosedFormError: tasks that are no scalar regression, or a first-order rule.

    >>> outer_value_and_grad([Rational(1, 2)], LinearRegression(), MAML(0.5))
    (5/32, (1/8,))
    """
    _check(weights, tasks, rule)
    step_size = _rational("step_size", rule.step_size)
    start = [_rational("weights", w) for w in weights]
    mean, prior = _rational("theta_mean", tasks.theta_mean), _rational("theta_cov", tasks.theta_cov)
    x_cov, noise = _rational("x_cov", tasks.x_cov), _rational("noise_std", tasks.noise_std) ** 2
    few_shots = tasks.shots is not None
    inverse_shots = QQ(1, int(tasks.shots)) if tasks.shots is not None else QQ(0)
    denominator = lcm(*(int(x.denominator) for x in (step_size, x_cov, *start)))
    _check_cost(len(start), rule.steps, few_shots, denominator)

    product = _adapted_product(
        start, step_size, x_cov if not few_shots else None, rule.steps, denominator
    )
    moment = moments(mean, prior, noise * inverse_shots, second_moments(x_cov, inverse_shots))

    def expect(poly: Any) -> Any:
        return sum((QQ(c) * moment(a, b) for (a, b), c in poly.terms()), QQ(0))

    def expect_theta(poly: Any) -> Any:
        """E[theta S^a v^b] = mu E[S^a v^b] + b tau² E[S^(a+1) v^(b-1)], by Stein's lemma."""
        lower = (QQ(c * b) * moment(a + 1, b - 1) for (a, b), c in poly.terms() if b)
        return mean * expect(poly) + prior * sum(lower, QQ(0))

    p, scale = product.value, QQ(1, denominator**product.power)
    square, cross = expect(p * p) * scale**2, expect_theta(p) * scale
    loss = (x_cov * (square - 2 * cross + mean**2 + prior) + noise) / 2
    grad = [x_cov * (expect(p * dp) * scale**2 - expect_theta(dp) * scale) for dp in product.slopes]
    return QQ.to_sympy(loss), tuple(QQ.to_sympy(g) for g in grad)


def _adapted_product(
    start: Sequence[Any], step_size: Any, x_cov: Any, steps: int, denominator: int
) -> _Dual:
    """The product of the adapted weights and its slopes, polynomials in S and v.

    ``x_cov`` stands for S in the population; None leaves S a variable.
    """
    polys, second_moment, v = ring("S, v", ZZ)
    zero = [polys.zero] * len(start)

    def constant(value: Any) -> _Dual:
        return _Dual(denominator, 1, polys(int(value * denominator)), zero)

    def variable(value: Any, i: int) -> _Dual:
        slopes = list(zero)
        slopes[i] = polys(denominator)
        return _Dual(denominator, 1, constant(value).value, slopes)

    one = _Dual(denominator, 0, polys.one, zero)
    curvature = _Dual(denominator, 0, second_moment, zero) if x_cov is None else constant(x_cov)
    first = [variable(w, i) for i, w in enumerate(start)]
    slope = curvature * reduce(mul, first, one) - _Dual(denominator, 0, v, zero)
    return descend(first, constant(step_size), curvature, slope, steps, one)[1]


def outer_loss(weights: Sequence[Any], tasks: LinearRegression, rule: MAML) -> Rational:
    """The value of ``outer_value_and_grad``.

    Args:
        weights: as for ``outer_value_and_grad``.
        tasks: as for ``outer_value_and_grad``.
        rule: as for ``outer_value_and_grad``.
    """
    return outer_value_and_grad(weights, tasks, rule)[0]


def outer_grad(weights: Sequence[Any], tasks: LinearRegression, rule: MAML) -> tuple[Rational, ...]:
    """The gradient of ``outer_value_and_grad``.

    Args:
        weights: as for ``outer_value_and_grad``.
        tasks: as for ``outer_value_and_grad``.
        rule: as for ``outer_value_and_grad``.
    """
    return outer_value_and_grad(weights, tasks, rule)[1]


def _check(weights: Sequence[Any], tasks: LinearRegression, rule: MAML) -> None:
    if not (isinstance(weights, Sequence) or np.ndim(weights) == 1) or len(weights) == 0:
        raise ValueError(f"weights must be a sequence of numbers (w_1, ..., w_L), got {weights!r}")
    for weight in weights:
        if checks.shape_of("weights", weight) not in ((), (1, 1)):
            raise ValueError(
                f"weights must be numbers, or layers of shape (1, 1), got {weight!r} among them"
            )
    check_one_output(tasks)
    checks.instance("rule", rule, MAML)
    recheck("rule", rule)
    if tasks.dim != 1:
        raise NoClosedFormError(
            f"exact arithmetic serves dim=1, not dim={tasks.dim}; use closed_form.outer_loss"
        )
    if rule.first_order:
        raise NoClosedFormError(
            "exact arithmetic serves second-order gradients only; use closed_form.outer_grad"
        )
