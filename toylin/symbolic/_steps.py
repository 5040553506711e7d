"""The algebra behind ``derive``: adapted weights, coefficients, moments, and the loss in them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from itertools import product as pairs
from operator import mul
from typing import Any, Literal

from sympy import (
    ZZ,
    Add,
    Expr,
    Mul,
    Rational,
    Symbol,
    collect,
    factor,
    factor_list,
    gcd_terms,
    ring,
    symbols,
)

from toylin.symbolic._derivation import Equation, Section
from toylin.symbolic._exact import descend, moments

alpha, mu, m = symbols("alpha mu m", real=True)
tau, s, sigma, K = symbols("tau s sigma K", positive=True)
S, g, delta = symbols("S g delta", real=True)
MAX_IN_FULL = 120

Powers = tuple[int, int]
Titles = tuple[str, str]
Found = tuple[tuple[Expr, ...], tuple[Equation, ...], Expr, tuple[Section, ...]]


def weight_symbols(depth: int) -> tuple[Symbol, ...]:
    """w_1, ..., w_L."""
    return tuple(symbols(f"w_1:{depth + 1}", real=True))


def adapted_symbols(depth: int) -> tuple[Symbol, ...]:
    """w_1', ..., w_L': the weights after the inner loop."""
    return tuple(Symbol(f"w_{i}'", real=True) for i in range(1, depth + 1))


def derive_sections(depth: int, steps: int, shots: Literal["K"] | None, simplify: int) -> Found:
    """The adapted weights, the definitions, the loss, and all of it in sections."""
    weights = weight_symbols(depth)
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
        expanded = coefficient.as_expr()
        if simplify and len(coefficient) <= simplify:
            expanded = _factored(expanded)
            if expanded.is_Add and expanded.as_coeff_Add()[0] == 1:
                expanded = 1 + _factored(expanded - 1)
        elif simplify:
            expanded = gcd_terms(expanded)
        return expanded.subs(rate, meaning)

    def in_powers(poly: Any) -> Expr:
        low_first = sorted(poly.terms(), key=lambda term: (sum(term[0]), term[0]))
        powers = polys.symbols
        return Add(
            *(
                expression(c) * Mul(*(x**k for x, k in zip(powers, key, strict=True)))
                for key, c in low_first
            ),
        )

    adapted = tuple(in_powers(poly) for poly in moved)
    start_section = Section(
        rf"m = p - \mu, \quad p = {' '.join(f'w_{{{i}}}' for i in range(depth, 0, -1))}",
        "m = p - mu, with p the product of the weights",
        (Equation(m, reduce(mul, weights) - mu),),
    )
    build = _population if shots is None else _few_shots
    named = [
        (key, expression(coefficient))
        for key, coefficient in sorted((change if shots else change + polys.gens[1]).terms())
    ]
    (in_latex, in_text), sections, square = build(named)
    left = adapted_symbols(depth)
    moved_section = Section(
        in_latex, in_text, tuple(Equation(x, y) for x, y in zip(left, adapted, strict=True))
    )
    definitions = (*start_section.equations, *(e for part in sections for e in part.equations))
    sections = [start_section, moved_section, *sections, _result("expected loss", _loss(square))]
    in_full = _in_full(square, definitions)
    if in_full is not None:
        sections.append(_result("in full", _loss(in_full)))
    return adapted, definitions, _loss(square), tuple(sections)


def low_first(powers: tuple[int, ...]) -> tuple[int, ...]:
    """The order in which terms are printed: 1 - alpha s² by degree, the alphabet within one."""
    return (-sum(powers), *powers)


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


def _population(named: list[tuple[Powers, Expr]]) -> tuple[Titles, list[Section], Expr]:
    """By the residual p' - theta = sum_k c_k delta^k and the moments D_k = E delta^k.

    Returns the title of the adapted weights, sections, and E (p' - theta)².
    """
    c = {key: Symbol(f"c_{key[1]}", real=True) for key, _ in named}
    residual = Section(
        r"p' - \theta = \sum_k c_k \delta^k",
        "Residual: p' - theta = sum_k c_k delta^k, p' the product of the adapted weights",
        tuple(Equation(c[key], value) for key, value in named),
    )
    degrees = sorted({i + j for (_, i), (_, j) in pairs(c, c)})
    D = {(0, k): Symbol(f"D_{k}", real=True) for k in degrees}
    polys, mean, std = ring((m, tau), ZZ)
    moment = moments(mean, std**2, polys.zero, lambda _: polys.one)
    of_theta = Section(
        r"D_k = \mathrm{E}\,\delta^k = \mathrm{E}\,(p - \theta)^k,"
        r" \quad \theta \sim \mathcal{N}(\mu, \tau^2)",
        "Moments of theta about p: D_k = E delta^k = E (p - theta)^k",
        tuple(Equation(D[0, k], moment(0, k).as_expr(m, tau)) for k in degrees),
    )
    titles = (
        r"\delta = p - \theta, \quad \text{adapted weights}",
        "Adapted weights, with delta = p - theta and slope g = s**2*delta",
    )
    return titles, [residual, of_theta], _bilinear(c, D)


def _few_shots(named: list[tuple[Powers, Expr]]) -> tuple[Titles, list[Section], Expr]:
    """By the move p' - p = sum_jk a_jk S^j g^k, E S^r, and the moments of (S, g, delta).

    Returns what ``_population`` does.
    """
    keys = [key for key, _ in named]
    a = {key: Symbol("a_{}_{}".format(*key), real=True) for key in keys}
    move = Section(
        r"p' - p = \sum_{jk} a_{j k} S^j g^k",
        "Move: p' - p = sum_jk a_j_k S^j g^k, p' the product of the adapted weights",
        tuple(Equation(a[key], value) for key, value in named),
    )
    sums = sorted({(i + k, j + q) for (i, j), (k, q) in pairs(keys, keys)})
    highest = max((i + j for i, j in sums), default=0)
    S_r = [Symbol(f"S_{r}", positive=True) for r in range(1, highest + 1)]
    polys, mean, prior, noise, *second = ring((m, tau, sigma, *S_r), ZZ)
    moment = moments(mean, prior**2, noise**2, lambda r: second[r - 1] if r else polys.one)

    def expression(poly: Any) -> Expr:
        terms = poly.as_expr(m, tau, sigma / K ** Rational(1, 2), *S_r)
        return collect(terms, S_r, factor)

    def with_delta(j: int, k: int) -> Any:
        """E[S^j g^k delta] by parts: the covariance of g and delta given S is S tau²."""
        return mean * moment(j, k) + k * prior**2 * moment(j + 1, k - 1)

    H = {key: Symbol("H_{}_{}".format(*key), real=True) for key in keys}
    G = {key: Symbol("G_{}_{}".format(*key), real=True) for key in sums}
    used = [Equation(H[key], expression(with_delta(*key))) for key in keys]
    used += [Equation(G[key], expression(moment(*key))) for key in sums]
    seen = set().union(*(e.right.free_symbols for e in used))
    of_s = Section(
        r"S_r = \mathrm{E}\,S^r, \quad S \sim s^2 \chi^2_K / K",
        "Moments of the support: S_r = E S^r, S ~ s**2 chi2_K / K",
        tuple(
            Equation(x, s ** (2 * r) * Mul(*(1 + 2 * i / K for i in range(r))))
            for r, x in enumerate(S_r, start=1)
            if x in seen
        ),
    )
    joint = Section(
        r"H_{j k} = \mathrm{E}\,S^j g^k \delta, \quad G_{j k} = \mathrm{E}\,S^j g^k, \quad"
        r" \delta = p - \theta, \quad g \mid S \sim"
        r" \mathcal{N}\left(S m, S^2 \tau^2 + S \sigma^2 / K\right)",
        "Moments: H_j_k = E S^j g^k delta and G_j_k = E S^j g^k, with delta = p - theta and "
        "g | S ~ N(S*m, S**2*tau**2 + S*sigma**2/K)",
        tuple(used),
    )
    square = _bilinear(a, G)
    cross = Add(*(2 * a[key] * H[key] for key in keys))
    titles = (
        r"g = S (p - \theta) - n, \quad \text{adapted weights}",
        "Adapted weights, with slope g = S*(p - theta) - n, S = mean x**2, n = mean x*eps",
    )
    return titles, [move, of_s, joint], m**2 + tau**2 + cross + square


def _bilinear(coefficients: dict[Powers, Symbol], moment: dict[Powers, Symbol]) -> Expr:
    """E (sum_k c_k x^k)² = sum_n (sum_{j + k = n} c_j c_k) E x^n."""
    sums: dict[Powers, list[Expr]] = {}
    for (x, a), (y, b) in pairs(coefficients.items(), repeat=2):
        sums.setdefault((x[0] + y[0], x[1] + y[1]), []).append(a * b)
    return Add(*(moment[key] * Add(*products) for key, products in sums.items()))


def _loss(square: Expr) -> Expr:
    """s²/2 E (p' - theta)² + sigma²/2."""
    return Mul(s**2 / 2, square, evaluate=False) + sigma**2 / 2
