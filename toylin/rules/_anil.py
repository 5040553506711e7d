"""ANIL: only some of the parameters adapt, by any rule."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin.models import Params
from toylin.rules._base import GradientDescent, Loss, Rule, check_step

Layers = str | tuple[int | str, ...]


@pytree_dataclass
class ANIL(GradientDescent):
    """A rule that adapts only some of the parameters: by default MAML, on the head.

    ``ANIL(0.1)`` is MAML on the last layer. ``ANIL(rule=MetaKFO.identity(params[-1:], 0.1))`` lets
    another rule adapt it: the rule sees the tuple of the arrays that adapt, in the order of
    ``jax.tree.leaves``.

    Args:
        step_size: the inner step size alpha, a leaf; None where ``rule`` has it.
        steps: the number of inner steps T; that of ``rule`` where one is given.
        first_order: whether to drop second derivatives from outer gradients; that of ``rule`` where
            one is given.
        layers: what adapts. ``"head"`` (the last entry of a tuple of parameters), ``"body"`` (all
            but the last), or a tuple that names entries: by index (0 is W_1, -1 the head), by key,
            or by the path to what is further down, such as ``"encoder/bias"``. All that lies below
            an entry adapts with it.
        rule: how these adapt; MAML of that ``step_size`` if None.

    Raises:
        ValueError: a bad step size or number of steps; a rule as well as a step size, or neither; a
            rule whose outer direction is no gradient (``Reptile``); layers that are neither of the
            two words nor distinct names. When used: a layer that the model lacks, or the body of a
            model that has one layer.

    Source: Raghu, Raghu, Bengio and Vinyals, "Rapid Learning or Feature Reuse?", ICLR 2020.

    >>> import toylin as tl
    >>> params = (jax.numpy.full((1, 1), 3.0), jax.numpy.zeros((1, 1)))
    >>> task = tl.LinearRegression().population(jax.numpy.ones(1))
    >>> adapted = tl.closed_form.adapt(params, task, ANIL(step_size=0.1))
    >>> [bool((old == new).all()) for old, new in zip(params, adapted)]
    [True, False]
    """

    step_size: float | jax.Array | None = None
    steps: int = static_field(default=1)
    first_order: bool = static_field(default=False)
    layers: Layers = static_field(default="head")
    rule: Rule | None = None

    def __post_init__(self) -> None:
        if self.rule is None:
            super().__post_init__()
        else:
            self._take_loop_of(self.rule)
        if isinstance(self.layers, str) and self.layers in ("head", "body"):
            return
        names = self.layers if isinstance(self.layers, tuple) else ()
        named = all(isinstance(n, int | str) and not isinstance(n, bool) for n in names)
        if not names or not named or len(set(names)) < len(names):
            raise ValueError(
                "layers must be 'head', 'body' or a tuple of distinct indices or names of entries "
                f"of params, got {self.layers!r}"
            )

    def _take_loop_of(self, rule: Rule) -> None:
        checks.instance("rule", rule, Rule)
        if type(rule).outer_value is not Rule.outer_value:
            raise ValueError(
                f"rule must be one whose outer direction is a gradient, got {type(rule).__name__}"
            )
        if self.step_size is not None:
            raise ValueError(f"step_size must be None where rule is given, got {self.step_size!r}")
        for name in ("steps", "first_order"):
            default, own = getattr(type(self), name), getattr(rule, name)
            if getattr(self, name) not in (default, own):
                raise ValueError(
                    f"{name} is that of rule, {own!r}, where a rule is given; "
                    f"got {getattr(self, name)!r}"
                )
            object.__setattr__(self, name, own)

    @classmethod
    def identity(  # type: ignore[override]
        cls,
        params: Params,
        step_size: float | jax.Array,
        steps: int = 1,
        *,
        first_order: bool = False,
        layers: Layers = "head",
    ) -> ANIL:
        """MAML on ``layers``.

        Args:
            params: the parameters that it will adapt, any pytree of arrays.
            step_size: the inner step size alpha.
            steps: the number of inner steps T.
            first_order: whether to drop second derivatives from outer gradients.
            layers: which entries of the parameters adapt, as for ``ANIL``.
        """
        checks.float_leaves("params", params)
        return cls(step_size, steps, first_order, layers)

    @property
    def linear(self) -> bool:
        return self.rule is None or self.rule.linear

    @property
    def affine(self) -> bool:
        return self.rule is None or self.rule.affine

    def replace(self, **fields: Any) -> ANIL:
        """A copy with some fields changed; steps and first_order are those of ``rule``, if any."""
        rule = fields.get("rule", self.rule)
        if rule is None:
            return super().replace(**fields)
        own = {name: fields.pop(name) for name in ("steps", "first_order") if name in fields}
        rule = rule.replace(**own) if own else rule
        kept = {"step_size": None, "layers": self.layers, **fields, "rule": rule}
        return type(self)(**kept)

    def adapting(self, params: Params) -> tuple[bool, ...]:
        """For every array of ``params``, whether it adapts.

        Raises:
            ValueError: layers that the model lacks.
        """
        paths = [_names(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        chosen = [_entry(name, params) for name in self._entries(params)]
        for name, entry in zip(self._entries(params), chosen, strict=True):
            if not any(path[: len(entry)] == entry for path in paths):
                raise ValueError(
                    f"layers must name entries of params, which holds "
                    f"{', '.join('/'.join(path) for path in paths)}; got {name!r}"
                )
        if len(set(chosen)) < len(chosen):
            raise ValueError(f"layers must name every entry once, got {self.layers!r}")
        return tuple(any(path[: len(e)] == e for e in chosen) for path in paths)

    def _entries(self, params: Params) -> tuple[int | str, ...]:
        if isinstance(self.layers, tuple):
            return self.layers
        if not isinstance(params, tuple | list):
            raise ValueError(
                f"layers={self.layers!r} needs params that are a tuple of layers, "
                f"got {type(params).__name__}; name what adapts: layers=('encoder/bias', 'head')"
            )
        if self.layers == "head":
            return (len(params) - 1,)
        if len(params) < 2:
            raise ValueError(
                f"layers='body' needs two layers at least, the model has {len(params)}"
            )
        return tuple(range(len(params) - 1))

    def _part(self, tree: Params) -> Params:
        pairs = zip(jax.tree.leaves(tree), self.adapting(tree), strict=True)
        return tuple(leaf for leaf, adapts in pairs if adapts)

    def _whole(self, part: Params, rest: Params) -> Params:
        """``rest`` with ``part`` in the place of the arrays that adapt."""
        leaves, structure = jax.tree.flatten(rest)
        new = iter(part)
        moved = zip(leaves, self.adapting(rest), strict=True)
        return jax.tree.unflatten(
            structure, [next(new) if adapts else leaf for leaf, adapts in moved]
        )

    def check(self, params: Params) -> None:
        part = self._part(params)
        if self.rule is not None:
            self.rule.check(part)

    def update(self, grads: Params) -> Params:
        check_step(self, grads=grads)
        part = self._part(grads)
        if self.rule is None:
            moved = jax.tree.map(lambda g: self.step_size * g, part)
        else:
            moved = self.rule.update(part)
        return self._whole(moved, jax.tree.map(jnp.zeros_like, grads))

    def step(self, params: Params, loss: Loss) -> tuple[Params, ANIL]:
        if self.rule is None:
            return super().step(params, loss)
        check_step(self, loss, params=params)
        part, rule = self.rule.step(
            self._part(params), lambda part: loss(self._whole(part, params))
        )
        return self._whole(part, params), self.replace(rule=rule)


def _names(path: Any) -> tuple[str, ...]:
    """A path into a pytree as the names along it, all of them words."""
    return tuple(jax.tree_util.keystr((key,), simple=True) for key in path)


def _entry(name: int | str, params: Params) -> tuple[str, ...]:
    """The path that an entry of ``layers`` names."""
    if isinstance(name, str):
        return tuple(name.split("/"))
    keys = list(dict.fromkeys(_names(p)[0] for p, _ in jax.tree_util.tree_leaves_with_path(params)))
    return (keys[name],) if -len(keys) <= name < len(keys) else (str(name),)
