"""The derivation of the expected loss itself, symbol by symbol, as a reader would check it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from math import comb
from typing import Any, Literal

from sympy import Expr

from toylin._internal import checks
from toylin.symbolic import _printing
from toylin.symbolic._equations import Equation, Section
from toylin.symbolic._steps import derive_sections

MAX_DEPTH = 10
MAX_DEGREE = {None: 20, "K": 8}
FORMATS = ("text", "latex", "python")


@dataclasses.dataclass(frozen=True, eq=False)
class Derivation:
    """What ``derive`` found; every right side is a SymPy expression.

    Prints as plain text, renders as mathematics in Jupyter.

    Attributes:
        depth, steps, shots: what was asked.
        adapted: the weights after the inner loop, w_1', ..., w_L'.
        definitions: the coefficients and moments in which ``loss`` is written, in an order in which
            each uses earlier ones only.
        loss: the expected loss after adaptation.
        sections: all of it, step by step.
    """

    depth: int
    steps: int
    shots: Literal["K"] | None
    adapted: tuple[Expr, ...]
    definitions: tuple[Equation, ...]
    loss: Expr
    sections: tuple[Section, ...]

    def substituted(self) -> Expr:
        """The loss with every definition put in: in alpha, mu, tau, s, sigma, K and the weights."""
        loss = self.loss
        for left, right in reversed(self.definitions):
            loss = loss.subs(left, right)
        return loss

    def format(self, name: Literal["text", "latex", "python"]) -> str:
        """The derivation as plain text or LaTeX, or its result as Python.

        The Python defines ``outer_loss(weights, step_size, theta_mean, theta_cov, x_cov, noise_std,
        shots)`` and ``adapted_weights`` in plain arithmetic: it runs on numbers, NumPy and JAX
        arrays, and under ``jit``, ``vmap`` and ``grad``.
        """
        checks.choice("name of the format", name, FORMATS)
        printed: str = getattr(_printing, name)(self)
        return printed

    def lambdify(self) -> Callable[..., Any]:
        """The loss as a function, the ``outer_loss`` that ``format("python")`` prints.

        Returns:
            ``outer_loss(weights, step_size, theta_mean, theta_cov, x_cov, noise_std)``, with one
            more argument ``shots`` where the derivation is for K of them.

        >>> loss = derive(depth=2, shots="K").lambdify()
        >>> round(loss((0.7, -0.9), 0.1, 0.3, 1.0, 1.0, 0.2, shots=5), 6)
        0.757435
        """
        written: dict[str, Any] = {}
        exec(self.format("python"), written)
        function: Callable[..., Any] = written["outer_loss"]
        return function

    def __str__(self) -> str:
        return self.format("text")

    def _repr_latex_(self) -> str:
        return self.format("latex")


def derive(
    depth: int = 2, steps: int = 1, shots: Literal["K"] | None = None, simplify: int = 50
) -> Derivation:
    """Derive the expected post-adaptation loss of the scalar model f(x) = w_L ... w_1 x.

    Tasks are y = theta x + eps with theta ~ N(mu, tau²), x ~ N(0, s²), eps ~ N(0, sigma²); all
    constants stay symbols. With p the product of the weights, g = S (p - theta) - n is the slope of
    the support loss, and every adapted weight is a polynomial in S and g. So is the adapted
    product; expectations follow from the Gaussian moments of g given S, and from E S^r. In the
    population S = s², n = 0, and everything is a polynomial in delta = p - theta.

    Args:
        depth: L, the number of weights.
        steps: T, the number of inner steps.
        shots: "K" for K support points; None for the population.
        simplify: factor coefficients of at most that many terms, and only take out common factors
            of longer ones. 0 leaves every coefficient expanded.

    Returns:
        A ``Derivation``.

    Raises:
        ValueError: a bad size, or a polynomial too long to print (the message says which degree).

    >>> print(derive(depth=1).loss)
    (s**2/2)*(D_2*c_1**2) + sigma**2/2
    """
    checks.integer("depth", depth, minimum=1)
    checks.integer("steps", steps, minimum=0)
    checks.integer("simplify", simplify, minimum=0)
    if not (shots is None or (isinstance(shots, str) and shots == "K")):
        raise ValueError(f'shots must be "K" (a symbol) or None (the population), got {shots!r}')
    if depth > MAX_DEPTH:
        raise ValueError(
            f"depth must be at most {MAX_DEPTH}, got {depth}: a coefficient of the adapted product "
            f"then has up to {comb(depth, depth // 2)} terms"
        )
    degree = max(steps, depth * (2 * depth - 1) ** min(max(steps - 1, 0), 99))
    if degree > MAX_DEGREE[shots]:
        support = "the population" if shots is None else "K shots"
        raise ValueError(
            f"at depth={depth} and steps={steps} the adapted weights are polynomials of degree "
            f"{degree:.9g}; for {support} degrees up to {MAX_DEGREE[shots]} are "
            "written out. For numbers, toylin.symbolic.outer_loss goes further"
        )
    return Derivation(depth, steps, shots, *derive_sections(depth, steps, shots, simplify))
