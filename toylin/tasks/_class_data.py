"""What a softmax loss sees of a task: points and their classes."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Float, Int
from toylin.models import Model, predict
from toylin.tasks._points import Points, check_points, outputs_of


def class_after_class(x: Float[Array, "tasks classes points *shape"]) -> ClassPoints:
    """Tasks that show the same number of points of every class, one class after the other."""
    num, classes, points, *shape = x.shape
    labels = jnp.repeat(jnp.arange(classes), points)
    return ClassPoints(
        x.reshape(num, -1, *shape), jnp.broadcast_to(labels, (num, len(labels))), classes
    )


@pytree_dataclass
class ClassPoints(Points):
    """Points x of classes y in 0, ..., C - 1 under softmax cross-entropy.

    The loss is the mean of log sum_c exp(f_c(x)) - f_y(x), f the model's C outputs (logits).

    Args:
        x: inputs, shape (points, ...), with a leading axis of tasks in a ``Batch``.
        y: classes, integers from 0 to ``classes`` - 1, shape (points,).
        classes: C, at least 2: how many outputs the model has.

    Raises:
        ValueError: inputs that are not finite and real, no points, classes that are no integers in
            that range, or not one a point. When used: a model of another number of outputs.

    >>> points = ClassPoints(jnp.eye(3), jnp.array([0, 1, 2]), classes=3)
    >>> print(f"{points.loss((jnp.zeros((3, 3)),)):.4f} = log 3")
    1.0986 = log 3
    """

    kind: ClassVar[str] = "classes"

    x: Float[Array, ...]
    y: Int[Array, ...]
    classes: int = static_field()

    def __post_init__(self) -> None:
        checks.integer("classes", self.classes, minimum=2)
        check_points(self.x, self.y)
        if not jax.dtypes.issubdtype(jnp.result_type(self.y), np.integer):
            raise ValueError(
                f"y must hold integers, the classes 0, ..., {self.classes - 1}, got "
                f"{jnp.result_type(self.y)}"
            )
        labels = checks.concrete("y", self.y)
        if labels is not None and not np.all((labels >= 0) & (labels < self.classes)):
            raise ValueError(
                f"y must hold classes from 0 to {self.classes - 1}, got "
                f"{np.unique(labels)[[0, -1]].astype(int).tolist()} as the least and the greatest"
            )

    def check_axes(self, task_axes: int) -> None:
        super().check_axes(task_axes)
        checks.ndim("y", self.y, task_axes + 1)

    @property
    def outputs(self) -> int:
        """How many outputs a model of them has, one a class."""
        return self.classes

    def loss(self, params: Any, model: Model = predict) -> Float[Array, ""]:
        """The mean cross-entropy over the points."""
        logits = self._logits(params, model)
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) - self._own(logits))

    def accuracy(self, params: Any, model: Model = predict) -> Float[Array, ""]:
        """The share of points whose own logit is the largest; of n equal ones each counts 1/n.

        A point with a logit that is NaN, as after steps that diverged, counts as wrong.
        """
        logits = self._logits(params, model)
        own, others = self._own(logits)[:, None], ~self._is_own()
        # Never asked of a logit itself: compiled code may compute it twice, not to the last digit.
        beaten = jnp.any((logits > own) & others | jnp.isnan(logits), axis=1)
        ties = jnp.sum((logits == own) & others, axis=1)
        return jnp.mean(jnp.where(beaten, 0, 1 / (1 + ties)), dtype=logits.dtype)

    def _is_own(self) -> Array:
        return self.y[:, None] == jnp.arange(self.classes)

    def _own(self, logits: Array) -> Array:
        """Every point's logit of its own class; a gather's gradient, a scatter, is slow on CPU."""
        return jnp.sum(jnp.where(self._is_own(), logits, 0), axis=1)

    def _logits(self, params: Any, model: Model) -> Array:
        logits = outputs_of(params, model, self.x)
        if np.shape(logits) != (wanted := (len(self.y), self.classes)):
            raise ValueError(
                f"model must, with these params, have one output for each of "
                f"classes={self.classes} classes, shape {wanted} (points, classes), got outputs of "
                f"shape {np.shape(logits)}"
            )
        return logits
