"""An optax optimizer as a setting: by name, its numbers as leaves."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, get_args

import jax

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field


def check_optimizer(optimizer: Any, name: str = "optimizer") -> None:
    """Raise a ValueError unless this is an optax optimizer."""
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise ValueError(f"{name} must be an optax.GradientTransformation, got {optimizer!r}")


def _kinds(parameter: inspect.Parameter) -> tuple[Any, ...]:
    """The types that a parameter may be of."""
    return (parameter.annotation, *get_args(parameter.annotation), type(parameter.default))


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
        checks.instance("options", self.options, Mapping)
        for option, value in self.options.items():
            if option not in known:
                raise ValueError(
                    f"options of optimizer {self.name!r} must be among {', '.join(known)}, "
                    f"got {option!r}"
                )
            checks.scalar(f"option {option} of optimizer {self.name!r}", value)

    def known_options(self) -> dict[str, bool]:
        """The numbers that this optimizer takes besides its learning rate; none is structure.

        Flags, types and masks of optax's are none: a program cannot vary them from run to run.
        """
        parameters = list(inspect.signature(self._factory()).parameters.values())[1:]
        return {p.name: False for p in parameters if float in _kinds(p)}

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
