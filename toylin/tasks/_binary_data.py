"""What a logistic loss sees of a binary task: points, the population, or margins."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.norms import in_range
from toylin._internal.pytree import pytree_dataclass
from toylin._internal.shapes import Array, Float
from toylin.models import Model, Params, end_to_end, predict
from toylin.quadrature import expected_softplus
from toylin.tasks._points import (
    Points,
    check_outputs,
    check_points,
    linear_only,
    outputs_of,
)


@pytree_dataclass
class BinaryPoints(Points):
    """Points x with labels y in {-1, +1} under the logistic loss, E log(1 + exp(-y f(x))).

    Args:
        x: inputs, shape (points, ...), with a leading axis of tasks in a ``Batch``.
        y: labels, -1 or +1, shape (points,); the model has one output, the logit.

    Raises:
        ValueError: inputs that are not finite and real, no points, other labels, or not one a
            point.
    """

    kind: ClassVar[str] = "binary"
    outputs: ClassVar[int] = 1

    x: Float[Array, ...]
    y: Float[Array, ...]

    def __post_init__(self) -> None:
        check_points(self.x, self.y)
        labels = checks.concrete("y", self.y)
        if labels is not None and not np.all(np.abs(labels) == 1):
            raise ValueError(
                f"y must hold the labels -1 and +1, got {np.unique(labels)[:5].tolist()}"
            )

    def loss(self, params: Any, model: Model = predict) -> Float[Array, ""]:
        """The mean logistic loss over the points."""
        return jnp.mean(jax.nn.softplus(-self._margins(params, model)))

    def accuracy(self, params: Any, model: Model = predict) -> Float[Array, ""]:
        """The share of points on the right side; a point on the boundary counts one half.

        A point whose output is NaN, as after steps that diverged, counts as wrong.
        """
        margins = self._margins(params, model)
        return jnp.mean(jnp.where(jnp.isnan(margins), 0, 0.5 * (1 + jnp.sign(margins))))

    def _margins(self, params: Any, model: Model) -> Array:
        outputs = outputs_of(params, model, self.x)
        check_outputs(outputs, self.y)
        return self.y * outputs


@pytree_dataclass
class BinaryMoments:
    """The population of a binary task: x | y ~ N(y mean, cov), both labels equally likely.

    The margin y f(x) is Gaussian with mean w.mean and variance w' cov w, w the end-to-end vector,
    so loss and accuracy are one-dimensional Gaussian integrals.

    Args:
        mean: the mean of the class +1, shape (dim,), with a leading axis of tasks in a ``Batch``.
        cov: the covariance of either class, shape (dim, dim).
    """

    kind: ClassVar[str] = "binary"
    outputs: ClassVar[int] = 1

    mean: Float[Array, "*tasks dim"]
    cov: Float[Array, "*tasks dim dim"]

    def __post_init__(self) -> None:
        shape, found = checks.real("mean", self.mean), checks.real("cov", self.cov)
        if found != (*shape, *shape[-1:]):
            raise ValueError(
                f"cov must have shape {(*shape, *shape[-1:])} to agree with mean of shape {shape}, "
                f"got {found}"
            )

    def check_axes(self, task_axes: int) -> None:
        """Raise a ValueError unless there are that many leading axes of tasks."""
        checks.integer("task_axes", task_axes, minimum=0)
        checks.ndim("mean", self.mean, task_axes + 1)

    @property
    def dim(self) -> int:
        """The dimension of the inputs."""
        return np.shape(self.mean)[-1]

    def _margin(self, params: Params) -> tuple[Array, Array]:
        """Mean and variance of y f(x)."""
        w = end_to_end(params)[0]
        return w @ self.mean, w @ (self.cov @ w)

    def loss(self, params: Params, model: Model = predict) -> Float[Array, ""]:
        """The expected logistic loss, E softplus(-z) over the Gaussian margin z."""
        linear_only(self, model)
        mean, variance = self._margin(params)
        return expected_softplus(-mean, variance)

    def accuracy(self, params: Params, model: Model = predict) -> Float[Array, ""]:
        """Phi(w.mean / sqrt(w' cov w)); one half at w = 0, and 0 where w is not finite."""
        linear_only(self, model)
        w, _ = in_range(end_to_end(params)[0])  # any multiple decides alike
        decided, wrong = jnp.any(w != 0), ~jnp.all(jnp.isfinite(w))
        variance = w @ (self.cov @ w)
        score = w @ self.mean / jnp.sqrt(jnp.where(decided, variance, 1.0))
        share = jnp.where(decided, jax.scipy.stats.norm.cdf(score), 0.5)
        return jnp.where(wrong, 0.0, share)


@pytree_dataclass
class BinaryMargins:
    """Query points of a binary task, drawn at each model as far as its loss and gradient see them.

    A point's margin y f(x) is w.mean + |v| s with v = C'w, C C' = cov and s ~ N(0, 1). The gradient
    in w sees, of the rest of the points, one combination only: with sigma_k the sigmoid of minus
    the k-th margin it adds -sqrt(sum sigma_k²)/K C (xi - its part along v), xi ~ N(0, I). Given w,
    loss and gradient together have the law that K fresh points give them. At two models they do
    not, nor have second derivatives, which are refused: this is for scoring fresh points once, by
    reverse mode.

    ``root`` is C, or a number that stands for that multiple of the identity.
    """

    kind: ClassVar[str] = "binary"
    outputs: ClassVar[int] = 1

    mean: Float[Array, "*tasks dim"]
    root: Float[Array, "*tasks"] | Float[Array, "*tasks dim dim"]
    margins: Float[Array, "*tasks points"]
    rest: Float[Array, "*tasks dim"]

    @property
    def dim(self) -> int:
        """The dimension of the inputs."""
        return np.shape(self.mean)[-1]

    def loss(self, params: Params, model: Model = predict) -> Float[Array, ""]:
        """The mean logistic loss over the points."""
        linear_only(self, model)
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
        return _less_slope(jnp.mean(jax.nn.softplus(-margins)), across, v)


@jax.custom_vjp
def _less_slope(value: Array, across: Array, v: Array) -> Array:
    """``value``, with ``across`` subtracted from its gradient in ``v``."""
    return value


def _forward(value: Array, across: Array, v: Array) -> tuple[Array, Array]:
    return value, across


def _backward(across: Array, slope: Array) -> tuple[Array, None, Array]:
    return slope, None, -slope * _once(across)


_less_slope.defvjp(_forward, _backward)


@jax.custom_jvp
def _once(across: Array) -> Array:
    return across


@_once.defjvp
def _refuse(primals: Any, tangents: Any) -> Any:
    raise ValueError(
        "margins of binary tasks have no second derivatives; to differentiate through training, "
        "train on the points instead, loss = lambda params, key: sampled(params, key)"
    )
