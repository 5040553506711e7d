"""Meta-training parameters and rule together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.models import Params
from toylin.rules import Rule
from toylin.tasks import Batch
from toylin.training._losses import BatchLoss, ExactLoss, SampledLoss

Pair: TypeAlias = tuple[Params, Rule]


@pytree_dataclass
class JointLoss:
    """``loss((params, rule))``: an exact or a fixed batch's loss, with the rule as an argument."""

    loss: ExactLoss | BatchLoss

    def __call__(self, pair: Pair) -> Float[Array, ""]:
        """The loss of the parameters with that rule."""
        params, rule = pair
        return dataclasses.replace(self.loss, rule=rule)(params)


@pytree_dataclass
class JointSampledLoss:
    """``loss((params, rule), key)``: a sampled loss, with the rule as an argument."""

    loss: SampledLoss

    def draw(self, key: PRNGKeyArray, dtype: DTypeLike | None = None) -> Batch:
        """The tasks of one evaluation."""
        return self.loss.draw(key, dtype)

    def on(self, pair: Pair, batch: Batch) -> Float[Array, ""]:
        """The mean outer loss of the tasks in ``batch``."""
        params, rule = pair
        return dataclasses.replace(self.loss, rule=rule).on(params, batch)

    def __call__(self, pair: Pair, key: PRNGKeyArray) -> Float[Array, ""]:
        """The loss on freshly drawn tasks."""
        return self.on(pair, self.draw(key, pair[0][0].dtype))


def joint(
    loss: ExactLoss | SampledLoss | BatchLoss, params: Params
) -> tuple[JointLoss | JointSampledLoss, Pair]:
    """What ``meta_train`` needs to learn parameters and rule together.

    Args:
        loss: an outer loss; its rule is where the rule starts.
        params: where the parameters start.

    Returns:
        ``loss`` as a function of the pair (params, rule), and the pair to start from, its rule in
        the precision of ``params``.

    Raises:
        ValueError: another kind of loss.

    >>> import optax, toylin as tl
    >>> loss = tl.ExactLoss(tl.LinearRegression(), tl.MAML(step_size=0.1))
    >>> run = tl.meta_train(*tl.joint(loss, (jnp.ones((1, 1)),)), optax.adam(0.05), num_steps=500)
    >>> params, rule = run.params
    >>> print(f"{rule.step_size:.3f}")  # where one step is exact
    1.000
    """
    checks.instance("loss", loss, (ExactLoss, SampledLoss, BatchLoss))
    rule = jax.tree.map(lambda leaf: jnp.asarray(leaf, params[0].dtype), loss.rule)
    function = JointSampledLoss(loss) if isinstance(loss, SampledLoss) else JointLoss(loss)
    return function, (tuple(params), rule)


def separate(params_optimizer: Any, rule_optimizer: Any, frozen: Sequence[str] = ()) -> Any:
    """An optax optimizer of pairs (params, rule): one for the parameters, another for the rule.

    Args:
        params_optimizer: an optax gradient transformation, for the parameters.
        rule_optimizer: another, for the rule.
        frozen: names of the rule's fields that are held, say ``["step_size"]``.

    Raises:
        ValueError: when used, a name that is no learnable field of the rule.
    """
    import optax

    def label(path: Any, _: Any) -> str:
        return "frozen" if path[0].name in frozen else "rule"

    def labels(pair: Pair) -> tuple[Any, Any]:
        params, rule = pair
        fields = {path[0].name for path, _ in jax.tree_util.tree_leaves_with_path(rule)}
        for name in frozen:
            if name not in fields:
                raise ValueError(
                    f"frozen must name learnable fields of {type(rule).__name__}, "
                    f"{', '.join(sorted(fields))}; got {name!r}"
                )
        return jax.tree.map(lambda _: "params", params), jax.tree_util.tree_map_with_path(
            label, rule
        )

    optimizers = {
        "params": params_optimizer,
        "rule": rule_optimizer,
        "frozen": optax.set_to_zero(),
    }
    return optax.multi_transform(optimizers, labels)
