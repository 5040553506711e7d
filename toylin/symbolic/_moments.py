"""The expected square of the adapted residual, in coefficients and Gaussian moments."""

from __future__ import annotations

from itertools import product as pairs
from typing import Any

from sympy import ZZ, Add, Expr, Mul, Rational, Symbol, collect, factor, ring

from toylin.symbolic._equations import Equation, K, Section, m, s, sigma, tau
from toylin.symbolic._exact import moments

Powers = tuple[int, int]
Titles = tuple[str, str]


def population(named: list[tuple[Powers, Expr]]) -> tuple[Titles, list[Section], Expr]:
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


def few_shots(named: list[tuple[Powers, Expr]]) -> tuple[Titles, list[Section], Expr]:
    """By the move p' - p = sum_jk a_jk S^j g^k, E S^r, and the moments of (S, g, delta).

    Returns what ``population`` does.
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
    sections = [move, _of_support(S_r, used), _of_slope(used)]
    square = _bilinear(a, G)
    cross = Add(*(2 * a[key] * H[key] for key in keys))
    titles = (
        r"g = S (p - \theta) - n, \quad \text{adapted weights}",
        "Adapted weights, with slope g = S*(p - theta) - n, S = mean x**2, n = mean x*eps",
    )
    return titles, sections, m**2 + tau**2 + cross + square


def _of_support(S_r: list[Symbol], used: list[Equation]) -> Section:
    """The moments of S that are used."""
    seen = set().union(*(e.right.free_symbols for e in used))
    return Section(
        r"S_r = \mathrm{E}\,S^r, \quad S \sim s^2 \chi^2_K / K",
        "Moments of the support: S_r = E S^r, S ~ s**2 chi2_K / K",
        tuple(
            Equation(x, s ** (2 * r) * Mul(*(1 + 2 * i / K for i in range(r))))
            for r, x in enumerate(S_r, start=1)
            if x in seen
        ),
    )


def _of_slope(used: list[Equation]) -> Section:
    """The moments of S, g and delta."""
    return Section(
        r"H_{j k} = \mathrm{E}\,S^j g^k \delta, \quad G_{j k} = \mathrm{E}\,S^j g^k, \quad"
        r" \delta = p - \theta, \quad g \mid S \sim"
        r" \mathcal{N}\left(S m, S^2 \tau^2 + S \sigma^2 / K\right)",
        "Moments: H_j_k = E S^j g^k delta and G_j_k = E S^j g^k, with delta = p - theta and "
        "g | S ~ N(S*m, S**2*tau**2 + S*sigma**2/K)",
        tuple(used),
    )


def _bilinear(coefficients: dict[Powers, Symbol], moment: dict[Powers, Symbol]) -> Expr:
    """E (sum_k c_k x^k)² = sum_n (sum_{j + k = n} c_j c_k) E x^n."""
    sums: dict[Powers, list[Expr]] = {}
    for (x, a), (y, b) in pairs(coefficients.items(), repeat=2):
        sums.setdefault((x[0] + y[0], x[1] + y[1]), []).append(a * b)
    return Add(*(moment[key] * Add(*products) for key, products in sums.items()))
