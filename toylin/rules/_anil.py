"""ANIL: only some layers adapt."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static
from toylin.models import Params
from toylin.rules._base import Rule


@pytree_dataclass
class ANIL(Rule):
    """MAML in which only some layers adapt: by default the head, the last layer.

    Args:
        step_size: the inner step size alpha, a leaf.
        steps: the number of inner steps T.
        first_order: whether to drop second derivatives from outer gradients.
        layers: which layers adapt: ``"head"`` (the last), ``"body"`` (all but the last), or indices
            into ``params`` (0 is W_1, -1 the head).

    Raises:
        ValueError: a bad step size or number of steps; layers that are neither of the two names
            nor distinct integers. When used: a layer that the model lacks, or the body of a model
            that has one layer.

    Source: Raghu, Raghu, Bengio and Vinyals, "Rapid Learning or Feature Reuse?", ICLR 2020.
    """

    step_size: float | jax.Array
    steps: int = static(default=1)
    first_order: bool = static(default=False)
    layers: str | tuple[int, ...] = static(default="head")

    def __post_init__(self) -> None:
        checks.scalar("step_size", self.step_size)
        self._check_loop()
        if self.layers in ("head", "body"):
            return
        indices = self.layers if isinstance(self.layers, tuple) else ()
        if not indices or any(isinstance(i, bool) or not isinstance(i, int) for i in indices):
            raise ValueError(
                "layers must be 'head', 'body' or a tuple of indices into params, "
                f"got {self.layers!r}"
            )

    @property
    def linear(self) -> bool:
        return True

    def adapting(self, depth: int) -> frozenset[int]:
        """The indices of the layers that adapt in a model of that depth."""
        if self.layers == "head":
            return frozenset({depth - 1})
        chosen: Any = range(depth - 1) if self.layers == "body" else self.layers
        if not chosen:
            raise ValueError("layers='body' needs two layers at least, the model has 1")
        if any(not -depth <= i < depth for i in chosen):
            raise ValueError(
                f"layers must be indices into the {depth} layers of params, got {self.layers}"
            )
        return frozenset(i % depth for i in chosen)

    def check(self, params: Params) -> None:
        self.adapting(len(params))

    def update(self, grads: Params) -> Params:
        adapting = self.adapting(len(grads))
        return tuple(
            self.step_size * g if i in adapting else jnp.zeros_like(g) for i, g in enumerate(grads)
        )
