"""Run a plan: chunk after chunk through the compiled programs, on every device."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, prod
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from toylin.sweeps._dataset import VARIABLES
from toylin.sweeps._plan import Chunk, Plan
from toylin.sweeps._program import Result, run_chunk


def make_mesh(devices: Any = None) -> Mesh:
    """All devices of all processes (or those given) in a row."""
    return Mesh(np.array(jax.devices() if devices is None else list(devices)), ("runs",))


def compute(plan: Plan, chunk: Chunk, block: tuple[int, ...], mesh: Mesh) -> Result:
    """The results of a chunk's runs, as flat host arrays (in every process)."""
    devices = mesh.devices.size
    size = prod(block)
    padded = devices * ceil(size / devices)
    settings, seeds, axes = plan.inputs_for(chunk, size, padded)
    structure = plan.structure_at(chunk.start)
    table = plan.table(structure, settings)
    leaves, treedef = jax.tree.flatten(settings)
    seeds = seeds.astype(np.int32)
    placed = [_place(x, axis, mesh, plan) for x, axis in zip(leaves, axes, strict=True)]
    out = run_chunk(
        jax.tree.unflatten(treedef, placed),
        _place(seeds, 0, mesh, plan),
        jax.tree.map(lambda x: _place(x, None, mesh, plan), table),
        axes=axes,
        structure=structure,
        mesh=mesh,
    )
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        gathered: Result = multihost_utils.process_allgather(out, tiled=True)
        return gathered
    return jax.tree.map(np.asarray, out)


def _place(value: Any, axis: int | None, mesh: Mesh, plan: Plan) -> jax.Array:
    """``value`` on the devices: split along its runs, or whole on each."""
    value = np.asarray(value)
    if value.dtype.kind == "f":
        value = value.astype(plan.dtype)
    spec = PartitionSpec() if axis is None else PartitionSpec("runs")
    return jax.make_array_from_callback(
        value.shape, NamedSharding(mesh, spec), lambda index: value[index]
    )


def boxed(plan: Plan, chunk: Chunk, result: Result) -> dict[str, np.ndarray]:
    """Flat results (padding included) as arrays of the chunk's shape."""
    count = prod(chunk.shape)
    shape = chunk.shape if plan.seed_is_axis else chunk.shape[:-1]
    return {
        name: np.asarray(values)[:count].reshape(*shape, *np.shape(values)[1:])
        for name, values in zip(VARIABLES, _in_order(result), strict=True)
    }


def _in_order(result: Result) -> Iterator[Any]:
    return (getattr(result, name) for name in VARIABLES)


def run(plan: Plan, store: Any, block: tuple[int, ...], mesh: Mesh, progress: Any) -> None:
    """Compute every chunk that ``store`` lacks. ``store`` is None in all processes but the first.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; raised once the chunk under way is finished.
    """
    chunks = list(plan.chunks(block))
    todo = _shared(np.array([not (hasattr(store, "is_done") and store.is_done(c)) for c in chunks]))
    done = sum(prod(c.shape) for c, new in zip(chunks, todo, strict=True) if not new)
    show = progress(plan.runs, done) if progress else None
    with _stop_after_chunk() as stop:
        for chunk, new in zip(chunks, todo, strict=True):
            if not new:
                continue
            arrays = boxed(plan, chunk, compute(plan, chunk, block, mesh))
            if store is not None:
                where = chunk.slices if plan.seed_is_axis else chunk.slices[:-1]
                store.write(where, arrays)
            if show is not None:
                show.advance(prod(chunk.shape))
            if _shared(np.array(stop.is_set())):
                raise KeyboardInterrupt


def _shared(value: np.ndarray) -> np.ndarray:
    """What the first process says, in all of them."""
    if jax.process_count() == 1:
        return value
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.broadcast_one_to_all(value))


@contextmanager
def _stop_after_chunk() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event; a second one interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(*_: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
