"""What a regression loss sees of a task: points, or the moments that it depends on.

The loss is quadratic in the end-to-end vector of a deep linear model, so that it depends on the
data only through a few moments. They can be those of a finite sample (a small statistic, drawn
directly from its law) or those of the population (infinitely many points).
"""

from __future__ import annotations

import jax.numpy as jnp

from toylin._internal.pytree import pytree_dataclass
from toylin._internal.shapes import Array, Float
from toylin.models import Params, end_to_end, predict


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
