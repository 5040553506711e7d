"""MAML: gradient descent on all layers, with one step size."""

from __future__ import annotations

import jax

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin.models import Params
from toylin.rules._base import GradientDescent


@pytree_dataclass
class MAML(GradientDescent):
    """Gradient descent from a meta-learned start: w <- w - step_size * gradient, ``steps`` times.

    Outer gradients go through the inner ones (second order). With ``first_order=True`` they do not
    (FOMAML): the value of the outer loss is the same, its gradient treats inner gradients as
    constants.

    Args:
        step_size: the inner step size alpha, a leaf (it can be meta-learned, or swept by ``vmap``).
            Any finite number; negative ones are allowed, since the best one can be negative.
        steps: the number of inner steps T, at least 0 (no adaptation).
        first_order: whether to drop second derivatives from outer gradients.

    Raises:
        ValueError: a step size that is no finite number, or a bad number of steps.

    Source: Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning", ICML 2017.

    >>> import toylin as tl
    >>> task = tl.LinearRegression().population(jax.numpy.ones(1))  # y = x
    >>> (w,) = tl.autodiff.adapt((jax.numpy.zeros((1, 1)),), task, MAML(step_size=0.1, steps=2))
    >>> print(f"{w[0, 0]:.2f}")  # 1 - 0.9², a share of the way
    0.19
    """

    step_size: float | jax.Array
    steps: int = static_field(default=1)
    first_order: bool = static_field(default=False)

    @classmethod
    def identity(  # type: ignore[override]
        cls,
        params: Params,
        step_size: float | jax.Array,
        steps: int = 1,
        *,
        first_order: bool = False,
    ) -> MAML:
        """The rule itself, for any parameters.

        Args:
            params: the parameters that it will adapt, any pytree of arrays.
            step_size: the inner step size alpha.
            steps: the number of inner steps T.
            first_order: whether to drop second derivatives from outer gradients.
        """
        checks.float_leaves("params", params)
        return cls(step_size, steps, first_order)


def FOMAML(step_size: float | jax.Array, steps: int = 1) -> MAML:  # noqa: N802
    """First-order MAML: ``MAML(step_size, steps, first_order=True)``.

    Args:
        step_size: as for ``MAML``.
        steps: as for ``MAML``.

    Source: Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning", ICML 2017, section 5.2.
    """
    return MAML(step_size, steps, first_order=True)
