"""Run a plan: chunk after chunk through the compiled programs, on every device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil, prod
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from toylin._internal.errors import StoreError
from toylin._internal.interrupt import stop_on_interrupt
from toylin._internal.progress import progress_bar
from toylin.sweeps._chunks import Chunk, all_chunks
from toylin.sweeps._dataset import variables
from toylin.sweeps._plan import Plan
from toylin.sweeps._program import Result, run_chunk

_MESSAGE = 1000  # bytes of an error that other processes are told of


def make_mesh(devices: Any = None) -> Mesh:
    """All devices of all processes (or those given) in a row.

    Raises:
        ValueError: something that is no device; JAX would remember it and abort later.
    """
    known = jax.devices()
    found = known if devices is None else list(devices) if np.iterable(devices) else []
    distinct = len({*map(id, found)}) == len(found)
    ours = all(isinstance(device, jax.Device) and device in known for device in found)
    if not (found and distinct and ours):
        raise ValueError(f"devices must be different ones of jax.devices(), got {devices!r}")
    return Mesh(np.array(found), ("runs",))


def compute(plan: Plan, chunk: Chunk, block: tuple[int, ...], mesh: Mesh) -> Result:
    """The results of a chunk's runs, as flat host arrays (in every process)."""
    devices = mesh.devices.size
    inputs, axes = plan.inputs_for(chunk, devices * ceil(prod(block) / devices))
    recipe, table = plan.recipe_at(chunk.start)
    leaves, treedef = jax.tree.flatten(inputs)
    placed = [_place(x, axis, mesh, plan) for x, axis in zip(leaves, axes, strict=True)]
    out = run_chunk(
        jax.tree.unflatten(treedef, placed),
        jax.tree.map(lambda x: _place(x, None, mesh, plan), table),
        axes=axes,
        recipe=recipe,
        mesh=mesh,
    )
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        with _others():
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
    found = {name: np.asarray(getattr(result, name))[:count] for name in variables(plan)}
    return {name: values.reshape((*shape, *values.shape[1:])) for name, values in found.items()}


def run(plan: Plan, store: Any, block: tuple[int, ...], mesh: Mesh, progress: bool) -> None:
    """Compute every chunk that ``store`` lacks. ``store`` is None in all processes but the first.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; raised once the chunk under way is finished.
        StoreError: a chunk could not be written.
        ConnectionError: another process is gone.
    """
    chunks = list(all_chunks(plan.shape, plan.batched, block))
    found = agree(partial(store.todo, chunks) if store is not None else None)
    todo = shared(np.array(found or [True] * len(chunks)))
    done = sum(prod(c.shape) for c, new in zip(chunks, todo, strict=True) if not new)
    with stop_on_interrupt() as stop, progress_bar(progress, plan.runs, "runs", done) as count:
        for chunk, new in zip(chunks, todo, strict=True):
            if not new:
                continue
            arrays = boxed(plan, chunk, compute(plan, chunk, block, mesh))
            agree(partial(store.write, chunk, arrays) if store is not None else None)
            count(prod(chunk.shape))
            if shared(np.array(stop.is_set())):
                raise KeyboardInterrupt


def agree(action: Callable[[], Any] | None) -> Any:
    """Do what the first process alone has to do; where it cannot, no process goes on.

    Args:
        action: what to do; None in the other processes.

    Raises:
        StoreError: in the others, that the first could not, and why.
    """
    result, error = None, None
    try:
        result = action and action()
    except (OSError, ValueError) as found:
        if jax.process_count() == 1:
            raise
        error = found
    message = str(error or "").encode()[:_MESSAGE]
    told = bytes(shared(np.frombuffer(message.ljust(_MESSAGE, b"\0"), np.uint8))).strip(b"\0")
    if error:
        raise error
    if told:
        raise StoreError(f"the first process cannot go on: {told.decode(errors='replace')}")
    return result


def shared(value: np.ndarray) -> np.ndarray:
    """What the first process says, in all of them."""
    if jax.process_count() == 1:
        return value
    from jax.experimental import multihost_utils

    with _others():
        return np.asarray(multihost_utils.broadcast_one_to_all(value))


@contextmanager
def _others() -> Iterator[None]:
    """Name what stands behind an error of passing something between processes."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        raise ConnectionError(
            f"another of the {jax.process_count()} processes is gone; what was finished is in the "
            "store: run the same on all again"
        ) from error
