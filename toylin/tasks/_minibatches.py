"""Inner steps that see points of their own: a minibatch each."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.models import Model, predict
from toylin.tasks._batch import Batch
from toylin.tasks._data import Data
from toylin.tasks._law import TaskLaw, check_law, sample_as


@pytree_dataclass
class Minibatches:
    """What a task shows in parts, one an inner step: the first step descends the first, and so on.

    As the support of a task it is served by autodiff, ``shallow_fixed_point`` and ``meta_train``,
    for rules of as many steps. Its own loss is the mean over the parts.

    Args:
        parts: points or moments, any ``Data`` whose arrays have an axis of steps before their own
            (in a ``Batch`` after that of the tasks).

    Raises:
        ValueError: what is no ``Data``, or arrays without that axis. When used: a rule of another
            number of steps.

    Source: Nichol, Achiam and Schulman, "On First-Order Meta-Learning Algorithms", 2018, whose
    inner loop it is.

    >>> import toylin as tl
    >>> two = tl.LinearRegression().population(jnp.array([[1.0], [3.0]]))
    >>> (w,) = tl.autodiff.adapt((jnp.zeros((1, 1)),), Minibatches(two), tl.MAML(0.5, steps=2))
    >>> print(w[0, 0])  # half of the way to 1, then half of the way to 3
    1.75
    """

    parts: Data

    def __post_init__(self) -> None:
        if not isinstance(self.parts, Data) or isinstance(self.parts, Minibatches):
            raise ValueError(
                "parts must be what tasks show, a pytree with a method loss(params, model), and "
                f"have an axis of steps; got {type(self.parts).__name__}"
            )
        if not all(np.ndim(leaf) for leaf in jax.tree.leaves(self.parts)):
            raise ValueError(
                f"parts must have arrays with an axis of steps before their own, got {self.parts!r}"
            )

    @property
    def kind(self) -> str | None:
        """What kind of data the parts are: a batch has one."""
        return getattr(self.parts, "kind", None)

    @property
    def dim(self) -> int | None:
        """The dimension of the inputs, where the parts know it."""
        return getattr(self.parts, "dim", None)

    @property
    def outputs(self) -> int | None:
        """How many outputs there are, where the parts know it."""
        return getattr(self.parts, "outputs", None)

    def check_axes(self, task_axes: int) -> None:
        """Raise a ValueError unless there are that many axes of tasks, and one of steps."""
        checks.integer("task_axes", task_axes, minimum=0)
        if hasattr(self.parts, "check_axes"):
            self.parts.check_axes(task_axes + 1)

    def loss(self, params: Any, model: Model = predict) -> Float[Array, ""]:
        """The mean loss of the parts."""
        return jnp.mean(jax.vmap(lambda part: part.loss(params, model))(self.parts))


@pytree_dataclass
class FreshMinibatches:
    """A law of tasks that show fresh points at every inner step, ``shots`` of ``tasks`` each.

    Args:
        tasks: the law of tasks, with a number of ``shots`` that can be set.
        steps: how many inner steps the rule takes.

    Raises:
        ValueError: tasks that show populations, or whose ``shots`` are no field; a bad number of
            steps.

    >>> import toylin as tl
    >>> tasks = FreshMinibatches(tl.LinearRegression(dim=2, shots=5), steps=3)
    >>> tasks.sample(jax.random.key(0), num_tasks=10).support.parts.x.shape
    (10, 3, 5, 2)
    """

    tasks: TaskLaw
    steps: int = static_field()

    def __post_init__(self) -> None:
        check_law(self.tasks)
        checks.integer("steps", self.steps, minimum=1)
        fields = {f.name for f in dataclasses.fields(self.tasks)}  # type: ignore[arg-type]
        if "shots" not in fields or self.tasks.shots is None:  # type: ignore[attr-defined]
            raise ValueError(
                f"tasks must have a number of shots, the points of a step, got {self.tasks!r}"
            )

    @property
    def dim(self) -> int | None:
        """The dimension of the inputs, where the law knows it."""
        return getattr(self.tasks, "dim", None)

    @property
    def outputs(self) -> int | None:
        """How many outputs a model has, where the law knows it."""
        return getattr(self.tasks, "outputs", None)

    def sample(
        self,
        key: PRNGKeyArray,
        num_tasks: int,
        num_queries: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> Batch:
        """Draw tasks, the points of all their steps, and their query points.

        Args:
            key: a JAX random key.
            num_tasks: how many tasks.
            num_queries: query points a task, as the law takes it.
            dtype: of the draws, where the law takes one; JAX's default float type if None.

        Returns:
            A ``Batch`` of the law whose support is ``Minibatches``.
        """
        shots = self.tasks.shots * self.steps  # type: ignore[attr-defined]
        together: Any = dataclasses.replace(self.tasks, shots=shots)  # type: ignore[type-var]
        batch = sample_as(together, key, num_tasks, num_queries, dtype)
        parts = jax.tree.map(self._deal, batch.support)
        return dataclasses.replace(batch, support=Minibatches(parts))

    def _deal(self, points: Float[Array, "tasks all *shape"]) -> Array:
        """In turn, so that points that come class after class are as many of each in every part."""
        dealt = points.reshape(len(points), -1, self.steps, *points.shape[2:])
        return jnp.swapaxes(dealt, 1, 2)
