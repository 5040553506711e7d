"""What a regression loss sees of a task: points, or the moments that it depends on.

The loss is quadratic in the end-to-end vector of a deep linear model, so that it depends on the
data only through a few moments. They can be those of a finite sample (a small statistic, drawn
directly from its law) or those of the population (infinitely many points).
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass
from toylin._internal.shapes import Array, Float
from toylin.models import Model, Params, end_to_end, predict
from toylin.tasks._points import (
    Points,
    check_outputs,
    check_points,
    linear_only,
    outputs_of,
)


@pytree_dataclass
class RegressionPoints(Points):
    """Points (x, y) under half the squared error, 1/(2K) sum_k |f(x_k) - y_k|².

    Args:
        x: inputs, shape (points, ...), with a leading axis of tasks in a ``Batch``.
        y: targets, shape (points,) for one output, (points, outputs) for several.

    Raises:
        ValueError: numbers that are not finite and real, no points, or ``y`` without one row a
            point. When used: a model whose outputs do not have the shape of ``y``.
    """

    kind: ClassVar[str] = "regression"

    x: Float[Array, ...]
    y: Float[Array, ...]

    def __post_init__(self) -> None:
        check_points(self.x, self.y)

    def loss(self, params: Any, model: Model = predict) -> Float[Array, ""]:
        """Half the squared error, summed over outputs and averaged over the points."""
        outputs = outputs_of(params, model, self.x)
        check_outputs(outputs, self.y)
        return 0.5 * jnp.sum((outputs - self.y) ** 2) / self.y.shape[0]

    def moments(
        self, theta: Float[Array, " dim"] | Float[Array, "outputs dim"]
    ) -> RegressionMoments:
        """The moments of one task's points about a ``theta`` (any one; the loss is equal)."""
        wanted = (*np.shape(self.y)[1:], self.dim)
        if (shape := checks.real("theta", theta)) != wanted:
            raise ValueError(f"theta must have shape {wanted}, as x and y have it, got {shape}")
        noise = self.y - self.x @ theta.T
        points = self.y.shape[0]
        return RegressionMoments(
            xx=self.x.T @ self.x / points,
            theta=theta,
            xe=noise.T @ self.x / points,
            ee=jnp.mean(noise**2) if noise.ndim == 1 else jnp.sum(noise**2) / points,
        )


@pytree_dataclass
class RegressionMoments:
    """The moments about theta through which half the squared error sees its data.

    With the residual e = y - theta x: xx = E[x x'], xe = E[e x'], ee = E[|e|²], the mean being over
    K points or over the population. In theory's symbols xx is S (or Sigma) and xe is n. They serve
    the deep linear model only. One output is a vector, several are a row each.

    Args:
        xx: shape (dim, dim), with a leading axis of tasks in a ``Batch``, as all of these.
        theta: the point about which the moments are taken, shape (dim,) for one output,
            (outputs, dim) for several.
        xe: the shape of theta.
        ee: shape (), summed over the outputs.

    Raises:
        ValueError: numbers that are not finite and real, or shapes that disagree. When used: a
            model that is not the linear one.
    """

    kind: ClassVar[str] = "regression"

    xx: Float[Array, "*tasks dim dim"]
    theta: Float[Array, "*tasks dim"] | Float[Array, "*tasks outputs dim"]
    xe: Float[Array, "*tasks dim"] | Float[Array, "*tasks outputs dim"]
    ee: Float[Array, "*tasks"]

    def __post_init__(self) -> None:
        checks.real("xx", self.xx)
        shape = checks.real("theta", self.theta)
        tasks = shape[:-2] if self._several() else shape[:-1]
        wanted = {"xx": (*tasks, *shape[-1:], *shape[-1:]), "xe": shape, "ee": tasks}
        for name, expected in wanted.items():
            if (found := checks.real(name, getattr(self, name))) != expected:
                raise ValueError(
                    f"{name} must have shape {expected} to agree with theta of shape {shape}, "
                    f"got {found}"
                )
        if self._several() and shape[-2] == 1:
            raise ValueError(
                f"theta must have shape (dim,) for one output, (outputs, dim) for several, after "
                f"the axes of tasks; got {shape} beside xx of shape {np.shape(self.xx)}"
            )

    def _several(self) -> bool:
        """Whether theta has an axis of outputs; xx never has one."""
        return np.ndim(self.theta) == np.ndim(self.xx)

    def check_axes(self, task_axes: int) -> None:
        """Raise a ValueError unless there are that many leading axes of tasks."""
        checks.integer("task_axes", task_axes, minimum=0)
        checks.ndim("theta", self.theta, task_axes + 1 + self._several())

    @property
    def dim(self) -> int:
        """The dimension of the inputs."""
        return np.shape(self.theta)[-1]

    @property
    def outputs(self) -> int:
        """How many outputs there are."""
        return np.shape(self.theta)[-2] if self._several() else 1

    def loss(self, params: Params, model: Model = predict) -> Float[Array, ""]:
        """1/2 tr[(W - theta) xx (W - theta)' - 2 (W - theta) xe'] + ee/2, W the end-to-end matrix.

        For one output 1/2 [(w - theta)' xx (w - theta) - 2 (w - theta).xe + ee].
        """
        linear_only(self, model)
        if self._several():
            error = end_to_end(params) - self.theta
            return 0.5 * (jnp.sum(error * (error @ self.xx - 2 * self.xe)) + self.ee)
        error = end_to_end(params)[0] - self.theta
        return 0.5 * (error @ (self.xx @ error) - 2 * (error @ self.xe) + self.ee)
