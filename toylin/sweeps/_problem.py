"""What a run is made of, as one pytree: an axis of a sweep replaces a part of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax

from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin.models import DeepLinear
from toylin.rules import Rule, make_rule, rule_options
from toylin.tasks import check_law
from toylin.training._optimizer import Optimizer


@pytree_dataclass
class Sizes:
    """What a sampled loss draws at every iteration: ``num_tasks``, and ``num_queries`` points each.

    ``num_queries=None`` scores on the population.
    """

    num_tasks: int = static_field(default=32)
    num_queries: int | None = static_field(default=10)

    def __post_init__(self) -> None:
        checks.integer("num_tasks", self.num_tasks, minimum=1)
        if self.num_queries is not None:
            checks.integer("num_queries", self.num_queries, minimum=1)


@pytree_dataclass
class MadeRule:
    """A rule made from the initial parameters, by a function."""

    function: Callable[[Any], Rule] = static_field()

    def make(self, params: Any) -> Rule:
        """The rule for models like ``params``."""
        return self.function(params)


@pytree_dataclass
class NamedRule:
    """A rule by its name, as ``make_rule`` makes it from the initial parameters."""

    name: str = static_field(default="maml")
    step_size: float | jax.Array = 0.1
    steps: int = static_field(default=1)
    items: tuple[tuple[str, Any], ...] = static_field(default=())

    def __post_init__(self) -> None:
        known = self.known_options()
        checks.scalar("step_size", self.step_size)
        checks.integer("steps", self.steps, minimum=0)
        for option, _ in self.items:
            if option not in known:
                raise ValueError(
                    f"options of rule {self.name!r} must be among {', '.join(known) or 'none'}, "
                    f"got {option!r}"
                )

    @property
    def options(self) -> Mapping[str, Any]:
        """What the rule takes beside step size and steps."""
        return dict(self.items)

    def known_options(self) -> dict[str, bool]:
        """The names of the options of this rule; all are structure."""
        return {name: True for name in rule_options(self.name) if name != "key"}

    def make(self, params: Any) -> Rule:
        """The rule for models like ``params``."""
        return make_rule(self.name, params, self.step_size, self.steps, **self.options)


@pytree_dataclass
class Problem:
    """Tasks, rule, model, optimizer and, where tasks are sampled, how many.

    Raises:
        ValueError: a part that is not what it must be.
    """

    tasks: Any
    rule: Any
    model: Any
    optimizer: Any
    loss: Sizes

    def __post_init__(self) -> None:
        check_law(self.tasks)
        if not isinstance(self.rule, Rule) and not hasattr(self.rule, "make"):
            if isinstance(self.rule, type) or not callable(self.rule):
                raise ValueError(
                    "rule must be an adaptation rule, or a function of the initial parameters that "
                    f"makes one, got {self.rule!r}"
                )
            object.__setattr__(self, "rule", MadeRule(self.rule))
        if not callable(self.model) or not callable(getattr(self.model, "init", None)):
            raise ValueError(
                "model must be such as DeepLinear(): a pytree with init(key, tasks, dtype), called "
                f"as model(params, x); got {self.model!r}"
            )
        if isinstance(self.optimizer, str):
            object.__setattr__(self, "optimizer", Optimizer(self.optimizer))
        checks.instance("optimizer", self.optimizer, Optimizer)
        checks.instance("loss", self.loss, Sizes)

    def rule_for(self, params: Any) -> Rule:
        """The rule of a run that starts at ``params``."""
        return self.rule if isinstance(self.rule, Rule) else self.rule.make(params)

    @property
    def linear(self) -> bool:
        """Whether the model is the deep linear one."""
        return isinstance(self.model, DeepLinear)


OWNERS = tuple(f.name for f in dataclasses.fields(Problem))


def fields_of(setting: Any) -> dict[str, bool]:
    """Field name -> whether it is structure (and so compiled in)."""
    if isinstance(setting, MadeRule):
        return {}
    if hasattr(setting, "_fields"):
        return dict.fromkeys(setting._fields, False)
    if not dataclasses.is_dataclass(setting):
        return {}
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(setting)]
    arrays = {getattr(path[0], "name", None) for path in paths if path}
    fields = {
        f.name: bool(f.metadata.get("static")) or f.name not in arrays
        for f in dataclasses.fields(setting)
        if f.name not in ("options", "items")
    }
    return fields | (setting.known_options() if hasattr(setting, "known_options") else {})


def put(problem: Problem, owner: str, name: str, value: Any) -> Problem:
    """``problem`` with one field of one part replaced, through the constructors and their checks.

    An empty ``name`` replaces the whole part.
    """
    if name == "":
        return dataclasses.replace(problem, **{owner: value})
    setting = getattr(problem, owner)
    if hasattr(setting, "known_options") and name in setting.known_options():
        options = {**setting.options, name: value}
        changed = {"options": options} if owner == "optimizer" else {"items": (*options.items(),)}
    else:
        changed = {name: value}
    replace: Any = setting._replace if hasattr(setting, "_replace") else None
    new = replace(**changed) if replace else dataclasses.replace(setting, **changed)
    return dataclasses.replace(problem, **{owner: new})


def put_leaf(problem: Problem, owner: str, name: str, leaf: Any) -> Problem:
    """``problem`` with one leaf replaced by anything, without checks."""
    setting = getattr(problem, owner)
    if hasattr(setting, "known_options") and name in setting.known_options():
        return _with(problem, owner, _with(setting, "options", {**setting.options, name: leaf}))
    return _with(problem, owner, _with(setting, name, leaf))


def _with(node: Any, name: str, value: Any) -> Any:
    if hasattr(node, "_replace"):
        return node._replace(**{name: value})
    new = object.__new__(type(node))
    for field in dataclasses.fields(node):
        object.__setattr__(new, field.name, getattr(node, field.name))
    object.__setattr__(new, name, value)
    return new
