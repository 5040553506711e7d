"""Meta-SGD: a step size for every parameter, for every layer, for every inner step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin.models import Params
from toylin.rules._base import Loss, Rule, check_step
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
        per_step: whether every inner step has step sizes of its own: each of those arrays then has
            a first axis of T.

    Raises:
        ValueError: step sizes that are not finite, or a bad number of steps (at least 1 with
            ``per_step``). When used: a structure or shapes that are not those of the parameters.

    Source: Li, Zhou, Chen and Li, "Meta-SGD", 2017; a step size for every layer and step is that of
    Antoniou, Edwards and Storkey, "How to Train Your MAML", ICLR 2019.

    >>> import toylin as tl
    >>> task = tl.LinearRegression().population(jnp.ones(1))  # y = x
    >>> rule = MetaSGD((jnp.array([0.5, 1.0]),), steps=2, per_step=True)
    >>> print(tl.autodiff.adapt((jnp.zeros((1, 1)),), task, rule)[0])  # half of the way, then all
    [[1.]]
    """

    step_sizes: Any
    steps: int = static_field(default=1)
    first_order: bool = static_field(default=False)
    per_step: bool = static_field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        self._check_loop()
        checks.flag("per_step", self.per_step)
        checks.integer("steps", self.steps, minimum=int(self.per_step))
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
        per_step: bool = False,
    ) -> MetaSGD:
        """The rule at its start: the same step size everywhere, which is MAML.

        Args:
            params: the parameters that it will adapt, any pytree of arrays.
            step_size: the inner step size alpha.
            steps: the number of inner steps T.
            first_order: whether to drop second derivatives from outer gradients.
            per_layer: whether every array of ``params`` has one step size, or every entry.
            per_step: whether every inner step has step sizes of its own.
        """
        checks.float_leaves("params", params)
        checks.scalar("step_size", step_size)
        checks.flag("per_layer", per_layer)
        checks.flag("per_step", per_step)
        checks.integer("steps", steps, minimum=int(per_step))
        size = checks.numbers("step_size", step_size)  # fractions too
        first = (steps,) if per_step else ()
        sizes = jax.tree.map(
            lambda w: jnp.full(first + (() if per_layer else np.shape(w)), size, w.dtype), params
        )
        return cls(sizes, steps, first_order, per_step=per_step)

    @property
    def linear(self) -> bool:
        return not self.per_step or self.steps == 1

    @property
    def affine(self) -> bool:
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
        first = (self.steps,) if self.per_step else ()
        sizes = map(np.shape, jax.tree.leaves(self.step_sizes))
        for (name, shape), size in zip(named_shapes(params), sizes, strict=True):
            if size not in (first + shape, first):
                wanted = f"be of shape {first + shape} or {first}, a step each"
                if not self.per_step:
                    wanted = "be of that shape or one number"
                raise ValueError(
                    f"step_sizes do not fit {name}: it has shape {shape}, and its step sizes must "
                    f"{wanted}, got shape {size}"
                )

    def update(self, grads: Params) -> Params:
        check_step(self, grads=grads)
        leaves, structure = jax.tree.flatten(grads)
        sizes = jax.tree.leaves(self.step_sizes)
        if self.per_step:
            sizes = [jnp.asarray(a)[0] for a in sizes]
        return jax.tree.unflatten(structure, [a * g for a, g in zip(sizes, leaves, strict=True)])

    def next(self, params: Params, grads: Params, loss: Loss) -> MetaSGD:
        check_step(self, loss, params=params, grads=grads)
        if not self.per_step:
            return self
        later = jax.tree.map(lambda a: jnp.roll(jnp.asarray(a), -1, axis=0), self.step_sizes)
        return self.replace(step_sizes=later)


def _as_tuple(tree: Any) -> Any:
    """A list of layers is as good as a tuple of them."""
    return tuple(tree) if isinstance(tree, list) else tree
