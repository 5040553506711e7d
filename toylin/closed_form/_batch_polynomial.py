"""The loss of a fixed batch of scalar tasks after one inner step, as a polynomial in the weights.

Its cost does not depend on the number of tasks. With g = S (p - t) - r for a task whose support has
second moment S and, about a reference parameter t, noise moment r, c_i the product of all weights
but w_i and p that of all, the adapted product is prod_i (w_i - a_i g c_i), a_i the step size of
layer i. Around the mean task, g = m + d with m = E S (p - t) - E r, it is prod_i (v_i - a_i c_i d),
v_i = w_i - a_i m c_i: a polynomial in d, whose expectations follow from the central moments of S
and r. About the mean they are small where the tasks are alike, and cancel little where they are
not; how much is known from the sizes of the terms.
"""

from __future__ import annotations

from functools import partial
from math import comb
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, recheck, static_field
from toylin._internal.shapes import Array, Float
from toylin.closed_form import _scalar
from toylin.models import Params, check_params
from toylin.rules import Rule, check_linear
from toylin.tasks import Batch, Data, RegressionMoments, RegressionPoints, weighted_mean

Weights: TypeAlias = tuple[Array, ...]

_GROUP = 8


@pytree_dataclass
class Moments:
    """The moments of a factor f over the tasks, as far as a polynomial in d needs them.

    With s = S - E S and r' = E r - r: ``table[i, j]`` = C(i + j, i) E[f s^i r'^j] for i + j at most
    the degree K. ``size`` = E |f|, ``s_size`` = (E |f s^K| / E |f|)^(1/K), ``r_size`` likewise: by
    Minkowski's inequality, and as such means grow with K, E |f d^k| is at most
    size (|p - t| s_size + r_size)^k for all k up to K.
    """

    table: Float[Array, "powers powers"]
    size: Float[Array, ""]
    s_size: Float[Array, ""]
    r_size: Float[Array, ""]
    roundings: int = static_field()

    def means(self, away: Array, degree: int) -> list[Array]:
        """E[f d^k] for k = 0, ..., ``degree``, d = s away + r'."""
        means = []
        for k in range(degree + 1):
            total = self.table[k, 0]
            for i in range(k - 1, -1, -1):  # Horner in ``away``
                total = total * away + self.table[i, k - i]
            means.append(total)
        return means


@pytree_dataclass
class BatchPolynomial:
    """``loss(params)``: the mean outer loss of the tasks behind the moments. See the module.

    Attributes:
        reference: t, the parameter of least squared error over all support points.
        mean_s: E S.
        mean_r: E r.
        quadratic: moments of the query's second moment.
        linear: moments of the query's noise moment about t.
        constant: the loss of predicting t.
        step_sizes: a_1, ..., a_L.
    """

    reference: Float[Array, ""]
    mean_s: Float[Array, ""]
    mean_r: Float[Array, ""]
    quadratic: Moments
    linear: Moments
    constant: Float[Array, ""]
    step_sizes: tuple[Array, ...]

    def __call__(self, params: Params) -> Float[Array, ""]:
        """The mean loss over the tasks, within ``error_bound(params)``."""
        weights = _weights(params)
        others = _scalar.others(weights)
        away = weights[0] * others[0] - self.reference
        error = self._error(weights, others, away)
        squared = _dot(_multiply(error, error), self.quadratic.means(away, 2 * len(weights)))
        linear = _dot(error, self.linear.means(away, len(weights)))
        return 0.5 * squared - linear + self.constant

    def _error(self, weights: Weights, others: Weights, away: Array) -> list[Array]:
        """The adapted product less t, as a polynomial in d."""
        mean_slope = self.mean_s * away - self.mean_r
        adapted: list[Array] = []
        for w, a, c in zip(weights, self.step_sizes, others, strict=True):
            step = -a * c
            factor = [w + step * mean_slope, step]
            adapted = _multiply(adapted, factor) if adapted else factor
        return [adapted[0] - self.reference, *adapted[1:]]

    def error_bound(self, params: Params) -> Float[Array, ""]:
        """How far the value can be from that of exact arithmetic on the tasks' moments.

        Not in it is the rounding of the moments themselves, which any way of computing the loss
        shares; neither does it bound derivatives. To first order in the unit roundoff, as running
        error analysis has it (Higham, "Accuracy and Stability of Numerical Algorithms", 2002).
        """
        weights = _weights(params)
        finfo = jnp.finfo(weights[0].dtype)
        u = float(finfo.eps) / 2
        size, error = self._sizes(weights, _scalar.others(weights), u)
        quadratic, linear = (
            f.size * (f.roundings * u * size) for f in (self.quadratic, self.linear)
        )
        squared = size * (self.quadratic.size * error + 0.5 * quadratic)
        rest = self.linear.size * error + linear
        return squared + rest + self.linear.roundings * u * self.constant + float(finfo.tiny)

    def _sizes(self, weights: Weights, others: Weights, u: float) -> tuple[Array, Array]:
        """How large the adapted product less t can be, and the rounding in it.

        Polynomials by their sizes, at the size of d: a factor w_i - a_i g c_i is as large as its
        coefficients allow; its error is that of the terms which they sum, and the errors of factors
        add as in a product.
        """
        depth, t = len(weights), jnp.abs(self.reference)
        s_size, r_size = (
            jnp.maximum(getattr(self.quadratic, name), getattr(self.linear, name))
            for name in ("s_size", "r_size")
        )
        product = weights[0] * others[0]
        away, reach = product - self.reference, jnp.abs(product) + t
        d, d_error = jnp.abs(away) * s_size + r_size, depth * u * reach * s_size
        mean_slope = self.mean_s * away - self.mean_r
        terms = jnp.abs(self.mean_s) * reach + jnp.abs(self.mean_r)
        size, error = jnp.ones_like(d), jnp.zeros_like(d)
        for w, a, c in zip(weights, self.step_sizes, others, strict=True):
            step = jnp.abs(a * c)
            factor = jnp.abs(w - a * c * mean_slope) + step * d
            factor_error = u * ((2 * depth + 2) * step * terms + depth * factor) + step * d_error
            error = error * (factor + factor_error) + size * factor_error
            size = size * factor
        error += 2 * depth * u * (size + t)
        return size + t + error, error


def batch_polynomial(batch: Batch, rule: Rule, depth: int) -> BatchPolynomial:
    """``BatchLoss(batch, rule)`` for scalar models, at a cost that does not depend on the tasks.

    Args:
        batch: scalar regression tasks, sampled or the nodes of a quadrature.
        rule: a rule of one inner step that is ``linear``.
        depth: L, the number of layers of the models that the loss is for.

    Returns:
        A function of ``params`` that is also a pytree. The expanded polynomial cancels where the
        loss is small beside its terms, the more the deeper the model: ``error_bound(params)`` of
        what is returned bounds the rounding in its value (``surface`` sums over the tasks where the
        bound is too large). Gradients by JAX lose digits in the same places.

    Raises:
        ValueError: not one inner step, or tasks that are not scalar regression.
        NoClosedFormError: a rule that is not ``linear``.

    >>> import toylin as tl
    >>> batch = tl.LinearRegression(shots=5).sample(jax.random.key(0), num_tasks=1000)
    >>> loss = batch_polynomial(batch, tl.MAML(step_size=0.1), depth=2)
    >>> params = (jnp.array([[0.7]]), jnp.array([[-0.9]]))
    >>> exact = tl.BatchLoss(batch, tl.MAML(step_size=0.1))(params)
    >>> bool(abs(loss(params) - exact) <= loss.error_bound(params) + 1e-6 * exact)
    True
    """
    checks.integer("depth", depth, minimum=1)
    checks.instance("batch", batch, Batch)
    checks.instance("rule", rule, Rule)
    recheck("rule", rule)
    for data in (batch.support, batch.query):
        checks.instance("data in batch", data, (RegressionPoints, RegressionMoments))
    dim = batch.support.dim  # type: ignore[attr-defined]  # known of these kinds of data
    if rule.steps != 1 or dim != 1:
        raise ValueError(
            f"a polynomial loss needs steps=1 and dim=1, got steps={rule.steps} and dim={dim}"
        )
    if any(_has_outputs_axis(data) for data in (batch.support, batch.query)):
        raise ValueError("a polynomial loss needs one output, targets of shape (tasks, points)")
    check_linear(rule)
    return _collect(batch, rule, depth)


def _has_outputs_axis(data: Data) -> bool:
    """Whether the targets of a batch, or the points its moments are about, are rows."""
    return np.ndim(data.y if isinstance(data, RegressionPoints) else data.theta) == 3  # type: ignore[attr-defined]


@partial(jax.jit, static_argnames="depth")
def _collect(batch: Batch, rule: Rule, depth: int) -> BatchPolynomial:
    xx, xe, _ = _about(batch.support, 0.0)
    mean_xx = weighted_mean(xx, batch)
    reference = weighted_mean(xe, batch) / jnp.where(mean_xx > 0, mean_xx, 1.0)
    s, r, _ = _about(batch.support, reference)
    mean_s, mean_r = weighted_mean(s, batch), weighted_mean(r, batch)
    q_xx, q_xe, q_ee = _about(batch.query, reference)
    moments = partial(_moments, s - mean_s, mean_r - r, batch)
    return BatchPolynomial(
        reference,
        mean_s,
        mean_r,
        moments(q_xx, 2 * depth),
        moments(q_xe, depth),
        moments(0.5 * q_ee, 0).table[0, 0],
        _scalar.step_sizes(rule, depth, s.dtype),
    )


def _about(data: Data, reference: Array | float) -> tuple[Array, Array, Array]:
    """xx, xe and ee of every task, the residual e = y - reference x."""
    if isinstance(data, RegressionPoints):
        x, e = data.x[..., 0], data.y - data.x[..., 0] * reference
        return jnp.mean(x**2, -1), jnp.mean(x * e, -1), jnp.mean(e**2, -1)
    assert isinstance(data, RegressionMoments)
    xx, xe, shift = data.xx[:, 0, 0], data.xe[:, 0], data.theta[:, 0] - reference
    return xx, xe + xx * shift, data.ee + shift * (2 * xe + xx * shift)


def _moments(s: Array, r: Array, batch: Batch, factor: Array, degree: int) -> Moments:
    """Tasks are summed in groups and groups in pairs, so that rounding grows with a logarithm.

    A weight enters by its root twice, for the reason that ``weighted_mean`` gives.
    """
    if batch.log_weight is None:
        root = jnp.full_like(factor, batch.num_tasks**-0.5)
    else:
        root = jnp.exp(0.5 * batch.log_weight).astype(factor.dtype)
    s_powers, r_powers = _powers(s, degree), _powers(r, degree)
    table = _sum_tasks(root * s_powers, root * factor * r_powers)
    size = jnp.sum(root * jnp.abs(root * factor))
    k = np.arange(degree + 1)
    binomials = [[comb(i + j, i) if i + j <= degree else 0 for j in k] for i in k]
    # Powers, factor, weight and binomial; both sums; Horner; the square of the error, and the dot
    # product with the moments; then some for the sizes' own.
    roundings = degree + 5 + _GROUP + batch.num_tasks.bit_length() + 2 * degree
    roundings += 3 * degree // 2 + 4 + 4
    return Moments(
        jnp.asarray(binomials, factor.dtype) * table,
        size,
        _size(s, root, factor, degree),
        _size(r, root, factor, degree),
        roundings,
    )


def _size(x: Array, root: Array, factor: Array, degree: int) -> Array:
    """(E |f x^K| / E |f|)^(1/K), in units of the largest x, whose powers stay in range."""
    largest = jnp.max(jnp.abs(x))
    powers = (jnp.abs(x) / jnp.where(largest > 0, largest, 1.0)) ** degree
    weight = root * jnp.abs(root * factor)
    total = jnp.sum(weight)
    ratio = jnp.sum(weight * powers) / jnp.where(total > 0, total, 1.0)
    return largest * ratio ** (1 / max(degree, 1))


def _powers(x: Array, degree: int) -> Array:
    powers = [jnp.ones_like(x)]
    for _ in range(degree):
        powers.append(powers[-1] * x)
    return jnp.stack(powers)


def _sum_tasks(left: Array, right: Array) -> Array:
    """sum_n left[i, n] right[j, n]."""
    groups = 1 << (-(-left.shape[1] // _GROUP) - 1).bit_length()
    pad = ((0, 0), (0, groups * _GROUP - left.shape[1]))
    left, right = (jnp.pad(x, pad).reshape(-1, groups, _GROUP) for x in (left, right))
    total = jnp.einsum("ign,jgn->gij", left, right, precision="highest")
    while total.shape[0] > 1:
        total = total[::2] + total[1::2]
    return total[0]


def _weights(params: Params) -> Weights:
    check_params(params, dim=1)
    return tuple(w[0, 0] for w in params)


def _multiply(a: list[Array], b: list[Array]) -> list[Array]:
    """The product of two polynomials given by their coefficients."""
    terms: list[list[Array]] = [[] for _ in range(len(a) + len(b) - 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            terms[i + j].append(x * y)
    return [sum(t[1:], t[0]) for t in terms]


def _dot(a: list[Array], b: list[Array]) -> Array:
    terms = [x * y for x, y in zip(a, b, strict=True)]
    return sum(terms[1:], terms[0])
