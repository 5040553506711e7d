"""What a model is: a pure function of parameters and inputs."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from toylin._internal.shapes import Array


@runtime_checkable
class Model(Protocol):
    """A pure function ``model(params, x)``.

    ``params`` is any pytree of float arrays. ``x`` has shape (points, ...), and the output a row a
    point: shape (points,) for one output, (points, outputs) for several. Functions that take a
    model compile once for each, so define it once, outside of loops.
    """

    def __call__(self, params: Any, x: Array, /) -> Array:
        """The outputs at the points ``x``."""
        ...
