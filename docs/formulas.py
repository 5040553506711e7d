"""The formulas of the mathematics pages, as expressions: the pages print them, tests check them.

``tests/test_formulas.py`` compares each with what ``toylin.derive`` finds.
"""

from __future__ import annotations

from typing import NamedTuple

import sympy
from sympy import Expr, Rational, symbols

from toylin.symbolic._equations import K, alpha, mu, s, sigma, tau

w_1, w_2, w_3 = symbols("w_1:4", real=True)
b, q, c = symbols("b q c", positive=True)
T = sympy.Symbol("T", integer=True, nonnegative=True)
r, i = symbols("r i", integer=True, nonnegative=True)

_NOISE = sigma**2 / 2
_HALF = Rational(1, 2)


class Formula(NamedTuple):
    """``left``, in LaTeX, is ``right``."""

    left: str
    right: Expr

    def latex(self) -> str:
        """The equation, for display."""
        return f"{self.left} = {sympy.latex(self.right, order='none')}"


def _half(square: Expr) -> Expr:
    """s²/2 times the expected square of the adapted product's error, plus the label noise."""
    return sympy.Add(sympy.Mul(s**2 / 2, square, evaluate=False), _NOISE, evaluate=False)


def _sum(*terms: Expr) -> Expr:
    return sympy.Add(*terms, evaluate=False)


_POWER = _sum(mu**2, tau**2)
_DISTANCE = _sum((w_1 - mu) ** 2, tau**2)
_KEPT = _sum(sympy.Integer(1), -alpha * s**2)
_BEST = 1 / _sum(s**2 * (1 + 2 / K), sigma**2 / (K * _POWER))

FORMULAS = {
    "shallow_population": Formula(
        r"\mathcal L(w_1)",
        _half(sympy.Mul(_KEPT ** (2 * T), _DISTANCE, evaluate=False)),
    ),
    "shallow_floor": Formula(
        r"\min_{w_1} \mathcal L(w_1)",
        _half(sympy.Mul(_KEPT ** (2 * T), tau**2, evaluate=False)),
    ),
    "shallow_shots": Formula(
        r"\mathcal L(w_1)",
        _half(
            _sum(
                sympy.Mul(
                    _sum(sympy.Integer(1), -2 * alpha * s**2, alpha**2 * s**4 * (1 + 2 / K)),
                    _DISTANCE,
                    evaluate=False,
                ),
                alpha**2 * s**2 * sigma**2 / K,
            )
        ),
    ),
    "two_layers_at_zero": Formula(
        r"\mathcal L(0, b)",
        _half(sympy.Mul(_sum(1, -alpha * s**2 * b**2) ** 2, _POWER, evaluate=False)),
    ),
    "minimum": Formula(r"b^2", 1 / (alpha * s**2)),
    "three_layers_at_zero": Formula(
        r"\mathcal L(0, w_2, w_3)",
        _half(sympy.Mul(_sum(1, -alpha * s**2 * w_2**2 * w_3**2) ** 2, _POWER, evaluate=False)),
    ),
    "shots_at_zero": Formula(
        r"\mathcal L(0, b)",
        _half(
            _sum(
                sympy.Mul(
                    _sum(1, -2 * c * s**2, c**2 * s**4 * (1 + 2 / K)), _POWER, evaluate=False
                ),
                c**2 * s**2 * sigma**2 / K,
            )
        ),
    ),
    "best_response": Formula(r"c^\star", _BEST),
    "shots_floor": Formula(
        r"\min_b \mathcal L(0, b)",
        _sum(
            sympy.Mul(s**2 / 2, _POWER, _sum(1, -sympy.Symbol(r"c^\star") * s**2), evaluate=False),
            _NOISE,
        ),
    ),
    "support_moments": Formula(
        r"\mathrm E\,S^r",
        sympy.Mul(s ** (2 * r), sympy.Product(1 + 2 * i / K, (i, 0, r - 1)), evaluate=False),
    ),
}
