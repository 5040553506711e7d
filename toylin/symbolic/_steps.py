"""The algebra behind ``derive``: adapted weights, coefficients, moments, and the loss in them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import mul
from typing import Any, Literal

from sympy import ZZ, Add, Expr, Mul, Symbol, factor_list, gcd_terms, ring

from toylin.symbolic._equations import (
    Equation,
    S,
    Section,
    adapted_symbols,
    alpha,
    delta,
    g,
    low_first,
    m,
    mu,
    s,
    sigma,
    weight_symbols,
)
from toylin.symbolic._exact import descend
from toylin.symbolic._moments import Powers, few_shots, population

MAX_IN_FULL = 120

Found = tuple[tuple[Expr, ...], tuple[Equation, ...], Expr, tuple[Section, ...]]


def derive_sections(depth: int, steps: int, shots: Literal["K"] | None, simplify: int) -> Found:
    """The adapted weights, the definitions, the loss, and all of it in sections."""
    weights = weight_symbols(depth)
    adapted, named = _adapted(weights, steps, shots, simplify)
    start = Section(
        rf"m = p - \mu, \quad p = {' '.join(f'w_{{{i}}}' for i in range(depth, 0, -1))}",
        "m = p - mu, with p the product of the weights",
        (Equation(m, reduce(mul, weights) - mu),),
    )
    build = population if shots is None else few_shots
    (in_latex, in_text), sections, square = build(named)
    left = adapted_symbols(depth)
    moved = Section(
        in_latex, in_text, tuple(Equation(x, y) for x, y in zip(left, adapted, strict=True))
    )
    definitions = (*start.equations, *(e for part in sections for e in part.equations))
    sections = [start, moved, *sections, _result("expected loss", _loss(square))]
    in_full = _in_full(square, definitions)
    if in_full is not None:
        sections.append(_result("in full", _loss(in_full)))
    return adapted, definitions, _loss(square), tuple(sections)


def _adapted(
    weights: tuple[Symbol, ...], steps: int, shots: Literal["K"] | None, simplify: int
) -> tuple[tuple[Expr, ...], list[tuple[Powers, Expr]]]:
    """The adapted weights, and the coefficients by power of what their product changed by."""
    # In the population alpha and s enter the adapted weights as alpha s² only: one symbol less.
    rate, meaning = (Symbol("rate"), alpha * s**2) if shots is None else (alpha, alpha)
    coefficients, *_ = ring((*weights, rate), ZZ)
    *w, step_size = coefficients.gens
    polys, second_moment, slope = ring((S, g if shots else delta), coefficients.to_domain())
    if shots is None:
        second_moment = polys.one
    start = [polys(x) for x in w]
    moved, product = descend(start, polys(step_size), second_moment, slope, steps, polys.one)
    change = product - reduce(mul, start, polys.one)

    def expression(coefficient: Any) -> Expr:
        return _readable(coefficient, simplify).subs(rate, meaning)

    def in_powers(poly: Any) -> Expr:
        terms = sorted(poly.terms(), key=lambda term: (sum(term[0]), term[0]))
        powers = [Mul(*(x**k for x, k in zip(polys.symbols, key, strict=True))) for key, _ in terms]
        return Add(*(expression(c) * x for (_, c), x in zip(terms, powers, strict=True)))

    terms = sorted((change if shots else change + polys.gens[1]).terms())
    return tuple(map(in_powers, moved)), [(key, expression(c)) for key, c in terms]


def _readable(coefficient: Any, simplify: int) -> Expr:
    """A coefficient, factored where it is short enough."""
    expanded = coefficient.as_expr()
    if simplify and len(coefficient) <= simplify:
        expanded = _factored(expanded)
        if expanded.is_Add and expanded.as_coeff_Add()[0] == 1:
            expanded = 1 + _factored(expanded - 1)
    elif simplify:
        expanded = gcd_terms(expanded)
    return expanded


def _factored(expanded: Expr) -> Expr:
    """In irreducible factors, the first term of each positive: (1 - x)^3, not -(-1 + x)^3."""
    sign, factors = factor_list(expanded)
    for i, (base, power) in enumerate(factors):
        first = base.as_ordered_terms(order=low_first)[0]
        if first.as_coeff_Mul()[0] < 0:
            factors[i], sign = (-base, power), sign * (-1) ** power
    return Mul(sign, *(base**power for base, power in factors))


def _result(title: str, loss: Expr) -> Section:
    return Section(rf"\text{{{title}}}", title.capitalize(), (Equation(Symbol("loss"), loss),))


def _in_full(square: Expr, definitions: Iterable[Equation]) -> Expr | None:
    """``square`` in the constants, m and the weights, where that is short enough to read."""
    for left, right in reversed(tuple(definitions)[1:]):
        square = square.subs(left, right)
        if square.count_ops() > MAX_IN_FULL:
            return None
    return square


def _loss(square: Expr) -> Expr:
    """s²/2 E (p' - theta)² + sigma²/2."""
    return Mul(s**2 / 2, square, evaluate=False) + sigma**2 / 2
