"""Meta-training parameters and rule together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from toylin._internal import checks
from toylin._internal.dtypes import float_type
from toylin._internal.pytree import pytree_dataclass
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.rules import Rule
from toylin.training._drawing import draws, in_parts
from toylin.training._losses import ScoredOnce
from toylin.training._optimizer import check_optimizer

Pair: TypeAlias = tuple[Any, Rule]


@pytree_dataclass
class JointLoss:
    """``loss((params, rule))``: a loss that draws nothing, with its rule as an argument."""

    loss: Any

    def __call__(self, pair: Pair) -> Float[Array, ""]:
        """The loss of the parameters with that rule."""
        params, rule = pair
        return _with_rule(self.loss, rule)(params)


@pytree_dataclass
class JointSampledLoss:
    """``loss((params, rule), key)``: a loss that draws tasks, with its rule as an argument."""

    loss: Any

    def draw(self, key: PRNGKeyArray) -> Any:
        """The tasks of one evaluation."""
        return self.loss.draw(key)

    def on(self, pair: Pair, drawn: Any) -> Float[Array, ""]:
        """The mean outer loss of the tasks in ``drawn``."""
        params, rule = pair
        return _with_rule(self.loss, rule).on(params, drawn)

    def __call__(self, pair: Pair, key: PRNGKeyArray) -> Float[Array, ""]:
        """The loss on freshly drawn tasks."""
        params, rule = pair
        return _with_rule(self.loss, rule)(params, key)

    def for_training(self, pair: Pair) -> JointSampledLoss:
        """The same in law, for a loop that scores every draw once."""
        return JointSampledLoss(in_parts(self.loss, pair[0]))


def _with_rule(loss: Any, rule: Rule) -> Any:
    if isinstance(loss, ScoredOnce):
        return dataclasses.replace(loss, loss=_with_rule(loss.loss, rule))
    if hasattr(loss, "_replace"):
        return loss._replace(rule=rule)
    return dataclasses.replace(loss, rule=rule)


def joint(loss: Any, params: Any) -> tuple[JointLoss | JointSampledLoss, Pair]:
    """What ``meta_train`` needs to learn parameters and rule together.

    Args:
        loss: an outer loss with a field ``rule``, which is where the rule starts: ``ExactLoss``,
            ``SampledLoss``, ``BatchLoss``, or a frozen pytree dataclass or named tuple of your own
            (``loss(params)``, or with ``draw(key)`` and ``on(params, drawn)``).
        params: where the parameters start.

    Returns:
        ``loss`` as a function of the pair (params, rule), and the pair to start from, its rule in
        the precision of ``params``.

    Raises:
        ValueError: a loss without a rule.

    >>> import optax, toylin as tl
    >>> loss = tl.ExactLoss(tl.LinearRegression(), tl.MAML(step_size=0.1))
    >>> run = tl.meta_train(*tl.joint(loss, (jnp.ones((1, 1)),)), optax.adam(0.05), num_steps=500)
    >>> params, rule = run.params
    >>> print(f"{rule.step_size:.3f}")  # where one step is exact
    1.000
    """
    rule = getattr(loss, "rule", None)
    if not isinstance(rule, Rule):
        raise ValueError(f"loss must be an outer loss with a rule in its field rule, got {loss!r}")
    checks.float_leaves("params", params)
    dtype = float_type(params)
    rule = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), rule)
    params = tuple(params) if isinstance(params, list) else params
    return JointSampledLoss(loss) if draws(loss) else JointLoss(loss), (params, rule)


def separate(params_optimizer: Any, rule_optimizer: Any, frozen: Sequence[str] = ()) -> Any:
    """An optax optimizer of pairs (params, rule): one for the parameters, another for the rule.

    Args:
        params_optimizer: an optax gradient transformation, for the parameters.
        rule_optimizer: another, for the rule.
        frozen: names of the rule's fields that are held, say ``["step_size"]``.

    Raises:
        ValueError: no optax optimizer, or no list of names; when used, a name that is no learnable
            field of the rule.
    """
    import optax

    for name, optimizer in (
        ("params_optimizer", params_optimizer),
        ("rule_optimizer", rule_optimizer),
    ):
        check_optimizer(optimizer, name)
    if isinstance(frozen, str) or not isinstance(frozen, Sequence):
        raise ValueError(f"frozen must be a list of names of the rule's fields, got {frozen!r}")

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
