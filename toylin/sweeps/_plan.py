"""A sweep before it runs: its dimensions, the programs it needs and what they are given."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import jax
import numpy as np

from toylin._internal.pytree import recheck
from toylin._internal.traced_cost import Cost, cost
from toylin.sweeps._axes import Dimension, Field, parse, telling
from toylin.sweeps._chunks import Chunk
from toylin.sweeps._describe import describe
from toylin.sweeps._problem import OWNERS, Problem, put, put_leaf
from toylin.sweeps._program import Inputs, Recipe, start, train
from toylin.sweeps._recipe import check_recipe, check_seeds
from toylin.sweeps._shots import ShotsTable, shots_table
from toylin.tasks import LinearRegression
from toylin.training._losses import is_noiseless

_VARIES = object()
_SHOTS = ("tasks", "shots")


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that decides the numbers of a sweep. ``dims`` leave out the seed, the last."""

    base: Problem
    dims: tuple[Dimension, ...]
    seeds: np.ndarray
    seed_is_axis: bool
    recipe: Recipe

    @property
    def shape(self) -> tuple[int, ...]:
        """Runs along every dimension, the seed's last."""
        return (*(d.size for d in self.dims), self.seeds.size)

    @property
    def runs(self) -> int:
        """The number of runs."""
        return prod(self.shape)

    @property
    def records(self) -> np.ndarray:
        """The iterations that are recorded."""
        return np.arange(0, self.recipe.num_steps + 1, self.recipe.record_every)

    @property
    def dtype(self) -> np.dtype:
        """The float type of all numbers."""
        return np.dtype(self.recipe.dtype)

    @cached_property
    def _fields(self) -> list[tuple[int, Field]]:
        """Every field with its dimension, in the order in which they are put into a problem.

        Whole parts first, so that fields go into the right; batched numbers last, since no
        constructor may see them.
        """
        fields = [(d, f) for d, dim in enumerate(self.dims) for f in dim.fields]
        return sorted(fields, key=lambda entry: (entry[1].name != "", entry[1].array is not None))

    def _swept(self, owner: str, name: str) -> bool:
        return any((f.owner, f.name) == (owner, name) for _, f in self._fields)

    @cached_property
    def tabulated(self) -> bool:
        """Whether the number of shots is batched: exact losses of one-dimensional tasks."""
        tasks = self.base.tasks
        fixed = not self._swept("tasks", "") and not self._swept("tasks", "dim")
        scalar = isinstance(tasks, LinearRegression) and tasks.dim * tasks.outputs == 1
        return self.recipe.loss == "exact" and fixed and scalar

    def is_number(self, field: Field) -> bool:
        """Whether a field is an input of the program, not part of it."""
        shots = self.tabulated and (field.owner, field.name) == _SHOTS
        return field.array is not None or shots

    @cached_property
    def batched(self) -> tuple[bool, ...]:
        """Of every dimension, whether all runs along it share a program."""
        return (*(all(self.is_number(f) for f in d.fields) for d in self.dims), True)

    @cached_property
    def shots(self) -> tuple[int | None, ...]:
        """The numbers of shots in the table, a row each."""
        found = [f.values for _, f in self._fields if (f.owner, f.name) == _SHOTS]
        return tuple(found[0]) if found else (self.base.tasks.shots,)

    @cached_property
    def structures(self) -> tuple[tuple[int, ...], ...]:
        """The start of the runs of every program."""
        ranges = [
            range(1 if batched else size)
            for size, batched in zip(self.shape, self.batched, strict=True)
        ]
        return tuple(itertools.product(*ranges))

    def structure_of(self, where: tuple[int, ...]) -> tuple[int, ...]:
        """The start of the runs that share a program with those at ``where``."""
        return tuple(0 if b else i for i, b in zip(where, self.batched, strict=True))

    def at(self, index: tuple[int, ...]) -> Problem:
        """The problem at one point of the sweep, through its checks."""
        problem = self.base
        for d, field in self._fields:
            value = field.values[index[d]]
            value = value[1] if field.name == "" else value
            problem = put(problem, field.owner, field.name, value)
        return problem

    @cached_property
    def inputs(self) -> int:
        """The longest end-to-end vector; 0 where a model in the sweep has none."""
        problems = [self.at(index) for index in self.structures]
        if not all(p.linear for p in problems):
            return 0
        return max(p.model.shape(getattr(p.tasks, "dim", None))[0] for p in problems)

    @cached_property
    def _recipes(self) -> dict[tuple[int, ...], tuple[Recipe, ShotsTable | None]]:
        found = {}
        for index in self.structures:
            problem, table = self.at(index), None
            if self.tabulated:
                shape = jax.eval_shape(lambda p=problem: start(p, 0, self.recipe.dtype)[:2])
                table = shots_table(self.shots, len(shape[0]), shape[1].steps)
            quiet = not self._swept("tasks", "noise_std") and is_noiseless(problem.tasks)
            recipe = self.recipe._replace(
                tabulated=self.tabulated, noiseless=quiet, inputs=self.inputs
            )
            found[index] = (recipe, table)
        return found

    def recipe_at(self, where: tuple[int, ...]) -> tuple[Recipe, ShotsTable | None]:
        """What is compiled into the program that serves ``where``, and its table of shots."""
        return self._recipes[self.structure_of(where)]

    def inputs_for(self, chunk: Chunk, size: int) -> tuple[Inputs, tuple[int | None, ...]]:
        """The numbers of a chunk's runs, batched, and which leaves of them vary from run to run.

        The last chunk along a dimension may be short: it is filled up to ``size`` with copies of
        its last run, so that one program serves all.
        """
        flat = np.minimum(np.arange(size), prod(chunk.shape) - 1)
        offsets = np.unravel_index(flat, chunk.shape)
        where = [a + o for a, o in zip(chunk.start, offsets, strict=True)]
        row: Any = np.int32(0)
        problem = marked = self.base
        for d, field in self._fields:
            if field.array is not None:
                leaf = field.array[where[d]]
                problem = put_leaf(problem, field.owner, field.name, leaf)
                marked = put_leaf(marked, field.owner, field.name, _VARIES)
            elif self.is_number(field):
                row = where[d].astype(np.int32)
            else:
                value = field.values[chunk.start[d]]
                value = value[1] if field.name == "" else value
                problem = put(problem, field.owner, field.name, value)
                marked = put(marked, field.owner, field.name, value)
        if self.tabulated:  # the table holds the shots
            problem, marked = (put_leaf(p, *_SHOTS, None) for p in (problem, marked))
        seeds = self.seeds[where[-1]].astype(np.int32)
        marks = Inputs(marked, _VARIES if np.ndim(row) else row, _VARIES)
        axes = tuple(0 if leaf is _VARIES else None for leaf in jax.tree.leaves(marks))
        return Inputs(problem, row, seeds), axes

    @cached_property
    def costs(self) -> dict[tuple[int, ...], Cost]:
        """Memory and work of a run, for every structure, from its traced program."""
        known: dict[Any, Cost] = {}
        found = {}
        for index in self.structures:
            stop = tuple(i + 1 for i in index)
            inputs, axes = self.inputs_for(Chunk(index, stop), 1)
            recipe, table = self.recipe_at(index)
            leaves, treedef = jax.tree.flatten(inputs)
            key = (treedef, axes, recipe)
            if key not in known:
                one = [x[0] if axis == 0 else x for x, axis in zip(leaves, axes, strict=True)]
                known[key] = cost(
                    lambda i, t, recipe=recipe: train(i, t, recipe, unrolled=True),
                    jax.tree.unflatten(treedef, one),
                    table,
                )
            found[index] = known[key]
        return found

    @property
    def programs(self) -> int:
        """How many programs are compiled."""
        return len({id(cost) for cost in self.costs.values()})

    def describe(self) -> dict[str, Any]:
        """All that decides the numbers, as plain JSON."""
        over = {
            d.name: {
                f"{f.owner}.{f.name}".rstrip("."): describe(
                    f.values if f.array is None else f.array
                )
                for f in d.fields
            }
            for d in self.dims
        }
        recipe = self.recipe
        return {
            **{owner: describe(getattr(self.base, owner)) for owner in OWNERS},
            "over": over,
            "axes": [d.name for d in self.dims],
            "seeds": describe(self.seeds if self.seed_is_axis else self.seeds[0]),
            "num_steps": recipe.num_steps,
            "record_every": recipe.record_every,
            "loss_kind": recipe.loss,
            "test_tasks": recipe.test_tasks if recipe.loss == "sampled" else None,
            "learn_rule": recipe.learn_rule,
            "tolerance": recipe.tolerance,
            "dtype": recipe.dtype,
        }


def shortened(plan: Plan, num_steps: int) -> Plan:
    """The same programs at so few iterations that they can be timed."""
    recipe = plan.recipe._replace(num_steps=num_steps, record_every=num_steps)
    return replace(plan, recipe=recipe)


def make_plan(
    over: Mapping[str, Any], base: Problem, seeds: Any, recipe: Mapping[str, Any]
) -> Plan:
    """Check all that a sweep is made of; ``recipe`` holds the arguments of ``sweep``."""
    checked = check_recipe(**recipe)
    plan = Plan(base, parse(over, base), check_seeds(seeds), seeds is not None, checked)
    _check_values(plan)
    return plan


def _check_values(plan: Plan) -> None:
    """Every value of every axis passes the checks of the part that it goes into."""
    origin = (0,) * len(plan.shape)
    _recheck(plan.at(origin))
    for number, dim in enumerate(plan.dims):
        for index in telling(dim):
            _recheck(plan.at((*origin[:number], index, *origin[number + 1 :])))
    if plan.recipe.loss == "exact":
        for where in plan.structures:
            if not plan.at(where).linear:
                raise ValueError("loss='exact' serves the deep linear model; use loss='sampled'")


def _recheck(problem: Problem) -> None:
    """The parts of a problem may have been changed past their constructors."""
    for owner in OWNERS:
        recheck(owner, getattr(problem, owner))
