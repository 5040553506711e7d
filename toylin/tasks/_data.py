"""What a task shows: a protocol that anybody's classes can follow."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from toylin._internal.shapes import Array, Float
from toylin.models import Model


@runtime_checkable
class Data(Protocol):
    """What one task shows: a pytree with a loss.

    Adaptation descends the loss of a task's support; the outer loss is that of its query. Array
    leaves are stacked along a leading axis of tasks in a ``Batch``, so that ``loss`` sees one task.
    """

    def loss(self, params: Any, model: Model, /) -> Float[Array, ""]:
        """The loss of ``model`` with these parameters on the task's data."""
        ...
