"""What a law of tasks is: a protocol that anybody's classes can follow."""

from __future__ import annotations

import inspect
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jax.typing import DTypeLike

from toylin._internal import checks
from toylin._internal.memory import check_fits
from toylin._internal.shapes import PRNGKeyArray
from toylin.tasks._batch import Batch


@runtime_checkable
class TaskLaw(Protocol):
    """A law of tasks: a pytree that draws batches of them."""

    def sample(self, key: PRNGKeyArray, num_tasks: int, num_queries: Any, /) -> Batch:
        """``num_tasks`` tasks with their supports and ``num_queries`` query points each."""
        ...


def check_law(tasks: TaskLaw) -> None:
    """Raise a ValueError unless this is a law of tasks."""
    if not isinstance(tasks, TaskLaw):
        raise ValueError(
            "tasks must be a law of tasks, a pytree with a method "
            f"sample(key, num_tasks, num_queries), got {tasks!r}"
        )


def sample_as(
    tasks: TaskLaw,
    key: PRNGKeyArray,
    num_tasks: int,
    num_queries: int | None,
    dtype: DTypeLike | None,
) -> Batch:
    """``tasks.sample``, in that float type where the law takes one."""
    if "dtype" in inspect.signature(tasks.sample).parameters:
        return tasks.sample(key, num_tasks, num_queries, dtype=dtype)  # type: ignore[call-arg]
    return tasks.sample(key, num_tasks, num_queries)


def check_sizes(
    key: PRNGKeyArray, num_tasks: int, num_queries: int | None, numbers: int = 1
) -> None:
    """What every law's ``sample`` is asked for: a key, and positive numbers that fit in memory.

    Args:
        key: a JAX random key.
        num_tasks: how many tasks.
        num_queries: how many query points each, or None.
        numbers: how many numbers are kept of a task, at least.
    """
    checks.key("key", key)
    checks.integer("num_tasks", num_tasks, minimum=1)
    if num_queries is not None:
        checks.integer("num_queries", num_queries, minimum=1)
    check_fits(f"drawing num_tasks={num_tasks}", num_tasks * numbers, np.float32)
