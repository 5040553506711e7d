"""A sweep before it runs: its dimensions, the programs it needs and the chunks it runs in."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, prod
from typing import Any

import jax
import numpy as np

from toylin._internal import checks
from toylin._internal.dtypes import float_dtype
from toylin.sweeps._axes import Dimension, Field, parse, put, put_array
from toylin.sweeps._memory import Cost, cost
from toylin.sweeps._program import Settings, ShotsTable, Structure, shots_table, train
from toylin.sweeps._settings import describe
from toylin.tasks import MAX_NODES, BinaryClassification, LinearRegression, count_nodes

MOST_RUNS = 4096  # in a chunk: what a crash can lose, and what must fit in the caches
MOST_WORK = 2e10  # bytes touched in a chunk: some ten seconds' worth on a core


@dataclass(frozen=True, eq=False)
class Chunk:
    """A box of runs: ``start`` and ``stop`` along every dimension."""

    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def slices(self) -> tuple[slice, ...]:
        """The box as an index."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sides."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that decides the numbers of a sweep. ``dims`` end in the seed."""

    base: Mapping[str, Any]
    dims: tuple[Dimension, ...]
    seeds: np.ndarray
    seed_is_axis: bool
    num_steps: int
    record_every: int
    loss: str
    eval_tasks: int
    learn_rule: bool
    tolerance: float
    dtype: np.dtype

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
        return np.arange(0, self.num_steps + 1, self.record_every)

    @cached_property
    def tabulated(self) -> bool:
        """Whether the number of shots is batched: exact losses of one-dimensional tasks."""
        swept = {(f.owner, f.name) for d in self.dims for f in d.fields}
        tasks = self.base["tasks"]
        fixed = ("tasks", "") not in swept and ("tasks", "dim") not in swept
        return (
            self.loss == "exact"
            and fixed
            and isinstance(tasks, LinearRegression)
            and tasks.dim == 1
        )

    def batches(self, dim: Dimension) -> bool:
        """Whether all runs along this dimension share a program."""
        return all(self.is_number(f) for f in dim.fields)

    def is_number(self, field: Field) -> bool:
        """Whether a field is an input of the program, not part of it."""
        return field.array is not None or (
            self.tabulated and (field.owner, field.name) == ("tasks", "shots")
        )

    @cached_property
    def shots(self) -> tuple[int | None, ...]:
        """The numbers of shots in the table, a row each."""
        for dim in self.dims:
            for field in dim.fields:
                if (field.owner, field.name) == ("tasks", "shots"):
                    return field.values
        return (self.base["tasks"].shots,)

    @cached_property
    def inputs(self) -> int:
        """The largest input dimension."""
        return max(s.widths[0] for s in self.structures.values())

    @cached_property
    def structures(self) -> dict[tuple[int, ...], Structure]:
        """The structure at every combination of structural values, by their indices."""
        ranges = [range(1 if self.batches(d) else d.size) for d in self.dims]
        return {index: self._structure(self.at(index)) for index in itertools.product(*ranges)}

    def at(self, index: tuple[int, ...]) -> dict[str, Any]:
        """The settings at one point of the sweep, through their checks."""
        settings = dict(self.base)
        # Whole settings first, so that fields are then put into the right ones.
        entries = [
            (f, f.values[i]) for d, i in zip(self.dims, index, strict=True) for f in d.fields
        ]
        for field, value in sorted(entries, key=lambda entry: entry[0].name != ""):
            settings = put(settings, field.owner, field.name, value)
        return settings

    def _structure(self, settings: Mapping[str, Any]) -> Structure:
        tasks, rule = settings["tasks"], settings["rule"]
        made = callable(rule)
        noise_swept = any(f.name == "noise_std" for d in self.dims for f in d.fields)
        noise = getattr(tasks, "noise_std", None)
        structure = Structure(
            widths=settings["model"].shape(tasks.dim),
            inputs=0,
            num_steps=self.num_steps,
            record_every=self.record_every,
            loss="nodes" if self.tabulated else self.loss,
            num_tasks=settings["loss"]["num_tasks"],
            num_queries=settings["loss"]["num_queries"],
            eval_tasks=self.eval_tasks,
            noiseless=noise is not None and not noise_swept and float(np.asarray(noise)) == 0,
            learn_rule=self.learn_rule,
            make_rule=rule if made else None,
            tolerance=self.tolerance,
            dtype=self.dtype.name,
        )
        if self.tabulated and not made:
            finite = [k for k in self.shots if k is not None]
            depth = len(structure.widths) - 1
            worst = replace(tasks, shots=finite[0] if finite else None)
            nodes = count_nodes(worst, depth, rule.steps)
            if nodes > MAX_NODES:
                raise ValueError(
                    f"an exact expectation at depth={depth}, steps={rule.steps} needs {nodes:.3g} "
                    f"nodes, more than MAX_NODES = {MAX_NODES}; use loss='sampled'"
                )
        return structure

    def structure_at(self, start: tuple[int, ...]) -> Structure:
        """The program that serves the runs at ``start``."""
        key = tuple(0 if self.batches(d) else i for d, i in zip(self.dims, start[:-1], strict=True))
        return replace(self.structures[key], inputs=self.inputs)

    def table(self, structure: Structure, settings: Settings) -> ShotsTable | None:
        """The table of shots that goes with a program."""
        if structure.loss != "nodes":
            return None
        steps = 0 if settings.rule is None else settings.rule.steps
        return shots_table(self.shots, len(structure.widths) - 1, steps)

    def inputs_for(
        self, chunk: Chunk, size: int, padded: int
    ) -> tuple[Settings, np.ndarray, tuple[int | None, ...]]:
        """The numbers of a chunk's runs, batched: settings, seeds, and which leaves vary.

        The last chunk along a dimension may be short: it is filled up to ``size`` (and to
        ``padded``, a multiple of the devices) with copies of its last run, so that one program
        serves all.
        """
        flat = np.minimum(np.arange(padded), prod(chunk.shape) - 1)
        offsets = np.unravel_index(flat, chunk.shape)
        index = [a + o for a, o in zip(chunk.start, offsets, strict=True)]
        settings = dict(self.base)
        fields = [(f, i) for d, i in zip(self.dims, index[:-1], strict=True) for f in d.fields]
        row: Any = np.int32(0)
        for field, where in sorted(fields, key=lambda entry: entry[0].name != ""):
            if field.array is not None:
                settings = put_array(settings, field.owner, field.name, field.array[where])
            elif self.is_number(field):
                row = where.astype(np.int32)
            else:
                settings = put(settings, field.owner, field.name, field.values[where[0]])
        if self.tabulated:  # structure only: the table holds the shots
            settings = put_array(settings, "tasks", "shots", None)
        made = callable(settings["rule"])
        tree = Settings(
            settings["tasks"],
            None if made else settings["rule"],
            settings["optimizer"],
            settings["model"].scale,
            row,
        )
        marks = self._marks(tree, row)
        return tree, self.seeds[index[-1]], marks

    def _marks(self, tree: Settings, row: Any) -> tuple[int | None, ...]:
        swept = {(f.owner, f.name) for d in self.dims for f in d.fields if f.array is not None}
        marks: list[int | None] = []
        for path, _ in jax.tree_util.tree_leaves_with_path(tree):
            owner = path[0].name
            last = path[-1]
            name = str(getattr(last, "name", getattr(last, "key", "")))
            owner, name = ("model", "scale") if owner == "scale" else (owner, name)
            varies = (owner, name) in swept or (owner == "shots_row" and np.ndim(row) > 0)
            marks.append(0 if varies else None)
        return tuple(marks)

    @cached_property
    def costs(self) -> dict[tuple[int, ...], Cost]:
        """Memory and work of a run, for every structure, from its traced program."""
        known: dict[Any, Cost] = {}
        found = {}
        for index in self.structures:
            start = (*index, 0)
            structure = self.structure_at(start)
            stop = tuple(i + 1 for i in start)
            settings, seeds, marks = self.inputs_for(Chunk(start, stop), 1, 1)
            table = self.table(structure, settings)
            leaves, treedef = jax.tree.flatten(settings)
            key = (structure, treedef, marks)
            if key not in known:
                one = [x[0] if m == 0 else x for x, m in zip(leaves, marks, strict=True)]
                known[key] = cost(
                    lambda s, k, t, structure=structure: train(s, k, t, structure),
                    jax.tree.unflatten(treedef, one),
                    seeds[0],
                    table,
                )
            found[index] = known[key]
        return found

    def block(self, memory: int, devices: int, most: int | None = None) -> tuple[int, ...]:
        """The sides of a chunk: within ``memory`` bytes, and small enough to be lost."""
        worst = max(c.bytes for c in self.costs.values())
        fit = memory // max(worst, 1)
        if fit < devices:
            raise ValueError(
                f"memory must allow for one run a device, {worst * devices:,} bytes "
                f"with {devices} devices, got {memory:,}"
            )
        work = max(c.work for c in self.costs.values())
        limit = min(fit, most or max(devices, min(MOST_RUNS, int(MOST_WORK // max(work, 1)))))
        sides: list[int] = []
        for dim in (None, *self.dims[::-1]):  # the seed first, then from the last dimension on
            size = self.seeds.size if dim is None else dim.size
            side = min(size, max(1, limit // prod(sides)))
            if dim is not None and not self.batches(dim):
                side = 1
            sides.append(ceil(size / ceil(size / side)))
        return tuple(reversed(sides))

    def chunks(self, block: tuple[int, ...]) -> Iterator[Chunk]:
        """All chunks, structure by structure."""
        order = sorted(range(len(self.dims)), key=lambda d: self.batches(self.dims[d]))
        order.append(len(self.dims))
        steps = [range(0, self.shape[d], block[d]) for d in order]
        for corner in itertools.product(*steps):
            start = [0] * len(order)
            for d, value in zip(order, corner, strict=True):
                start[d] = value
            stop = tuple(min(a + b, n) for a, b, n in zip(start, block, self.shape, strict=True))
            yield Chunk(tuple(start), stop)

    def describe(self) -> dict[str, Any]:
        """All that decides the numbers, as plain JSON."""
        over = {
            d.name: {f"{f.owner}.{f.name}".rstrip("."): describe(f.values) for f in d.fields}
            for d in self.dims
        }
        return {
            **{owner: describe(setting) for owner, setting in self.base.items()},
            "over": over,
            "seeds": describe(self.seeds.tolist() if self.seed_is_axis else int(self.seeds[0])),
            "num_steps": self.num_steps,
            "record_every": self.record_every,
            "loss_kind": self.loss,
            "eval_tasks": self.eval_tasks if self.loss == "sampled" else None,
            "learn_rule": self.learn_rule,
            "tolerance": self.tolerance,
            "dtype": self.dtype.name,
        }


def make_plan(
    over: Mapping[str, Any],
    base: Mapping[str, Any],
    *,
    loss: str,
    num_steps: int,
    record_every: int | None,
    seeds: Any,
    eval_tasks: int,
    learn_rule: bool,
    tolerance: float,
    dtype: Any,
) -> Plan:
    """Check all that a sweep is made of."""
    checks.integer("num_steps", num_steps, minimum=1)
    checks.integer("eval_tasks", eval_tasks, minimum=1)
    checks.scalar("tolerance", tolerance, minimum=0.0)
    if record_every is None:
        record_every = next(
            k for k in range(1, num_steps + 1) if num_steps / k <= 100 and not num_steps % k
        )
    checks.integer("record_every", record_every, minimum=1)
    if num_steps % record_every:
        raise ValueError(f"record_every must divide num_steps={num_steps}, got {record_every}")
    if loss not in ("exact", "sampled"):
        raise ValueError(f"loss must be 'exact' or 'sampled', got {loss!r}")
    dims = parse(over, base)
    plan = Plan(
        base=base,
        dims=dims,
        seeds=_seeds(seeds),
        seed_is_axis=seeds is not None,
        num_steps=num_steps,
        record_every=record_every,
        loss=loss,
        eval_tasks=eval_tasks,
        learn_rule=learn_rule,
        tolerance=float(tolerance),
        dtype=float_dtype(dtype),
    )
    _check_settings(plan)
    return plan


def _seeds(seeds: Any) -> np.ndarray:
    if seeds is None:
        return np.array([0])
    if isinstance(seeds, int | np.integer) and not isinstance(seeds, bool):
        checks.integer("seeds", seeds, minimum=1)
        return np.arange(seeds)
    array = np.asarray(list(seeds) if np.iterable(seeds) else seeds)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iu" or array.min() < 0:
        raise ValueError(
            f"seeds must be a number of seeds or a list of integers from 0 up, got {seeds!r}"
        )
    if array.max() >= 2**31:
        raise ValueError(f"seeds must be below 2**31, got {array.max()}")
    return array


def _check_settings(plan: Plan) -> None:
    """Every value of every axis passes the checks of the setting that it goes into."""
    origin = (0,) * len(plan.dims)
    for number, dim in enumerate(plan.dims):
        for index in _telling(dim):
            settings = plan.at((*origin[:number], index, *origin[number + 1 :]))
            checks.instance("tasks", settings["tasks"], (LinearRegression, BinaryClassification))
            checks.integer("num_tasks", settings["loss"]["num_tasks"], minimum=1)
            if settings["loss"]["num_queries"] is not None:
                checks.integer("num_queries", settings["loss"]["num_queries"], minimum=1)
    if plan.loss == "exact" and not isinstance(plan.at(origin)["tasks"], LinearRegression):
        raise ValueError(
            "loss='exact' serves linear regression in sweeps; use loss='sampled' for "
            f"{type(plan.at(origin)['tasks']).__name__}"
        )


def _telling(dim: Dimension) -> list[int]:
    """Indices whose values, if good, vouch for all: what is allowed of a number is an interval."""
    if not all(f.array is not None and f.array.ndim == 1 for f in dim.fields):
        return list(range(dim.size))
    found = {0}
    for field in dim.fields:
        assert field.array is not None
        bad = np.flatnonzero(~np.isfinite(field.array))
        found |= {int(field.array.argmin()), int(field.array.argmax()), *bad[:1].tolist()}
    return sorted(found)


def parse_memory(memory: int | float | str) -> int:
    """A number of bytes, or text such as "512 MiB" or "2GB".

    Raises:
        ValueError: neither, or not positive.
    """
    if isinstance(memory, str):
        match = re.fullmatch(r"\s*([0-9.]+)\s*([kKmMgGtT]?)(i?)[bB]?\s*", memory)
        if match:
            base = 1024 if match[3] else 1000
            memory = float(match[1]) * base ** " KMGT".index(match[2].upper() or " ")
    if not isinstance(memory, int | float) or not memory > 0:
        raise ValueError(f"memory must be a size such as '2GiB' or '512MB', got {memory!r}")
    return int(memory)
