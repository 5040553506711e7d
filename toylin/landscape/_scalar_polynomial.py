"""The exact outer loss of two scalar layers after one step, with exact coefficients.

With p = w_1 w_2, q = w_1² + w_2², e = p - theta and g = S e - n, the gradient in p, one step takes
p to p - alpha g q + alpha² g² p, so that the outer loss is a_0(p) + a_1(p) q + a_2(p) q² with

    a_0 = s²/2 E (e + alpha² g² p)² + sigma²/2,
    a_1 = -s² alpha E g (e + alpha² g² p),
    a_2 = s²/2 alpha² E g².

A floating-point number is a rational one, and so is every moment: S = s² chi²_K / K has
E S^k = s^(2k) (1 + 2/K) ... (1 + 2 (k-1)/K), n given S is N(0, sigma² S / K), e is N(p - mu, tau²).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from toylin._internal import checks
from toylin._internal.pytree import recheck
from toylin.landscape._integer_polynomials import Coefficients, trimmed
from toylin.rules import MAML
from toylin.tasks import LinearRegression, check_one_output


class ExactPolynomial(NamedTuple):
    """The outer loss of two layers, (a_0(p) + a_1(p) q + a_2(p) q²) / denominator, exactly.

    Attributes:
        a0, a1, a2: integer coefficients, the constant first; of degree 6, 4 and 2.
        denominator: a positive integer.
    """

    a0: Coefficients
    a1: Coefficients
    a2: Coefficients
    denominator: int

    def coefficients(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Those of a_0, a_1 and a_2, each rounded to float64, the constant first."""
        a0, a1, a2 = (np.array([c / self.denominator for c in a]) for a in self[:3])
        return a0, a1, a2


class _Moments(NamedTuple):
    """What the coefficients depend on: s², E S^k for k = 0 to 4, Var(n | S) / S, mu and tau²."""

    spread: Fraction
    support: tuple[Fraction, ...]
    noise: Fraction
    mean: Fraction
    prior: Fraction


def exact_polynomial(tasks: LinearRegression, rule: MAML) -> ExactPolynomial:
    """The exact outer loss of two scalar layers after one step, as polynomials in p and q.

    Args:
        tasks: of one dimension; any mean, covariances, noise and number of shots.
        rule: one step of MAML, of a size that is not 0.

    Raises:
        ValueError: another rule, several dimensions, not one step, a step size of zero (without
            adaptation the critical points are curves), or values that are traced.

    >>> loss = exact_polynomial(LinearRegression(), MAML(0.5))
    >>> loss.coefficients()[2]  # alpha² E g² / 2 = (p² + 1) / 8
    array([0.125, 0.   , 0.125])
    """
    _require_scalar_step(tasks, rule)
    alpha = _rational("step_size", rule.step_size)
    noise = _rational("noise_std", tasks.noise_std) ** 2
    a0, a1, a2 = _coefficients(_moments(tasks, noise), alpha)
    a0 = _sum(a0, (noise / 2,))
    denominator = math.lcm(*(c.denominator for a in (a0, a1, a2) for c in a))
    w0, w1, w2 = (trimmed(int(c * denominator) for c in a) for a in (a0, a1, a2))
    return ExactPolynomial(w0, w1, w2, denominator)


def require_maml(rule: MAML) -> None:
    """MAML itself: a class derived from it can take other steps."""
    if type(rule) is not MAML:
        raise ValueError(f"rule must be MAML (of second or first order), got {rule!r}")
    recheck("rule", rule)


def _require_scalar_step(tasks: LinearRegression, rule: MAML) -> None:
    """One dimension and one step of plain MAML, of a concrete size that is not zero."""
    check_one_output(tasks)
    require_maml(rule)
    if tasks.dim != 1 or rule.steps != 1:
        raise ValueError(
            "critical points are solved for at dim=1 and steps=1; "
            f"got dim={tasks.dim} and steps={rule.steps}"
        )
    if _rational("step_size", rule.step_size) == 0:
        raise ValueError(
            "step_size must not be 0 (without adaptation the critical points are curves), "
            f"got step_size={rule.step_size!r}"
        )


def _rational(name: str, value: Any) -> Fraction:
    """One number, exactly."""
    if isinstance(value, int | Fraction):
        return Fraction(value)
    number = checks.concrete(name, value)
    if number is None:
        raise ValueError(f"{name} must be a concrete number here, not one traced by jit or grad")
    return Fraction(float(number.reshape(())))


def _moments(tasks: LinearRegression, noise: Fraction) -> _Moments:
    spread = _rational("x_cov", tasks.x_cov)
    per_shot = Fraction(0) if tasks.shots is None else Fraction(1, tasks.shots)
    support = [Fraction(1)]
    for k in range(4):
        support.append(support[-1] * spread * (1 + 2 * k * per_shot))
    return _Moments(
        spread,
        tuple(support),
        noise * per_shot,
        _rational("theta_mean", tasks.theta_mean),
        _rational("theta_cov", tasks.theta_cov),
    )


def _coefficients(m: _Moments, alpha: Fraction) -> list[tuple[Fraction, ...]]:
    """a_0 (without the query's noise), a_1 and a_2, from E e^i g^j with g = S e - n."""
    e1, e2, e3, e4 = _gaussian_powers(m.mean, m.prior)
    _, s1, s2, s3, s4 = m.support
    v, p = m.noise, (Fraction(0), Fraction(1))
    eg, gg = _scaled(s1, e2), _sum(_scaled(s2, e2), (v * s1,))
    egg = _sum(_scaled(s2, e3), _scaled(v * s1, e1))
    ggg = _sum(_scaled(s3, e3), _scaled(3 * v * s2, e1))
    gggg = _sum(_scaled(s4, e4), _scaled(6 * v * s3, e2), (3 * v * v * s2,))
    half = m.spread / 2
    squared = _product(p, _sum(_scaled(2 * alpha**2, egg), _scaled(alpha**4, _product(p, gggg))))
    return [
        _scaled(half, _sum(e2, squared)),
        _scaled(-2 * half * alpha, _sum(eg, _scaled(alpha**2, _product(p, ggg)))),
        _scaled(half * alpha**2, gg),
    ]


def _gaussian_powers(mean: Fraction, variance: Fraction) -> list[tuple[Fraction, ...]]:
    """E e, E e², E e³ and E e⁴ for e ~ N(p - mean, variance), as polynomials in p."""
    centre = (-mean, Fraction(1))
    powers: list[tuple[Fraction, ...]] = [(Fraction(1),), centre]
    for k in range(1, 4):
        # Stein: E e^(k+1) = (p - mean) E e^k + k variance E e^(k-1).
        powers.append(_sum(_product(centre, powers[k]), _scaled(k * variance, powers[k - 1])))
    return powers[1:]


def _scaled(factor: Fraction, a: Sequence[Fraction]) -> tuple[Fraction, ...]:
    return tuple(factor * c for c in a)


def _sum(*terms: Sequence[Fraction]) -> tuple[Fraction, ...]:
    size = max(map(len, terms))
    return tuple(sum((a[k] for a in terms if k < len(a)), Fraction(0)) for k in range(size))


def _product(a: Sequence[Fraction], b: Sequence[Fraction]) -> tuple[Fraction, ...]:
    out = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for k, y in enumerate(b):
            out[i + k] += x * y
    return tuple(out)
