"""Critical points of two scalar layers by a route of its own: moments one by one, 60 digits.

The adapted weights are expanded as polynomials in w_1, w_2, theta, S and n; every monomial is
replaced by its moment; the two conditions are eliminated by sympy's resultant; mpmath finds roots.
"""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction

import mpmath
import sympy

DIGITS = 60


def times(a, b):
    out = defaultdict(Fraction)
    for i, x in a.items():
        for j, y in b.items():
            out[tuple(map(sum, zip(i, j, strict=True)))] += x * y
    return out


def plus(a, b, factor=1):
    out = defaultdict(Fraction, a)
    for i, x in b.items():
        out[i] += factor * x
    return out


def normal_moment(mean, variance, power):
    return sum(
        math.comb(power, 2 * k)
        * math.prod(range(1, 2 * k, 2))
        * variance**k
        * mean ** (power - 2 * k)
        for k in range(power // 2 + 1)
    )


def outer_loss(tasks, step_size):
    """{(i, j): coefficient of w_1^i w_2^j}, exactly."""
    mean, prior, spread, sigma, alpha = map(
        Fraction, (tasks.theta_mean, tasks.theta_cov, tasks.x_cov, tasks.noise_std, step_size)
    )
    one = Fraction(1)
    # Exponents of w_1, w_2, theta, S and n.
    first, second, theta, support, noise = (
        {tuple(int(i == k) for i in range(5)): one} for k in range(5)
    )
    slope = plus(times(support, plus(times(first, second), theta, -1)), noise, -1)
    stepped = [
        plus(w, times(slope, other), -alpha) for w, other in ((first, second), (second, first))
    ]
    error = plus(times(*stepped), theta, -1)
    out = defaultdict(Fraction)
    for (i, j, a, b, c), x in times(error, error).items():
        if c % 2:
            continue
        # n given S is N(0, sigma² S / K), and S = spread chi²_K / K.
        s_power, per_shot = b + c // 2, Fraction(0)
        if tasks.shots is not None:
            per_shot = Fraction(1, tasks.shots)
        moment = math.prod((spread * (1 + 2 * k * per_shot) for k in range(s_power)), start=one)
        moment *= normal_moment(0, sigma**2 * per_shot, c) * normal_moment(mean, prior, a)
        out[i, j] += spread / 2 * x * moment
    out[0, 0] += sigma**2 / 2
    return out


def critical_points(tasks, step_size):
    """Points, losses and eigenvalues of the Hessian, as numbers of 60 digits."""
    loss = outer_loss(tasks, step_size)
    p, q, u = sympy.symbols("p q u")
    # w_1^i w_2^j = p^j w_1^(i - j), and q² = w_1⁴ + 2 p² + w_2⁴.
    a = {0: 0, 2: 0, 4: 0}
    for (i, j), x in loss.items():
        if x and i >= j:
            a[i - j] += sympy.Rational(x.numerator, x.denominator) * p**j
    in_pq = sympy.Poly(a[0] - 2 * p**2 * a[4] + a[2] * q + a[4] * q**2, p, q)
    with mpmath.workdps(DIGITS):
        found = [(mpmath.mpf(0), mpmath.mpf(0))]
        for side in (1, -1):
            along = sympy.Poly(in_pq.as_expr().subs({p: side * u, q: 2 * u}, simultaneous=True), u)
            for root in real_roots(along.diff()):
                if root > 0:
                    r = mpmath.sqrt(root)
                    found += [(r, side * r), (-r, -side * r)]
        by_p, by_q = in_pq.diff(p), in_pq.diff(q)
        for root in real_roots(sympy.Poly(sympy.resultant(by_p.as_expr(), by_q.as_expr(), q), p)):
            linear = [evaluate(c, root) for c in sympy.Poly(by_q.as_expr(), q).all_coeffs()]
            total = -linear[1] / linear[0]
            if total > 2 * abs(root):
                x, y = mpmath.sqrt(total + 2 * root), mpmath.sqrt(total - 2 * root)
                w = (x + y) / 2, (x - y) / 2
                found += [w, w[::-1], (-w[0], -w[1]), (-w[1], -w[0])]
        return [(w, *value_and_eigenvalues(loss, *w)) for w in found]


def evaluate(expression, at):
    (symbol,) = expression.free_symbols or (sympy.Symbol("p"),)
    return horner(sympy.Poly(expression, symbol), at)


def coefficients(polynomial):
    return [mpmath.mpf(int(c.p)) / int(c.q) for c in polynomial.all_coeffs()]


def horner(polynomial, at):
    return mpmath.polyval(coefficients(polynomial), at)


def real_roots(polynomial):
    """In units of the largest root, in which coefficients are balanced."""
    c = coefficients(polynomial)
    while c and c[-1] == 0 and len(c) > 1 and c[-2] == 0:
        raise AssertionError("a double root at zero")
    roots = mpmath.polyroots(c, maxsteps=500, extraprec=600)
    return [r.real for r in roots if abs(r.imag) <= mpmath.mpf(10) ** (-DIGITS // 2) * abs(r)]


def value_and_eigenvalues(loss, x, y):
    def term(c, i, j):
        return mpmath.mpf(c.numerator) / c.denominator * x**i * y**j if c else mpmath.mpf(0)

    value = h_xx = h_xy = h_yy = mpmath.mpf(0)
    for (i, j), c in loss.items():
        value += term(c, i, j)
        h_xx += term(c * i * (i - 1), max(i - 2, 0), j)
        h_yy += term(c * j * (j - 1), i, max(j - 2, 0))
        h_xy += term(c * i * j, max(i - 1, 0), max(j - 1, 0))
    middle, apart = (h_xx + h_yy) / 2, mpmath.sqrt((h_xx - h_yy) ** 2 / 4 + h_xy**2)
    return value, (middle - apart, middle + apart)
