"""``sweep``: thousands of meta-training runs as one labelled result."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, prod
from typing import Any

import jax
import numpy as np
from jax.typing import DTypeLike

from toylin._internal import checks
from toylin.models import DeepLinear
from toylin.rules import MAML, Rule
from toylin.sweeps._chunks import Chunk, all_chunks, choose_block, parse_memory
from toylin.sweeps._dataset import Memory
from toylin.sweeps._plan import Plan, make_plan, shortened
from toylin.sweeps._problem import Problem, Sizes
from toylin.sweeps._reading import open_store
from toylin.sweeps._run import agree, compute, make_mesh, run, shared
from toylin.sweeps._store import Store
from toylin.tasks import LinearRegression, TaskLaw
from toylin.training._optimizer import Optimizer

_PROBE_STEPS = 20


@dataclass(frozen=True)
class SweepCost:
    """What a sweep would take: ``sweep(..., dry_run=True)``.

    Attributes:
        runs: the number of runs.
        programs: the number of programs to compile.
        chunks: the number of chunks, and ``chunk_runs`` the runs in one.
        memory: bytes that a chunk needs at most.
        seconds: a rough time to run, from a short probe of one program.
        compile_seconds: a rough time to compile, from the same probe.
    """

    runs: int
    programs: int
    chunks: int
    chunk_runs: int
    memory: int
    seconds: float
    compile_seconds: float

    def __str__(self) -> str:
        return (
            f"{self.runs:,} runs in {self.chunks:,} chunks of up to {self.chunk_runs:,}, "
            f"{self.programs:,} programs to compile, at most {self.memory / 2**20:,.1f} MiB; about "
            f"{_duration(self.compile_seconds)} to compile and {_duration(self.seconds)} to run"
        )


def sweep(
    tasks: TaskLaw | None = None,
    rule: Rule | Callable[..., Any] | None = None,
    *,
    over: Mapping[str, Any],
    model: Any | None = None,
    optimizer: Optimizer | str | None = None,
    loss: str = "exact",
    num_tasks: int = 32,
    num_queries: int | None = 10,
    num_steps: int = 1000,
    record_every: int | None = None,
    seeds: int | Sequence[int] | None = None,
    test_tasks: int = 1000,
    learn_rule: bool = False,
    tolerance: float = 1e-6,
    dtype: DTypeLike | None = None,
    store: str | os.PathLike[str] | None = None,
    memory: int | str = "2GiB",
    chunk_runs: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool = False,
    dry_run: bool = False,
) -> Any:
    """Meta-train at every combination of settings: the answer to a question asked as a sweep.

    Settings that are numbers are batched in one program, a ``vmap`` of one training loop; depth,
    widths, dimension, inner steps, the kind of rule and of optimizer (and the number of shots where
    tasks are sampled or have several dimensions) compile a program each. Runs go through it in
    chunks that fit in ``memory``, split over all devices of all processes; on another number of
    devices, or in chunks of another size, numbers differ by rounding.

    Args:
        tasks: the law of tasks, any pytree with ``sample(key, num_tasks, num_queries)``;
            ``LinearRegression()`` by default.
        rule: the adaptation rule, or a function of the initial parameters that makes it;
            ``MAML(0.1)`` by default.
        over: the axes. A field of ``tasks``, ``rule``, ``model``, ``optimizer`` or of the loss
            (``num_tasks``, ``num_queries``) and its values: ``{"depth": [1, 2, 3], "step_size":
            np.linspace(-1, 1, 41)}``; write ``rule.steps`` where a name is ambiguous. All axes
            together are a product. A mapping of fields, all of one length, moves them together
            along one dimension: ``{"schedule": {"learning_rate": [...], "step_size": [...]}}``.
            Whole settings go by labels: ``{"rule": {"maml": tl.MAML(0.1), ...}}``.
        model: depth, widths and scale of the deep linear model, or any model that knows its start:
            a pytree with ``init(key, tasks, dtype)``, called as ``model(params, x)``, whose fields
            can be swept too.
        optimizer: an ``Optimizer``, or an optax name; Adam at 0.01 by default.
        loss: "exact" (the expectation, by ``closed_form.outer_loss``) or "sampled" (fresh tasks at
            every iteration).
        num_tasks: of a sampled loss, as in ``SampledLoss``.
        num_queries: as ``num_tasks``.
        num_steps: meta-iterations.
        record_every: meta-iterations between records of loss and gradient norm; a divisor of
            ``num_steps``, by default one that leaves at most 100 records and the last.
        seeds: how many (0, 1, ...), or which; None runs seed 0 and has no such dimension. A seed
            draws the start and the tasks, the same for all settings of one shape: of the keys
            ``jax.random.split(jax.random.key(seed), 3)`` the first starts the model, the second is
            that of ``meta_train``, the third draws the tasks of the final loss.
        test_tasks: fresh tasks, scored on their population, for the final loss where it is sampled.
        learn_rule: meta-train the leaves of the rule too, from the values they have.
        tolerance: the gradient norm that counts as converged.
        dtype: of all numbers; JAX's default float type if None.
        store: a folder to write to as results come (Zarr). The same call resumes there, and mends
            what was damaged. Functions and classes of one's own are told apart by their code; where
            that has no exact description, by an attribute ``store_name``.
        memory: what a chunk may need, "2GiB" or a number of bytes.
        chunk_runs: runs in a chunk, at most; chosen if None. A store keeps the one it began with.
        devices: JAX devices; all of them if None.
        progress: show runs done, rate and time left.
        dry_run: return a ``SweepCost`` and run nothing but a short probe.

    Returns:
        An ``xarray.Dataset`` with a dimension an axis, in the order of ``over``, then ``seed``; its
        variables are final_loss, unadapted_loss, loss, grad_norm, weights (of the deep linear model
        alone), distance_to_minimum, diverged, diverged_at and converged_at, each explained in its
        attributes. With ``store`` it reads from there as it is used.

    Raises:
        ValueError: an axis or setting that is not what it must be; a store of another sweep, or of
            one that cannot be described exactly.
        NoClosedFormError: ``loss="exact"`` where there is none.
        StoreError: the store cannot be written, or another process is writing to it.
        ConnectionError: of several processes, another is gone.
        KeyboardInterrupt: Ctrl-C, once the chunk under way is finished.

    >>> import toylin as tl
    >>> ds = tl.sweep(over={"depth": [1, 2], "step_size": [0.1, 0.5]}, num_steps=200)
    >>> ds.final_loss.dims, bool(ds.final_loss.sel(depth=2, step_size=0.5) < 0.01)
    (('depth', 'step_size'), True)
    """
    base = Problem(
        LinearRegression() if tasks is None else tasks,
        MAML(0.1) if rule is None else rule,
        DeepLinear() if model is None else model,
        Optimizer() if optimizer is None else optimizer,
        Sizes(num_tasks, num_queries),
    )
    recipe = {
        "loss": loss,
        "num_steps": num_steps,
        "record_every": record_every,
        "test_tasks": test_tasks,
        "learn_rule": learn_rule,
        "tolerance": tolerance,
        "dtype": dtype,
    }
    for name, flag in (("progress", progress), ("dry_run", dry_run)):
        checks.flag(name, flag)
    store = None if store is None else checks.path("store", store)
    plan = make_plan(over, base, seeds, recipe)
    mesh = make_mesh(devices)
    costs = list(plan.costs.values())
    limits = (parse_memory(memory), mesh.devices.size, chunk_runs)
    block = choose_block(plan.shape, plan.batched, costs, *limits)
    if dry_run:
        return _estimate(plan, block, mesh)
    show = progress and jax.process_index() == 0
    if store is None:
        results = Memory(plan)
        run(plan, results, block, mesh, show)
        return results.dataset()
    writer = agree(partial(Store, store, plan, block) if jax.process_index() == 0 else None)
    try:
        block = tuple(shared(np.array(writer.block if writer else block)).tolist())
        run(plan, writer, block, mesh, show)
    finally:
        if writer is not None:
            writer.close()
    return open_store(store)


def _estimate(plan: Plan, block: tuple[int, ...], mesh: Any) -> SweepCost:
    """Time one chunk of the costliest program at a few iterations; take the rest in proportion."""
    devices = mesh.devices.size
    costs = plan.costs
    worst = max(costs, key=lambda index: costs[index].work)
    every = min(plan.recipe.record_every, _PROBE_STEPS)
    probe = shortened(plan, every)
    stop = tuple(min(a + b, n) for a, b, n in zip(worst, block, plan.shape, strict=True))
    chunk = Chunk(worst, stop)
    times = []
    for _ in range(2):
        begin = time.perf_counter()
        compute(probe, chunk, block, mesh)
        times.append(time.perf_counter() - begin)
    size = devices * ceil(prod(block) / devices)
    chunks = len(list(all_chunks(plan.shape, plan.batched, block)))
    # Structures differ in cost; each has the same number of chunks.
    relative = sum(c.work for c in costs.values()) / (len(costs) * costs[worst].work)
    scale = plan.recipe.num_steps / every
    return SweepCost(
        runs=plan.runs,
        programs=plan.programs,
        chunks=chunks,
        chunk_runs=prod(block),
        memory=max(c.bytes for c in costs.values()) * size,
        seconds=times[1] * scale * relative * chunks,
        compile_seconds=max(times[0] - times[1], 0.0) * plan.programs,
    )


def _duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
