"""What a loss sees of a task: a finite set of points, or the moments that it depends on.

Every class here has one method, ``loss(params)``: the loss of a deep linear model on those data.
A regression loss is quadratic in the end-to-end vector, so that it depends on the data only through
a few moments. They can be those of a finite sample (a small statistic, drawn directly from its
law) or those of the population (infinitely many points).
"""

from __future__ import annotations

from typing import TypeAlias

import jax
import jax.numpy as jnp

from toylin._gaussian import expected_softplus
from toylin._pytree import pytree_dataclass
from toylin._types import Array, Float
from toylin.model import Params, end_to_end, predict


@pytree_dataclass
class RegressionPoints:
    """Points (x, y) under half the mean squared error, 1/(2K) sum_k (f(x_k) - y_k)²."""

    x: Float[Array, "*tasks points dim"]
    y: Float[Array, "*tasks points"]

    def loss(self, params: Params) -> Float[Array, ""]:
        """Half the mean squared error over the points."""
        return 0.5 * jnp.mean((predict(params, self.x) - self.y) ** 2)

    def moments(self, theta: Float[Array, " dim"]) -> RegressionMoments:
        """The moments of these points about a parameter ``theta`` (any one; the loss is equal)."""
        noise = self.y - self.x @ theta
        points = self.y.shape[-1]
        return RegressionMoments(
            xx=self.x.T @ self.x / points,
            theta=theta,
            xe=noise @ self.x / points,
            ee=jnp.mean(noise**2),
        )


@pytree_dataclass
class RegressionMoments:
    """The moments about theta through which half the mean squared error sees its data.

    With the residual e = y - theta.x: xx = E[x x'], xe = E[x e], ee = E[e²], the mean being over K
    points or over the population. In theory's symbols xx is S (or Sigma) and xe is n.
    """

    xx: Float[Array, "*tasks dim dim"]
    theta: Float[Array, "*tasks dim"]
    xe: Float[Array, "*tasks dim"]
    ee: Float[Array, "*tasks"]

    def loss(self, params: Params) -> Float[Array, ""]:
        """1/2 [(w - theta)' xx (w - theta) - 2 (w - theta).xe + ee], w the end-to-end vector."""
        error = end_to_end(params)[0] - self.theta
        return 0.5 * (error @ (self.xx @ error) - 2 * (error @ self.xe) + self.ee)


@pytree_dataclass
class BinaryPoints:
    """Points x with labels y in {-1, +1} under the logistic loss, E log(1 + exp(-y f(x)))."""

    x: Float[Array, "*tasks points dim"]
    y: Float[Array, "*tasks points"]

    def loss(self, params: Params) -> Float[Array, ""]:
        """The mean logistic loss over the points."""
        return jnp.mean(jax.nn.softplus(-self.y * predict(params, self.x)))

    def accuracy(self, params: Params) -> Float[Array, ""]:
        """The share of points on the right side; a point on the boundary counts one half."""
        return jnp.mean(0.5 * (1 + jnp.sign(self.y * predict(params, self.x))))


@pytree_dataclass
class BinaryMoments:
    """The population of a binary task: x | y ~ N(y mean, cov), both labels equally likely.

    The margin y f(x) is Gaussian with mean w.mean and variance w' cov w, w the end-to-end vector,
    so loss and accuracy are one-dimensional Gaussian integrals.
    """

    mean: Float[Array, "*tasks dim"]
    cov: Float[Array, "*tasks dim dim"]

    def _margin(self, params: Params) -> tuple[Array, Array]:
        """Mean and variance of y f(x)."""
        w = end_to_end(params)[0]
        return w @ self.mean, w @ (self.cov @ w)

    def loss(self, params: Params) -> Float[Array, ""]:
        """The expected logistic loss, E softplus(-z) over the Gaussian margin z."""
        mean, variance = self._margin(params)
        return expected_softplus(-mean, variance)

    def accuracy(self, params: Params) -> Float[Array, ""]:
        """Phi(w.mean / sqrt(w' cov w)); one half at w = 0."""
        mean, variance = self._margin(params)
        decided = variance > 0
        score = mean / jnp.sqrt(jnp.where(decided, variance, 1.0))
        return jnp.where(decided, jax.scipy.stats.norm.cdf(score), 0.5)


@pytree_dataclass
class BinaryMargins:
    """Query points of a binary task, drawn at each model as far as its loss and gradient see them.

    A point's margin y f(x) is w.mean + |v| s with v = C'w, C C' = cov and s ~ N(0, 1). The gradient
    in w sees, of the rest of the points, one combination only: with sigma_k the sigmoid of minus
    the k-th margin it adds -sqrt(sum sigma_k²)/K C (xi - its part along v), xi ~ N(0, I). Given w,
    loss and gradient together have the law that K fresh points give them. At two models they do
    not, nor have second derivatives: this is for scoring fresh points once, by reverse mode.

    ``root`` is C, or a number that stands for that multiple of the identity.
    """

    mean: Float[Array, "*tasks dim"]
    root: Float[Array, "*tasks"] | Float[Array, "*tasks dim dim"]
    margins: Float[Array, "*tasks points"]
    rest: Float[Array, "*tasks dim"]

    def loss(self, params: Params) -> Float[Array, ""]:
        """The mean logistic loss over the points."""
        w = end_to_end(params)[0]
        v = self.root * w if self.root.ndim == 0 else w @ self.root
        square = v @ v
        positive = square > 0
        first = jnp.zeros_like(v).at[0].set(1.0)
        # At v = 0 any direction will do for "along v": the points' law has none of its own.
        length = jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), v[0])
        along = jnp.where(positive, v / jnp.where(positive, length, 1.0), first)
        margins = w @ self.mean + length * self.margins
        slope = jax.nn.sigmoid(-margins)
        spread = jnp.sqrt(jnp.sum(slope**2)) / margins.size
        across = spread * (self.rest - along * (along @ self.rest))
        shift = jax.lax.stop_gradient(across) @ v
        return jnp.mean(jax.nn.softplus(-margins)) - (shift - jax.lax.stop_gradient(shift))


Data: TypeAlias = (
    RegressionPoints | RegressionMoments | BinaryPoints | BinaryMoments | BinaryMargins
)


@pytree_dataclass
class Batch:
    """Tasks side by side: what each adapts on, what it is scored on, and its true parameter.

    Every array has a leading axis of tasks. ``log_weight`` is None for equally likely sampled
    tasks; for the nodes of a quadrature it holds the logarithms of their weights, which sum to 1,
    and ``truth`` is NaN where a node stands for many tasks of one estimate.
    """

    support: Data
    query: Data
    truth: Float[Array, "tasks dim"]
    log_weight: Float[Array, " tasks"] | None = None

    @property
    def num_tasks(self) -> int:
        """How many tasks (or nodes) there are."""
        return self.truth.shape[0]


def weighted_mean(values: Float[Array, " tasks *shape"], batch: Batch) -> Float[Array, "*shape"]:
    """The mean of ``values`` over the tasks or, by their weights, over the nodes.

    A weight far in the tail may be too small for a float while its value is nearly too large for
    one; multiplying by its square root twice keeps their product.
    """
    if batch.log_weight is None:
        return jnp.mean(values, axis=0)
    root = jnp.exp(0.5 * batch.log_weight).astype(values.dtype)
    root = root.reshape(-1, *[1] * (values.ndim - 1))
    return jnp.sum(root * (root * values), axis=0)


def mean_loss(losses: Float[Array, " tasks"], batch: Batch) -> Float[Array, ""]:
    """``weighted_mean``, but ``inf`` where adaptation at a node leaves the range of floats.

    NaN parameters, which spoil every node, still show as NaN.
    """
    mean = weighted_mean(losses, batch)
    if batch.log_weight is None:
        return mean
    overflow = ~jnp.all(jnp.isfinite(losses)) & ~jnp.all(jnp.isnan(losses))
    return jnp.where(overflow, jnp.inf, mean)
