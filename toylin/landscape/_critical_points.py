"""Critical points of the scalar problem: known in closed form, or found as roots of polynomials.

With two layers and one step, p = w_1 w_2 and q = w_1² + w_2², the adapted product is
p - alpha g q + alpha² g² p, g = S p - b. So the exact outer loss is a_0(p) + a_1(p) q + a_2(p) q²,
and its gradient (w_2 L_p + 2 w_1 L_q, w_1 L_p + 2 w_2 L_q) vanishes at the origin, on the diagonals
w_2 = +-w_1 where one polynomial in w_1² does, and where L_p = L_q = 0: eliminating q leaves one
polynomial in p. No search: every real critical point is a root of one of the three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpy.polynomial import Polynomial

from toylin._internal import checks
from toylin._internal.shapes import Array, Float
from toylin.landscape._search import CriticalPoints
from toylin.models import Params
from toylin.rules import MAML
from toylin.tasks import LinearRegression, RegressionMoments, covariance_matrix, quadrature_batch

_APART = 1e-6
_REAL = 1e-5


class PolynomialLoss(NamedTuple):
    """The outer loss of two layers, a_0(p) + a_1(p) q + a_2(p) q²."""

    a0: Polynomial
    a1: Polynomial
    a2: Polynomial

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """The loss at points of shape (..., 2)."""
        p, q = w[..., 0] * w[..., 1], np.sum(w**2, axis=-1)
        return self.a0(p) + self.a1(p) * q + self.a2(p) * q**2

    def scale(self) -> float:
        """Where p's highest powers matter: about 1 / (alpha s²)."""
        return float(2 * abs(self.a2.coef[2] / self.a1.coef[4]))

    def derivatives(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient and Hessian at one point."""
        p, q = w[0] * w[1], w @ w
        d, dd = [a.deriv() for a in self], [a.deriv(2) for a in self]
        powers = (1.0, q, q * q)
        l_p = sum(a(p) * x for a, x in zip(d, powers, strict=True))
        l_pp = sum(a(p) * x for a, x in zip(dd, powers, strict=True))
        l_q, l_pq, l_qq = (
            self.a1(p) + 2 * self.a2(p) * q,
            d[1](p) + 2 * d[2](p) * q,
            2 * self.a2(p),
        )
        d_p, d_q = w[::-1], 2 * w
        cross = np.outer(d_p, d_q)
        hessian = l_pp * np.outer(d_p, d_p) + l_pq * (cross + cross.T) + l_qq * np.outer(d_q, d_q)
        hessian += l_p * np.array([[0.0, 1.0], [1.0, 0.0]]) + 2 * l_q * np.eye(2)
        return l_p * d_p + l_q * d_q, hessian


def loss_polynomial(tasks: LinearRegression, rule: MAML) -> PolynomialLoss:
    """The exact outer loss of two scalar layers after one step, as polynomials.

    Raises:
        ValueError: several dimensions, not one step, or a step size of zero (without adaptation the
            critical points are curves).
    """
    checks.instance("tasks", tasks, LinearRegression)
    checks.instance("rule", rule, MAML)
    size = checks.concrete("step_size", rule.step_size)
    if tasks.dim != 1 or rule.steps != 1 or size is None or size == 0:
        raise ValueError(
            "critical points are solved for at dim=1, steps=1 and a concrete step_size that is not "
            f"0; got dim={tasks.dim}, steps={rule.steps} and step_size={rule.step_size!r}"
        )
    nodes = quadrature_batch(tasks, depth=2, steps=1)
    alpha, p = float(size), Polynomial([0.0, 1.0])
    total = [Polynomial([0.0])] * 3
    support, query = nodes.support, nodes.query
    assert isinstance(support, RegressionMoments)
    assert isinstance(query, RegressionMoments)
    assert nodes.log_weight is not None
    columns = (nodes.log_weight, support.xx, support.theta, query.xx, query.theta, query.ee)
    for log_weight, s, t, xx, theta, ee in zip(*(np.ravel(c) for c in columns), strict=True):
        g = s * (p - t)
        error, response = p + alpha**2 * g * g * p - theta, alpha * g
        terms = (0.5 * (xx * error * error + ee), -xx * response * error, 0.5 * xx * response**2)
        weight = float(np.exp(log_weight))
        total = [a + weight * b for a, b in zip(total, terms, strict=True)]
    return PolynomialLoss(*total)


def solve_critical_points(tasks: LinearRegression, rule: MAML) -> CriticalPoints:
    """Every critical point of the exact outer loss of two scalar layers after one step.

    The roots of the three polynomials (see the module), polished and certified by Newton's method
    on the gradient: each returned point is the limit of an iteration whose last step is at
    rounding, and has a Hessian. Serves any mean, K shots and noise. Near a bifurcation, where
    points closer than 1e-6 merge, they count as one.

    Raises:
        ValueError: as ``loss_polynomial``.
    """
    loss = loss_polynomial(tasks, rule)
    found = [np.zeros(2)]
    for start in [*_on_diagonals(loss), *_off_diagonals(loss)]:
        point = _polish(loss, start)
        if point is None:
            continue
        # The loss is the same at (x, y), (y, x) and their negatives: one is solved for, so that
        # rounding cannot lose its mirror images.
        for image in (point, point[::-1], -point, -point[::-1]):
            if all(np.linalg.norm(image - f) > _APART for f in found):
                found.append(image)
    points = np.array(found)
    order = np.argsort(loss(points), kind="stable")
    points = points[order]
    eigenvalues = np.array([np.linalg.eigvalsh(loss.derivatives(w)[1]) for w in points])
    return CriticalPoints(points, loss(points), eigenvalues, np.sum(eigenvalues < 0, axis=1))


def _coefficients(polynomial: Polynomial) -> np.ndarray:
    return np.asarray(polynomial.coef, dtype=float)


def _real_roots(polynomial: Polynomial, scale: float) -> np.ndarray:
    """Real roots, by the companion matrix in units of ``scale``, where coefficients are balanced.

    In the units of p itself a leading coefficient can be 1e-20 of the others and still hold roots
    that are far out.
    """
    coefficients = _coefficients(polynomial)
    coefficients = coefficients * scale ** np.arange(coefficients.size)
    roots = np.asarray(Polynomial(coefficients).trim().roots(), dtype=complex) * scale
    return roots.real[np.abs(roots.imag) < _REAL * (scale + np.abs(roots.real))]


def _on_diagonals(loss: PolynomialLoss) -> list[np.ndarray]:
    """w_2 = +-w_1 = r > 0: p = +-r², q = 2 r², and u = r² > 0 is a root of d/du L(+-u, 2 u)."""
    found = []
    for sign in (1.0, -1.0):
        p, q = Polynomial([0.0, sign]), Polynomial([0.0, 2.0])
        along = loss.a0(p) + loss.a1(p) * q + loss.a2(p) * q * q
        roots = _real_roots(along.deriv(), loss.scale())
        found += [np.sqrt(u) * np.array([1.0, sign]) for u in roots if u > 0]
    return found


def _off_diagonals(loss: PolynomialLoss) -> list[np.ndarray]:
    """L_q = 0 gives q = -a_1 / (2 a_2); put into L_p = 0 and cleared of denominators."""
    a0, a1, a2 = loss
    eliminated = _eliminated(a0, a1, a2, -1.0)
    # Leading terms can cancel identically (in the population they do): what rounding leaves of
    # them would be roots near infinity.
    b0, b1, b2 = (Polynomial(np.abs(a.coef)) for a in loss)
    size = _eliminated(b0, b1, b2, 1.0)
    terms = _coefficients(eliminated)
    real = np.abs(terms) > 1e-12 * _coefficients(size)[: terms.size]
    eliminated = Polynomial(np.where(real, terms, 0.0))
    found = []
    for p in _real_roots(eliminated, loss.scale()):
        q = -a1(p) / (2 * a2(p))
        if q > 2 * abs(p):
            # w_1 + w_2 and w_1 - w_2 have the squares q + 2 p and q - 2 p.
            plus, minus = np.sqrt(q + 2 * p), np.sqrt(q - 2 * p)
            found.append(np.array([plus + minus, plus - minus]) / 2)
    return found


def _eliminated(a0: Polynomial, a1: Polynomial, a2: Polynomial, sign: float) -> Polynomial:
    """(4 a_2²) L_p at q = -a_1 / (2 a_2), with sign = -1."""
    return a0.deriv() * a2**2 * 4 + a1 * a1.deriv() * a2 * (2 * sign) + a1**2 * a2.deriv()


def _polish(loss: PolynomialLoss, start: np.ndarray) -> np.ndarray | None:
    """Newton's method on the gradient; None where it leaves the root or does not settle."""
    w = start
    for _ in range(30):
        gradient, hessian = loss.derivatives(w)
        move = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        w = w - move
        if np.linalg.norm(move) < 1e-13 * (1 + np.linalg.norm(w)):
            break
    near = np.linalg.norm(w - start) < 1e-3 * (1 + np.linalg.norm(start))
    settled = np.linalg.norm(move) < _APART / 10 * (1 + np.linalg.norm(w))
    return w if near and settled else None


class Bifurcation(NamedTuple):
    """Where the critical points change along a family: between ``below`` and ``above``.

    Attributes:
        value: of the parameter.
        below, above: how many minima, saddles and maxima there are on either side.
        kind: "fold" where points appear or vanish in pairs away from all others, "pitchfork" where
            they split off one that stays, "index" where a point only changes its index.
        location: the points nearest to which it happens, |w| of them.
    """

    value: float
    below: tuple[int, int, int]
    above: tuple[int, int, int]
    kind: str
    location: float


def census(points: CriticalPoints) -> tuple[int, int, int]:
    """How many minima, saddles and maxima."""
    kinds = points.kind()
    return tuple(kinds.count(k) for k in ("minimum", "saddle", "maximum"))  # type: ignore[return-value]


def find_bifurcations(
    points_at: Callable[[float], CriticalPoints], values: Sequence[float], tolerance: float = 1e-6
) -> list[Bifurcation]:
    """Follow critical points along a family, and bisect every change of their census.

    Args:
        points_at: the critical points at a value of the parameter.
        values: increasing values to compare; two changes between neighbours that cancel are missed.
        tolerance: relative width of the final bracket.

    >>> tasks = LinearRegression()
    >>> (found,) = find_bifurcations(
    ...     lambda alpha: solve_critical_points(tasks, MAML(alpha)), [0.2, 0.3]
    ... )
    >>> round(found.value, 4), found.below, found.above, found.kind
    (0.2675, (4, 8, 5), (4, 4, 1), 'fold')
    """
    found = []
    points = [points_at(v) for v in values]
    for k in range(len(values) - 1):
        low, high, under, over = values[k], values[k + 1], points[k], points[k + 1]
        if census(under) == census(over):
            continue
        while high - low > tolerance * max(abs(low), abs(high)):
            middle = (low + high) / 2
            between = points_at(middle)
            if census(between) == census(under):
                low, under = middle, between
            else:
                high, over = middle, between
        found.append(_name(float(low + high) / 2, under, over))
    return found


def _name(value: float, under: CriticalPoints, over: CriticalPoints) -> Bifurcation:
    more, fewer = (under, over) if len(under.points) >= len(over.points) else (over, under)
    distance = np.linalg.norm(more.points[:, None] - fewer.points[None], axis=-1)
    lost = len(more.points) - len(fewer.points)
    if lost == 0:
        changed = np.abs(more.eigenvalues).min(axis=1).argmin()
        return Bifurcation(
            value, census(under), census(over), "index", float(np.linalg.norm(more.points[changed]))
        )
    # The points that vanish are those with no partner, or that share one, on the other side.
    gone = np.argsort(distance.min(axis=1))[-lost:]
    nearest = distance[gone].min(axis=1).max()
    pairs = np.linalg.norm(more.points[gone][:, None] - more.points[gone][None], axis=-1)
    np.fill_diagonal(pairs, np.inf)
    kind = "fold" if pairs.min(axis=1).max() < nearest else "pitchfork"
    return Bifurcation(
        value, census(under), census(over), kind, float(np.linalg.norm(more.points[gone[0]]))
    )


def minimum(
    tasks: LinearRegression, rule: MAML, zero_layer: int, free: Sequence[float] | Array = ()
) -> tuple[Float[Array, "1 1"], ...]:
    """A global minimum of the population problem at one step, at any depth: one zero weight.

    The minima of L = len(free) + 2 layers are the points with exactly one zero weight and the
    others' product r with r² = 1/(alpha s²), where one step learns every task exactly: for each
    zero weight and each sign of r a manifold of dimension L - 2, whose coordinates are ``free``.

    Args:
        tasks: scalar linear regression in the population.
        rule: one step of a positive size.
        zero_layer: which weight is zero, from 0.
        free: the other weights but the last, L - 2 numbers that are not zero.

    Returns:
        The parameters; the last weight that is not zero is positive and chosen to fit.
    """
    checks.instance("tasks", tasks, LinearRegression)
    free = jnp.atleast_1d(jnp.asarray(free, float))
    checks.integer("zero_layer", zero_layer, minimum=0)
    if zero_layer > free.size + 1:
        raise ValueError(f"zero_layer must be below the depth {free.size + 2}, got {zero_layer}")
    concrete = checks.concrete("free", free)
    if concrete is not None and not np.all(concrete):
        raise ValueError(f"free must hold no zero: one weight is zero already, got {concrete}")
    size = checks.concrete("step_size", rule.step_size)
    if (
        tasks.dim != 1
        or tasks.shots is not None
        or rule.steps != 1
        or (size is not None and size <= 0)
    ):
        raise ValueError(
            "minima are known in closed form for dim=1, shots=None, steps=1 and a positive "
            f"step_size; got dim={tasks.dim}, shots={tasks.shots}, steps={rule.steps} and "
            f"step_size={rule.step_size!r}"
        )
    spread = covariance_matrix(tasks.x_cov, 1, free.dtype)[0, 0]
    last = 1 / jnp.sqrt(rule.step_size * spread) / jnp.abs(jnp.prod(free))
    weights = [*free, last]
    weights.insert(zero_layer, jnp.zeros((), free.dtype))
    return tuple(jnp.reshape(w, (1, 1)) for w in weights)


class Classification(NamedTuple):
    """A point of a loss: how critical it is, and of which kind.

    Attributes:
        loss: there.
        gradient_norm: zero at a critical point.
        eigenvalues: of the Hessian, in ascending order.
        negative: how many of them are negative: the index of a critical point.
        nullity: how many are zero to the tolerance: the dimension of a manifold of critical points.
    """

    loss: float
    gradient_norm: float
    eigenvalues: np.ndarray
    negative: int
    nullity: int


def classify(
    loss: Callable[[Any], Array], params: Params, tolerance: float = 1e-8
) -> Classification:
    """The gradient and the Hessian's spectrum of any loss at a point of any shape.

    Args:
        loss: a smooth function ``loss(params)``.
        params: any pytree.
        tolerance: relative to the largest eigenvalue, below which one counts as zero.
    """
    flat, unravel = ravel_pytree(params)

    def on_vector(w: Array) -> Array:
        return loss(unravel(w))

    eigenvalues = np.linalg.eigvalsh(np.asarray(jax.hessian(on_vector)(flat)))
    small = tolerance * np.abs(eigenvalues).max()
    return Classification(
        float(on_vector(flat)),
        float(jnp.linalg.norm(jax.grad(on_vector)(flat))),
        eigenvalues,
        int(np.sum(eigenvalues < -small)),
        int(np.sum(np.abs(eigenvalues) <= small)),
    )
