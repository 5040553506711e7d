"""What a task shows, and what a law of tasks is: protocols that anybody's classes can follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from toylin._internal import checks
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.models import Model

if TYPE_CHECKING:
    from toylin.tasks._batch import Batch


@runtime_checkable
class Data(Protocol):
    """What one task shows: a pytree with a loss.

    Adaptation descends the loss of a task's support; the outer loss is that of its query. Array
    leaves are stacked along a leading axis of tasks in a ``Batch``, so that ``loss`` sees one task.
    """

    def loss(self, params: Any, model: Model, /) -> Float[Array, ""]:
        """The loss of ``model`` with these parameters on the task's data."""
        ...


@runtime_checkable
class TaskLaw(Protocol):
    """A law of tasks: a pytree that draws batches of them."""

    def sample(self, key: PRNGKeyArray, num_tasks: int, num_queries: int | None, /) -> Batch:
        """``num_tasks`` tasks with their supports and ``num_queries`` query points each."""
        ...


def check_sizes(key: PRNGKeyArray, num_tasks: int, num_queries: int | None) -> None:
    """What every law's ``sample`` is asked for: a key and positive numbers."""
    checks.key("key", key)
    checks.integer("num_tasks", num_tasks, minimum=1)
    if num_queries is not None:
        checks.integer("num_queries", num_queries, minimum=1)
