"""What every adaptation rule is: a way from the gradient of the support loss to a step."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp

from toylin._internal import checks
from toylin._internal.loops import repeat
from toylin._internal.shapes import Array, Float
from toylin.models import Params

Loss = Callable[[Params], Array]
R = TypeVar("R", bound="Rule")


class Rule(ABC):
    """An adaptation rule: w <- w - ``update(gradient)``, ``steps`` times.

    A rule is a frozen dataclass and a pytree (``toylin.pytree_dataclass``). Its array leaves are
    what it can meta-learn; its structure is static. Only ``update`` has to be written. Parameters,
    and gradients with them, are any pytree of arrays. A rule whose step is no function of the
    gradient, but solves for what it adapts to, overrides ``step``.

    Attributes:
        steps: the number of inner steps T, at least 0 (no adaptation).
        first_order: whether outer gradients treat inner gradients as constants. The value of the
            outer loss is the same.
        learned: whether ``toylin train`` learns its leaves unless told otherwise, for the class.
    """

    learned: ClassVar[bool] = True
    steps: Any
    first_order: Any

    @classmethod
    def identity(
        cls, params: Params, step_size: float | Array, steps: int = 1, **options: Any
    ) -> Rule:
        """The rule at the start of its learning, where it is MAML with that step size.

        Args:
            params: the parameters that it will adapt.
            step_size: the inner step size alpha.
            steps: the number of inner steps T.
            options: fields of the rule. A rule of ours names those that it takes, see
                ``make_rule``.
        """
        checks.float_leaves("params", params)
        return cls(step_size=step_size, steps=steps, **options)  # type: ignore[call-arg]

    @abstractmethod
    def update(self, grads: Params) -> Params:
        """What one inner step subtracts from the parameters.

        Args:
            grads: the gradient of the support loss, a pytree like the parameters.
        """

    @property
    def linear(self) -> bool:
        """Whether ``update`` is one linear map of every layer's gradient, the same at all steps.

        Closed forms serve such rules. A rule that promises nothing is served by autodiff.
        """
        return False

    @property
    def affine(self) -> bool:
        """Whether what it adapts to is an affine map of the start, on losses that are quadratic.

        ``shallow_fixed_point`` serves such rules. Linear ones are.
        """
        return self.linear

    def check(self, params: Params) -> None:  # noqa: B027 (most rules fit all models)
        """Raise a ValueError unless the rule fits models like ``params``.

        Args:
            params: the parameters that it is to adapt.
        """

    def next(self: R, params: Params, grads: Params, loss: Loss) -> R:
        """The rule for the next inner step: itself, unless the rule too adapts to the task.

        Args:
            params: the parameters before this step.
            grads: the gradient of the support loss there.
            loss: the support loss, a function of parameters.
        """
        check_step(self, loss, params=params, grads=grads)
        return self

    def step(self: R, params: Params, loss: Loss) -> tuple[Params, R]:
        """One inner step: the parameters after it, and the rule for the next.

        Args:
            params: the parameters before it.
            loss: the support loss, a function of parameters.
        """
        check_step(self, loss, params=params)
        grads = jax.grad(loss)(params)
        if self.first_order:
            grads = jax.lax.stop_gradient(grads)
        return subtract(params, self.update(grads)), self.next(params, grads, loss)

    def adapt(self, params: Params, loss: Loss, remat: bool = False) -> Params:
        """The parameters after the inner loop.

        Args:
            params: the parameters before it.
            loss: the support loss, a function of parameters.
            remat: recompute steps in the backward pass instead of storing them.
        """
        check_step(self, loss, params=params)
        checks.flag("remat", remat)

        def step(carry: tuple[Params, Rule]) -> tuple[Params, Rule]:
            weights, rule = carry
            return rule.step(weights, loss)

        return repeat(step, (params, self), self.steps, remat)[0]

    def outer_value(self, params: Params, adapted: Params, loss: Loss) -> Float[Array, ""]:
        """One task's outer loss: the query loss of the adapted parameters.

        A rule whose outer direction is no gradient of it overrides this with a function of equal
        value whose gradient is that direction.

        Args:
            params: the parameters before the inner loop.
            adapted: those after it.
            loss: the query loss, a function of parameters.
        """
        check_step(self, loss, params=params, adapted=adapted)
        return loss(adapted)

    def replace(self: R, **fields: Any) -> R:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **fields)  # type: ignore[type-var]

    def _check_loop(self) -> None:
        checks.integer("steps", self.steps, minimum=0)
        checks.flag("first_order", self.first_order)


class GradientDescent(Rule):
    """A rule whose step is ``step_size`` times the gradient: what MAML and its kin share."""

    learned: ClassVar[bool] = False
    step_size: Any

    def __post_init__(self) -> None:
        checks.scalar("step_size", self.step_size)
        self._check_loop()

    @property
    def linear(self) -> bool:
        return True

    def update(self, grads: Params) -> Params:
        check_step(self, grads=grads)
        return jax.tree.map(lambda g: self.step_size * g, grads)


def check_step(rule: Rule, loss: Any = ..., **trees: Params) -> None:
    """Raise a ValueError unless these are pytrees of floats, of one shape, that the rule fits.

    Args:
        rule: the rule.
        loss: what should be a function of parameters, where there is one.
        trees: parameters or gradients, by the names of the arguments that they are.
    """
    if loss is not ...:
        checks.function("loss", loss, "of params")
    shapes: dict[str, Any] = {}
    for name, tree in trees.items():
        checks.float_leaves(name, tree)
        # Layers in a list are as good as in a tuple.
        shapes[name] = [jnp.shape(leaf) for leaf in jax.tree.leaves(tree)]
        first = next(iter(shapes))
        if shapes[name] != shapes[first]:
            raise ValueError(
                f"{name} must hold arrays of the shapes of {first}, {shapes[first]}, "
                f"got {shapes[name]}"
            )
    name = next(iter(trees))
    try:
        rule.check(trees[name])
    except ValueError as error:
        if name == "params":
            raise
        raise ValueError(f"{name} must fit the rule: {error}") from None


def subtract(params: Params, updates: Params) -> Params:
    """params - updates, array by array."""
    return jax.tree.map(lambda w, u: w - u, params, updates)


@jax.custom_jvp
def with_gradient(value: Array, params: Params, grads: Params) -> Array:
    """``value``, with ``grads`` declared its gradient in ``params`` (and zero in all else)."""
    return value


@with_gradient.defjvp
def _with_gradient_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    value, _, grads = primals
    pairs = zip(jax.tree.leaves(grads), jax.tree.leaves(tangents[1]), strict=True)
    return value, sum((jnp.sum(g * d) for g, d in pairs), start=jnp.zeros_like(value))


def descend_field(
    rule: Any, field: str, step_size: Any, params: Params, grads: Params, loss: Loss
) -> Any:
    """``rule`` after a gradient step on one of its fields.

    The loss is that of the parameters after this step's update, ``params - update(grads)``, seen as
    a function of the field.
    """

    def after(value: Any) -> Array:
        return loss(subtract(params, rule.replace(**{field: value}).update(grads)))

    value = getattr(rule, field)
    slope = jax.grad(after)(value)
    if rule.first_order:
        slope = jax.lax.stop_gradient(slope)
    return rule.replace(**{field: jax.tree.map(lambda v, s: v - step_size * s, value, slope)})
