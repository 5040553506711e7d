"""Meta-SGD: a step size for every parameter."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin.models import Params
from toylin.rules._base import Rule, check_step
from toylin.rules._leaves import check_finite, named_shapes


@pytree_dataclass
class MetaSGD(Rule):
    """Gradient descent with a learned step size for every parameter: w <- w - a * gradient.

    Args:
        step_sizes: the step sizes, leaves: a pytree of the structure of the parameters that holds,
            for each of their arrays, one of the same shape, or a number (one step size for the
            layer). ``MetaSGD.identity(params, 0.1)`` starts them all at 0.1.
        steps: the number of inner steps T.
        first_order: whether to drop second derivatives from outer gradients.

    Raises:
        ValueError: step sizes that are not finite, or a bad number of steps. When used: a structure
            or shapes that are not those of the parameters.

    Source: Li, Zhou, Chen and Li, "Meta-SGD", 2017.
    """

    step_sizes: Any
    steps: int = static_field(default=1)
    first_order: bool = static_field(default=False)

    def __post_init__(self) -> None:
        self._check_loop()
        for path, sizes in jax.tree_util.tree_leaves_with_path(self.step_sizes):
            check_finite(f"step_sizes{jax.tree_util.keystr(path)}", sizes)

    @classmethod
    def identity(  # type: ignore[override]
        cls,
        params: Params,
        step_size: float | jax.Array,
        steps: int = 1,
        *,
        first_order: bool = False,
        per_layer: bool = False,
    ) -> MetaSGD:
        """The rule at its start: the same step size everywhere, which is MAML.

        Args:
            params: the parameters that it will adapt, any pytree of arrays.
            step_size: the inner step size alpha.
            steps: the number of inner steps T.
            first_order: whether to drop second derivatives from outer gradients.
            per_layer: whether every array of ``params`` has one step size, or every entry.
        """
        checks.float_leaves("params", params)
        checks.scalar("step_size", step_size)
        checks.flag("per_layer", per_layer)
        size = checks.numbers("step_size", step_size)  # fractions too
        sizes = jax.tree.map(
            lambda w: jnp.full(() if per_layer else np.shape(w), size, w.dtype), params
        )
        return cls(sizes, steps, first_order)

    @property
    def linear(self) -> bool:
        return True

    def check(self, params: Params) -> None:
        got: Any = jax.tree.structure(_as_tuple(self.step_sizes))
        wanted: Any = jax.tree.structure(_as_tuple(params))
        if got != wanted:
            raise ValueError(
                "step_sizes must have the structure of params, one entry for every array: "
                f"params are {wanted}, step_sizes {got}; MetaSGD.identity(params, step_size) "
                "makes them"
            )
        sizes = map(np.shape, jax.tree.leaves(self.step_sizes))
        for (name, shape), size in zip(named_shapes(params), sizes, strict=True):
            if size not in (shape, ()):
                raise ValueError(
                    f"step_sizes do not fit {name}: it has shape {shape}, and its step sizes must "
                    f"be of that shape or one number, got shape {size}"
                )

    def update(self, grads: Params) -> Params:
        check_step(self, grads=grads)
        leaves, structure = jax.tree.flatten(grads)
        sizes = jax.tree.leaves(self.step_sizes)
        return jax.tree.unflatten(structure, [a * g for a, g in zip(sizes, leaves, strict=True)])


def _as_tuple(tree: Any) -> Any:
    """A list of layers is as good as a tuple of them."""
    return tuple(tree) if isinstance(tree, list) else tree
