"""Meta-SGD: a step size for every parameter."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.pytree import pytree_dataclass, static
from toylin.models import Params
from toylin.rules._base import Rule, check_finite, check_layers


@pytree_dataclass
class MetaSGD(Rule):
    """Gradient descent with a learned step size for every parameter: w <- w - a * gradient.

    Args:
        step_sizes: the step sizes, leaves of the structure and shapes of the parameters.
            ``MetaSGD.constant(params, 0.1)`` starts them all at 0.1.
        steps: the number of inner steps T.
        first_order: whether to drop second derivatives from outer gradients.

    Raises:
        ValueError: step sizes that are not finite, or a bad number of steps. When used: shapes
            that are not those of the parameters.

    Source: Li, Zhou, Chen and Li, "Meta-SGD", 2017.
    """

    step_sizes: Params
    steps: int = static(default=1)
    first_order: bool = static(default=False)

    def __post_init__(self) -> None:
        self._check_loop()
        if not isinstance(self.step_sizes, tuple):
            raise ValueError(
                "step_sizes must be a tuple of arrays, one a layer, "
                f"got {type(self.step_sizes).__name__}; MetaSGD.constant makes one"
            )
        for layer, sizes in enumerate(self.step_sizes, start=1):
            check_finite(f"step_sizes of layer {layer}", sizes)

    @classmethod
    def constant(
        cls, params: Params, step_size: float, steps: int = 1, first_order: bool = False
    ) -> MetaSGD:
        """The rule at its start: the same step size everywhere, which is MAML."""
        sizes = tuple(jnp.full_like(w, step_size) for w in params)
        return cls(sizes, steps, first_order)

    @property
    def linear(self) -> bool:
        return True

    def check(self, params: Params) -> None:
        check_layers("step_sizes", self.step_sizes, params)
        for layer, (w, sizes) in enumerate(zip(params, self.step_sizes, strict=True), start=1):
            if np.shape(w) != np.shape(sizes):
                raise ValueError(
                    f"step_sizes do not fit layer {layer}: W_{layer} has shape {np.shape(w)}, "
                    f"its step sizes have shape {np.shape(sizes)}"
                )

    def update(self, grads: Params) -> Params:
        return jax.tree.map(lambda a, g: a * g, self.step_sizes, tuple(grads))
