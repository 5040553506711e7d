"""The result of a sweep as labelled arrays: names, dimensions, coordinates, units, settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from toylin.sweeps._chunks import Chunk
from toylin.sweeps._plan import Plan


class Variable(NamedTuple):
    """A variable of the result: its dimensions after those of the runs, and what it means."""

    extra: tuple[str, ...]
    long_name: str
    units: str
    description: str = ""
    boolean: bool = False

    @property
    def attributes(self) -> dict[str, str]:
        """What is written beside its values."""
        more = {"description": self.description} if self.description else {}
        return {"long_name": self.long_name, "units": self.units, **more}


_RECORDS, _STEPS = ("iteration",), "meta-iterations"
_WEIGHTS = "end-to-end weights W_L ... W_1 after meta-training"
_DIVERGED = (
    "loss or gradient left the range of floats, or the final loss is over a thousand times the "
    "first"
)
VARIABLES = {
    "final_loss": Variable((), "outer loss after meta-training", "loss"),
    "unadapted_loss": Variable((), "loss of the meta-trained start without adaptation", "loss"),
    "loss": Variable(_RECORDS, "outer loss", "loss"),
    "grad_norm": Variable(_RECORDS, "Euclidean norm of the outer gradient", "loss"),
    "weights": Variable(("input",), _WEIGHTS, "output/input"),
    "distance_to_minimum": Variable(
        (),
        "distance to the nearest global minimum",
        "parameters",
        "NaN where the minima are not known in closed form",
    ),
    "diverged": Variable((), "diverged", "1", _DIVERGED, boolean=True),
    "diverged_at": Variable(
        (), "first iteration whose loss or gradient is not finite", _STEPS, "NaN where all are"
    ),
    "converged_at": Variable(
        (),
        "iteration from which the gradient norm stays within the tolerance",
        _STEPS,
        "NaN where it does not at the end",
    ),
}


def variables(plan: Plan) -> dict[str, Variable]:
    """The variables of a sweep: networks have no end-to-end weights."""
    return {n: v for n, v in VARIABLES.items() if plan.inputs or "input" not in v.extra}


def sizes(plan: Plan) -> dict[str, int]:
    """The dimensions of the result and their lengths."""
    runs = {d.name: d.size for d in plan.dims}
    if plan.seed_is_axis:
        runs["seed"] = plan.seeds.size
    inputs = {"input": plan.inputs} if plan.inputs else {}
    return {**runs, "iteration": plan.records.size, **inputs}


def run_dims(plan: Plan) -> tuple[str, ...]:
    """The dimensions over runs."""
    return tuple(name for name in sizes(plan) if name not in ("iteration", "input"))


def coordinates(plan: Plan) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]]:
    """name -> (dimensions, values, attributes)."""
    found: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]] = {}
    for dim in plan.dims:
        for field in dim.fields:
            values = field.coordinate()
            if field.name == "":
                values = np.array([label for label, _ in field.values])
            about = {"setting": f"{field.owner}.{field.name}".rstrip(".")}
            if field.array is None and any(v is None for v in field.values):
                about["description"] = "inf stands for infinitely many (the population)"
            found[field.label] = ((dim.name,), values, about)
        if dim.name not in found:
            found[dim.name] = ((dim.name,), np.arange(dim.size), {"setting": "zipped"})
    seeds = plan.seeds if plan.seed_is_axis else plan.seeds[0]
    found["seed"] = (("seed",) if plan.seed_is_axis else (), np.asarray(seeds), {})
    found["iteration"] = (("iteration",), plan.records, {"units": "meta-iterations"})
    if plan.inputs:
        found["input"] = (("input",), np.arange(plan.inputs), {})
    return found


def attributes(plan: Plan) -> dict[str, Any]:
    """The settings, and the software behind the numbers."""
    from importlib.metadata import version

    return {
        "title": "toylin sweep",
        "settings": json.dumps(plan.describe()),
        "versions": json.dumps(
            {name: version(name) for name in ("toylin", "jax", "optax", "numpy")}
        ),
        "loss_units": "half squared error or nats, in expectation over tasks",
    }


def in_memory(plan: Plan, arrays: dict[str, np.ndarray]) -> Any:
    """The results as an ``xarray.Dataset``."""
    import xarray

    from toylin.sweeps import _pictures  # noqa: F401  adds them to datasets

    dims = run_dims(plan)
    return xarray.Dataset(
        {
            name: ((*dims, *about.extra), arrays[name], about.attributes)
            for name, about in variables(plan).items()
        },
        coords=coordinates(plan),
        attrs=attributes(plan),
    )


class Memory:
    """Results kept in memory: the store of a sweep that is given none."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        lengths = sizes(plan)
        self._arrays = {
            name: np.empty(
                (*(lengths[d] for d in run_dims(plan)), *(lengths[d] for d in about.extra)),
                bool if about.boolean else plan.dtype,
            )
            for name, about in variables(plan).items()
        }

    def todo(self, chunks: Sequence[Chunk]) -> list[bool]:
        """Of every chunk, whether it is to be computed: all are."""
        return [True] * len(chunks)

    def write(self, chunk: Chunk, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep one chunk."""
        where = chunk.slices if self._plan.seed_is_axis else chunk.slices[:-1]
        for name, values in arrays.items():
            self._arrays[name][where] = values

    def dataset(self) -> Any:
        """All results."""
        return in_memory(self._plan, self._arrays)
