"""Reptile: the outer direction is the way that adaptation went."""

from __future__ import annotations

from typing import ClassVar

import jax

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Float
from toylin.models import Params
from toylin.rules._base import GradientDescent, Loss, check_step, subtract, with_gradient


@pytree_dataclass
class Reptile(GradientDescent):
    """MAML's inner loop with params - adapted in place of the outer gradient.

    The outer *loss* is MAML's: the query loss after adaptation. Its *gradient*, as ``jax.grad``,
    ``outer_grad`` and ``meta_train`` see it, is the mean of params - adapted, so that gradient
    descent with outer step epsilon is Reptile: params <- params + epsilon (adapted - params). It is
    no gradient of the loss, and is zero in the rule's leaves: Reptile learns no step size.

    Args:
        step_size: the inner step size alpha, a leaf.
        steps: the number of inner steps T.

    Raises:
        ValueError: a step size that is no finite number, or a bad number of steps.

    Source: Nichol, Achiam and Schulman, "On First-Order Meta-Learning Algorithms", 2018, algorithm
    1 (the direction is not divided by alpha).
    """

    first_order: ClassVar[bool] = True  # type: ignore[misc]

    step_size: float | jax.Array
    steps: int = static_field(default=1)

    @classmethod
    def identity(cls, params: Params, step_size: float | jax.Array, steps: int = 1) -> Reptile:  # type: ignore[override]
        """The rule itself, for any parameters: its inner loop is MAML's.

        Args:
            params: the parameters that it will adapt, any pytree of arrays.
            step_size: the inner step size alpha.
            steps: the number of inner steps T.
        """
        checks.float_leaves("params", params)
        return cls(step_size, steps)

    def outer_value(self, params: Params, adapted: Params, loss: Loss) -> Float[Array, ""]:
        check_step(self, loss, params=params, adapted=adapted)
        return with_gradient(loss(adapted), params, subtract(params, adapted))
