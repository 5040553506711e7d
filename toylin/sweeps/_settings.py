"""What a run is made of besides its task and rule: the model and the optimizer, as settings."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field


@pytree_dataclass
class Model:
    """A deep linear model by its shape.

    Args:
        depth: L, the number of layers.
        width: the width of every hidden layer.
        widths: all widths (d_0, ..., d_L) instead; ``depth`` and ``width`` are then ignored.
        scale: the scale of the random start, as in ``init``.

    Raises:
        ValueError: a size that is no positive integer, or a bad scale.
    """

    depth: int = static_field(default=2)
    width: int = static_field(default=1)
    widths: tuple[int, ...] | None = static_field(default=None)
    scale: float | jax.Array = 1.0

    def __post_init__(self) -> None:
        checks.integer("depth", self.depth, minimum=1)
        checks.integer("width", self.width, minimum=1)
        checks.scalar("scale", self.scale, minimum=0.0)
        if self.widths is not None:
            object.__setattr__(self, "widths", tuple(self.widths))

    def shape(self, dim: int) -> tuple[int, ...]:
        """(d_0, ..., d_L) for inputs of dimension ``dim``."""
        if self.widths is None:
            return (dim, *[self.width] * (self.depth - 1), 1)
        if len(self.widths) < 2 or self.widths[0] != dim or self.widths[-1] != 1:
            raise ValueError(
                f"widths must start with the tasks' dim={dim} and end in 1, got {self.widths}"
            )
        return self.widths


@pytree_dataclass
class Optimizer:
    """An optax optimizer by name, its numbers as leaves, so that they can be swept.

    Args:
        name: a function of optax whose first argument is a learning rate: "sgd", "adam", ...
        learning_rate: that learning rate.
        options: further numbers by name, say ``{"b1": 0.9}``.

    Raises:
        ValueError: optax has no such optimizer, or it takes no such option.
    """

    name: str = static_field(default="adam")
    learning_rate: float | jax.Array = 0.01
    options: Mapping[str, float | jax.Array] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        known = self.known_options()
        checks.scalar("learning_rate", self.learning_rate)
        for option, value in self.options.items():
            if option not in known:
                raise ValueError(
                    f"options of optimizer {self.name!r} must be among {', '.join(known)}, "
                    f"got {option!r}"
                )
            checks.scalar(f"option {option} of optimizer {self.name!r}", value)

    def known_options(self) -> tuple[str, ...]:
        """The names of the numbers that this optimizer takes besides its learning rate."""
        parameters = list(inspect.signature(self._factory()).parameters)
        return tuple(parameters[1:])

    def _factory(self) -> Any:
        import optax

        factory = getattr(optax, self.name, None) if isinstance(self.name, str) else None
        parameters = list(inspect.signature(factory).parameters) if callable(factory) else []
        if not parameters or parameters[0] != "learning_rate":
            raise ValueError(
                "optimizer must be the name of an optax optimizer that takes a learning rate, "
                f"such as 'sgd' or 'adam', got {self.name!r}"
            )
        return factory

    def build(self) -> Any:
        """The ``optax.GradientTransformation``."""
        return self._factory()(self.learning_rate, **self.options)


def describe(value: Any) -> Any:
    """``value`` as plain JSON: what is written beside results, and compared on resuming."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: describe(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(k): describe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [describe(v) for v in value]
    if value is None or isinstance(value, bool | str | int | float):
        return value
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return np.asarray(value).tolist()
    if callable(value):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)


def difference(old: Any, new: Any, path: str = "") -> str | None:
    """Where two descriptions first differ, in words; None where they are equal."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(k for k in new if k not in old)]:
            name = f"{path}.{key}" if path else str(key)
            if key not in old or key not in new:
                where = "the store has" if key in old else "this sweep has"
                return f"only {where} {name}"
            found = difference(old[key], new[key], name)
            if found:
                return found
        return None
    if old == new or (old != old and new != new):
        return None
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            found = difference(a, b, f"{path}[{index}]")
            if found:
                return found
        return None
    return f"{path} is {_short(old)} in the store and {_short(new)} in this sweep"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
