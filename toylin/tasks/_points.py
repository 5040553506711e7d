"""What the classes of data share and check: points with targets, and models that they can serve."""

from __future__ import annotations

from typing import Any

import numpy as np

from toylin._internal import checks
from toylin._internal.shapes import Array
from toylin.models import Model, predict


def check_points(x: Any, y: Any) -> None:
    """Finite real inputs and targets, at least one point, one row of ``y`` a row of ``x``."""
    rows, targets = checks.real("x", x), checks.real("y", y)
    if not rows or 0 in rows:
        raise ValueError(f"x must hold at least one point, of shape (points, ...), got {rows}")
    if not targets or targets[0] != rows[0]:
        raise ValueError(
            f"y must have one row a point (and task), as x of shape {rows} has, got shape {targets}"
        )


class Points:
    """Points ``x`` with targets ``y``."""

    x: Any
    y: Any

    @property
    def dim(self) -> int:
        """The dimension of the inputs."""
        return np.shape(self.x)[-1]

    def check_axes(self, task_axes: int) -> None:
        """Raise a ValueError unless there are that many leading axes of tasks."""
        checks.integer("task_axes", task_axes, minimum=0)
        rows, targets = np.shape(self.x), np.shape(self.y)
        ahead = task_axes + 1
        fits = len(rows) >= ahead and targets[:ahead] == rows[:ahead]
        if not fits or len(targets) not in (ahead, ahead + 1):
            axes = "(" + ", ".join([*("tasks", "steps")[:task_axes], "points"])
            raise ValueError(
                f"x must have shape {axes}, ...), and y shape {axes},) or {axes}, outputs), "
                f"got shapes {rows} and {targets}"
            )


def outputs_of(params: Any, model: Model, x: Array) -> Array:
    """What a model makes of points; parameters of any kind are the model's own to check."""
    checks.function("model", model, "model(params, x)")
    return model(params, x)


def check_outputs(outputs: Array, y: Array) -> None:
    """Outputs that can be compared with ``y`` number by number."""
    if np.shape(outputs) == (*np.shape(y), 1):
        raise ValueError(
            "model must return one number a point, shape (points,), for tasks of one output, whose "
            f"y has shape {np.shape(y)}; got outputs of shape {np.shape(outputs)}"
        )
    if np.shape(outputs) != np.shape(y):
        raise ValueError(
            f"y must have the shape of the model's outputs, {np.shape(outputs)}, (points,) for one "
            f"output and (points, outputs) for several; got {np.shape(y)}"
        )


def linear_only(data: Any, model: Model) -> None:
    """Moments stand for the points that a linear model sees, and for no other."""
    if model is not predict:
        raise ValueError(
            f"model must be the deep linear one, toylin.predict, for {type(data).__name__}; "
            "sample points for other models: tasks.sample(key, num_tasks, num_queries) with shots"
        )
