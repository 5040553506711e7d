"""Alpha-MAML: the step size adapts with the weights."""

from __future__ import annotations

from typing import ClassVar

import jax

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin.models import Params
from toylin.rules._base import GradientDescent, Loss, check_step, descend_field


@pytree_dataclass
class AlphaMAML(GradientDescent):
    """MAML whose step size takes a gradient step too, before each step after the first.

    The step size descends the support loss after the step that it made (a hypergradient):
    alpha <- alpha + hyper_step_size * (gradient before the step).(gradient after it). Within a task
    it starts from ``step_size``, which is a leaf: meta-training adapts it from task to task.

    Args:
        step_size: the step size alpha of the first step, a leaf.
        hyper_step_size: the step size of alpha itself, a leaf; 0 is MAML.
        steps: the number of inner steps T; the step size moves if there are two or more.
        first_order: whether to drop second derivatives from outer gradients.

    Raises:
        ValueError: a step size that is no finite number, or a bad number of steps.

    Source: Behl, Baydin and Torr, "Alpha MAML: Adaptive Model-Agnostic Meta-Learning", 2019, who
    apply the hypergradient from one meta-iteration to the next; in the inner loop, from step to
    step, it is that of Baydin et al., "Online Learning Rate Adaptation with Hypergradient Descent",
    ICLR 2018.
    """

    learned: ClassVar[bool] = True
    step_size: float | jax.Array
    hyper_step_size: float | jax.Array
    steps: int = static_field(default=2)
    first_order: bool = static_field(default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.scalar("hyper_step_size", self.hyper_step_size)

    @classmethod
    def identity(  # type: ignore[override]
        cls,
        params: Params,
        step_size: float | jax.Array,
        steps: int = 1,
        *,
        first_order: bool = False,
        hyper_step_size: float | jax.Array = 0.0,
    ) -> AlphaMAML:
        """The rule at its start: MAML, unless ``hyper_step_size`` is given.

        Args:
            params: the parameters that it will adapt, any pytree of arrays.
            step_size: the inner step size alpha.
            steps: the number of inner steps T.
            first_order: whether to drop second derivatives from outer gradients.
            hyper_step_size: the step size of alpha itself; 0 is MAML.
        """
        checks.float_leaves("params", params)
        return cls(step_size, hyper_step_size, steps, first_order)

    @property
    def linear(self) -> bool:
        return self.steps <= 1

    def next(self, params: Params, grads: Params, loss: Loss) -> AlphaMAML:
        check_step(self, loss, params=params, grads=grads)
        return descend_field(self, "step_size", self.hyper_step_size, params, grads, loss)
