"""Models of several depths as one, so that they compile once: layers that are held.

A held layer is the identity, is not trained and does not adapt: a shallower model is left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from toylin._internal.pytree import pytree_dataclass
from toylin.models import Params
from toylin.rules import MetaSGD

Free = tuple[Any, ...]  # for each layer, whether it is not held


def hold(params: Params, free: Free) -> Params:
    """``params`` with the identity in place of the layers that are held."""
    return tuple(
        jnp.where(f, w, jnp.eye(w.shape[0], w.shape[1], dtype=w.dtype))
        for w, f in zip(params, free, strict=True)
    )


def held_maml(step_size: Any, steps: int, free: Free) -> MetaSGD:
    """MAML that adapts the layers which are not held."""
    return MetaSGD(tuple(jnp.where(f, step_size, 0.0) for f in free), steps)


@pytree_dataclass
class HeldLoss:
    """A loss of the parameters, at what ``hold`` makes of them."""

    loss: Any
    free: Free

    def __call__(self, params: Params) -> jax.Array:
        """The loss."""
        return self.loss(hold(params, self.free))


@pytree_dataclass
class HeldDraws:
    """MAML's losses of several models on the same draws, summed: each descends its own gradient.

    ``loss`` is a ``SampledLoss`` made ready for training. The parameters and ``free`` have a
    leading axis of models. Mapping the loss over them traces less than mapping a training.
    """

    loss: Any
    free: Free

    def draw(self, key: jax.Array) -> Any:
        """The tasks of one evaluation."""
        return self.loss.draw(key)

    def __call__(self, params: Params, key: jax.Array) -> jax.Array:
        """The sum on a fresh draw."""
        return self.on(params, self.draw(key))

    def on(self, params: Params, drawn: Any) -> jax.Array:
        """The sum on that."""
        sampled = self.loss.loss

        def one(params: Params, free: Free) -> jax.Array:
            rule = held_maml(sampled.rule.step_size, sampled.rule.steps, free)
            loss = replace(self.loss, loss=replace(sampled, rule=rule))
            return loss.on(hold(params, free), drawn)

        return jnp.sum(jax.vmap(one)(params, self.free))
