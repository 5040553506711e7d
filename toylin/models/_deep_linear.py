"""The deep linear model as one object: its shape and its random start."""

from __future__ import annotations

from typing import Any

import jax
from jax.typing import DTypeLike

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.models._linear import Params, init, predict

# Compiling takes a time that grows with the square of the depth: 18 CPU seconds at 20.
MAX_DEPTH = 32


@pytree_dataclass
class DeepLinear:
    """A deep linear model by its shape: a function ``model(params, x)`` that knows its start.

    Args:
        depth: L, the number of layers, at most 32.
        width: the width of every hidden layer; by default the least that leaves the model what
            one layer can compute, the smaller of the numbers of its inputs and of its outputs.
        widths: all widths (d_0, ..., d_L) instead; ``depth`` and ``width`` are then ignored.
        scale: the scale of the random start, as in ``init``; a leaf.

    Raises:
        ValueError: a size that is no positive integer, more than 32 layers (compiling takes a time
            that grows with the square of their number), or a bad scale.

    >>> import toylin as tl
    >>> model = DeepLinear(depth=3, width=4)
    >>> [w.shape for w in model.init(jax.random.key(0), tl.LinearRegression(dim=2))]
    [(4, 2), (4, 4), (1, 4)]
    >>> DeepLinear(depth=3).shape(dim=64, outputs=5)  # of one capacity with (64, 5)
    (64, 5, 5, 5)
    """

    depth: int = static_field(default=2)
    width: int | None = static_field(default=None)
    widths: tuple[int, ...] | None = static_field(default=None)
    scale: float | jax.Array = 1.0

    def __post_init__(self) -> None:
        checks.integer("depth", self.depth, minimum=1, maximum=MAX_DEPTH)
        if self.width is not None:
            checks.integer("width", self.width, minimum=1)
        checks.scalar("scale", self.scale, minimum=0.0)
        if self.widths is None:
            return
        if not isinstance(self.widths, tuple | list) or len(self.widths) < 2:
            raise ValueError(f"widths must be (d_0, ..., d_L), two at least, got {self.widths!r}")
        if len(self.widths) - 1 > MAX_DEPTH:
            raise ValueError(
                f"widths must be of at most {MAX_DEPTH} layers, got {len(self.widths) - 1}"
            )
        for width in self.widths:
            checks.integer("every entry of widths", width, minimum=1)
        object.__setattr__(self, "widths", tuple(self.widths))

    def shape(self, dim: int | None, outputs: int = 1) -> tuple[int, ...]:
        """(d_0, ..., d_L) for inputs of dimension ``dim`` and that many outputs."""
        if dim is not None:
            checks.integer("dim", dim, minimum=1)
        checks.integer("outputs", outputs, minimum=1)
        if self.widths is None:
            if dim is None:
                raise ValueError("widths must be given for tasks that do not name their dim")
            width = min(dim, outputs) if self.width is None else self.width
            return (dim, *[width] * (self.depth - 1), outputs)
        if dim not in (None, self.widths[0]):
            raise ValueError(f"widths must start with the tasks' dim={dim}, got {self.widths}")
        return self.widths

    def init(self, key: PRNGKeyArray, tasks: Any, dtype: DTypeLike | None = None) -> Params:
        """A random start for these tasks, as ``toylin.init`` draws it."""
        if not callable(getattr(tasks, "sample", None)):
            raise ValueError(f"tasks must be a law of tasks, with a method sample, got {tasks!r}")
        if self.widths is None and not hasattr(tasks, "dim"):
            raise ValueError(f"tasks must name the dim of their inputs, got {tasks!r}")
        return init(
            key,
            self.shape(getattr(tasks, "dim", None), getattr(tasks, "outputs", 1)),
            self.scale,
            dtype,
        )

    def __call__(
        self, params: Params, x: Float[Array, "*points inputs"]
    ) -> Float[Array, "*points"] | Float[Array, "*points outputs"]:
        """What ``toylin.predict`` computes."""
        return predict(params, x)
