"""GBML: any function of the gradients as the update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin.models import Params
from toylin.rules._base import Loss, Rule, check_step, descend_field


@pytree_dataclass
class GBML(Rule):
    """Descent along any transform of gradients: w <- w - step_size * transform(learned, gradient).

    Args:
        transform_params: what the transform learns, any pytree of float arrays; leaves.
        step_size: the inner step size alpha, a leaf.
        transform: a pure function ``transform(transform_params, grads)`` of the gradients of all
            parameters (of their structure) that returns an update of the same shapes. It is static:
            define it once, outside of loops, or each new function compiles anew.
        steps: the number of inner steps T.
        first_order: whether to drop second derivatives from outer gradients.
        adapt_transform: whether ``transform_params`` take a plain gradient step too, of size
            ``step_size``, before each step after the first: on the support loss, through the step
            that they made.

    Raises:
        ValueError: a transform that is no function, a bad step size or number of steps. When used:
            a transform that changes the structure or the shapes of the parameters.

    Source: the class of that name in learn2learn (Arnold et al., 2020), whose convention for
    ``adapt_transform`` this is.

    >>> import jax.numpy as jnp, toylin as tl
    >>> def clip(limit, grads):
    ...     return jax.tree.map(lambda g: limit * jnp.tanh(g / limit), grads)
    >>> rule = tl.GBML(1.0, 0.1, clip, steps=2)
    >>> task = tl.LinearRegression().population(jnp.array([5.0]))
    >>> print(f"{tl.autodiff.adapt((jnp.zeros((1, 1)),), task, rule)[0].item():.3f}")
    0.200
    """

    transform_params: Any
    step_size: float | jax.Array
    transform: Callable[[Any, Params], Params] = static_field()
    steps: int = static_field(default=1)
    first_order: bool = static_field(default=False)
    adapt_transform: bool = static_field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        checks.scalar("step_size", self.step_size)
        if not callable(self.transform):
            raise ValueError(
                "transform must be a function transform(transform_params, grads), "
                f"got {self.transform!r}"
            )
        self._check_loop()
        checks.flag("adapt_transform", self.adapt_transform)

    def check(self, params: Params) -> None:
        checks.float_leaves("params", params)
        shapes = jax.tree.map(jax.numpy.shape, params)
        result = jax.eval_shape(self.transform, self.transform_params, params)
        got = jax.tree.map(jax.numpy.shape, result)
        if got != shapes:
            raise ValueError(
                f"transform must return an update of the shapes of its gradients, {shapes}, "
                f"got {got}"
            )

    def update(self, grads: Params) -> Params:
        check_step(self, grads=grads)
        updates = self.transform(self.transform_params, grads)
        return jax.tree.map(lambda u: self.step_size * u, updates)

    def next(self, params: Params, grads: Params, loss: Loss) -> GBML:
        check_step(self, loss, params=params, grads=grads)
        if not self.adapt_transform:
            return self
        return descend_field(self, "transform_params", self.step_size, params, grads, loss)
