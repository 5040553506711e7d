"""Meta-training runs as files: parameters, rule, losses and settings, saved and loaded again."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.files import npz_bytes, prepare, read_npz, replace
from toylin._internal.shapes import Array, Float, Int
from toylin._internal.showing import shown
from toylin.rules import RULES, Rule
from toylin.training._pictures import plot

# What a file may name. Nothing else that it says is looked up anywhere.
_RULES = {cls.__name__: cls for cls in RULES.values()}
_NUMBERS = "biufc"


@shown
class SavedRun(NamedTuple):
    """What ``load_run`` returns.

    Attributes:
        params: the trained parameters.
        rule: the rule that goes with them.
        loss: the loss at every recorded iteration.
        settings: what was asked.
        model: the name of the model, where one was given to ``save_run``; the file does not hold
            the model itself.
        iteration: which iterations are recorded; None for 0, 1, 2, ...
        results: what was measured of the trained model, by name.
    """

    params: Any
    rule: Rule
    loss: Float[Array, " records"]
    settings: dict[str, Any]
    model: str | None = None
    iteration: Int[np.ndarray, " records"] | None = None
    results: Mapping[str, float] = MappingProxyType({})

    plot = plot  # type: ignore[misc]  # a method, no field


def save_run(
    path: str | Path,
    params: Any,
    rule: Rule,
    loss: Float[Array, " records"] | np.ndarray,
    settings: Mapping[str, Any],
    model: Any = None,
    iteration: Int[np.ndarray, " records"] | None = None,
    results: Mapping[str, float] | None = None,
) -> Path:
    """Write a meta-training run as one .npz file, readable by ``load_run`` and by NumPy alone.

    Args:
        path: the file; its folder is made if it is missing, and an older file is replaced in one
            step.
        params: the trained parameters, arrays in tuples, lists and dicts (with names as keys). A
            named tuple is written as a dict.
        rule: the rule that goes with them.
        loss: the loss at every recorded iteration.
        settings: what was asked; anything that JSON can hold.
        model: the model that the parameters are of, if not the linear one; its name is written.
        iteration: which iterations are recorded, as ``Run.iteration``; 0, 1, 2, ... if None.
        results: numbers by name, what was measured of the trained model: ``toylin runs`` shows
            "test_accuracy", with "test_accuracy_stderr", and "test_loss" likewise.

    Raises:
        ValueError: parameters of another kind, a rule that is none of toylin's or holds a function
            (``GBML``), settings that JSON cannot hold, results that are no numbers, or a folder
            that cannot be written.
    """
    path = checks.path("path", path)
    checks.instance("rule", rule, Rule)
    checks.instance("settings", settings, Mapping)
    if model is not None:
        checks.function("model", model, "of parameters and inputs")
    results = {} if results is None else results
    checks.instance("results", results, Mapping)
    for name, value in results.items():
        checks.scalar(f"results[{name!r}]", value)
    checks.array("loss", loss, axes=1, finite=False)  # of a run that diverged, not all are finite
    arrays: dict[str, np.ndarray] = {"loss": np.asarray(checks.numbers("loss", loss))}
    arrays["iteration"] = _iterations(iteration, arrays["loss"].shape[-1])
    about = {
        "params": _write("params", params, arrays),
        "rule": _write_rule("rule", rule, arrays),
        "settings": dict(settings),
        "model": getattr(model, "__name__", type(model).__name__) if model is not None else None,
        "results": {str(name): float(value) for name, value in results.items()},
    }
    try:
        text = json.dumps(about)
    except TypeError as error:
        raise ValueError(f"settings must be what JSON can hold: {error}") from None
    prepare(path.parent)
    # Not packed, so that a file is as large as what is in it, however plain that is.
    replace(path, npz_bytes({"about": np.asarray(text), **arrays}, zipfile.ZIP_STORED))
    return path


def _iterations(iteration: Any, records: int) -> np.ndarray:
    which = np.arange(records) if iteration is None else checks.numbers("iteration", iteration)
    if which.shape != (records,) or which.dtype.kind not in "iu":
        raise ValueError(
            f"iteration must hold an integer for each of {records} records, got {which.dtype} of "
            f"shape {which.shape}"
        )
    return which


def _write(name: str, tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Put the arrays of ``tree`` into ``arrays``; return its structure for JSON (of one, None)."""
    if hasattr(tree, "_asdict"):
        tree = tree._asdict()
    if isinstance(tree, dict):
        if not all(isinstance(key, str) for key in tree):
            raise ValueError(f"{name} must have names as keys, got {list(tree)!r}")
        return {"dict": {k: _write(f"{name}/{k}", v, arrays) for k, v in tree.items()}}
    if isinstance(tree, tuple | list):
        kind = "list" if isinstance(tree, list) else "tuple"
        return {kind: [_write(f"{name}/{i}", v, arrays) for i, v in enumerate(tree)]}
    if tree is None:
        return "none"
    known = isinstance(tree, jax.Array | np.ndarray | np.generic | float | int)
    array = np.asarray(tree) if known else None
    if array is None or array.dtype.kind not in _NUMBERS:
        raise ValueError(
            f"{name} must be what a file can hold, arrays in tuples, lists and dicts, got {tree!r}"
        )
    if name in arrays or "\0" in name:
        raise ValueError(f"{name!r} must have keys without '/' or NUL, or two entries are one")
    arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    # A number of Python's takes the type of what it meets: read as an array it would not.
    return "number" if type(tree) in (float, int) else None


def _write_rule(name: str, rule: Rule, arrays: dict[str, np.ndarray]) -> Any:
    kind = type(rule).__name__
    if _RULES.get(kind) is not type(rule):
        raise ValueError(f"rule must be one that a file can hold, a rule of toylin, got {kind}")
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(rule):  # type: ignore[arg-type]
        value, where = getattr(rule, field.name), f"{name}/{field.name}"
        if isinstance(value, Rule):
            fields[field.name] = {"rule": _write_rule(where, value, arrays)}
        elif field.metadata.get("static"):
            fields[field.name] = {
                "static": value.item() if isinstance(value, np.generic) else value
            }
        else:
            fields[field.name] = {"tree": _write(where, value, arrays)}
    return {"kind": kind, "fields": fields}


def load_run(path: str | Path) -> SavedRun:
    """Read what ``save_run`` wrote. Nothing in the file is run, and no name in it is looked up.

    Args:
        path: the file.

    Returns:
        The run.

    Raises:
        ValueError: a file that is missing, damaged or no saved run; the message says what is lost.
    """
    path = checks.path("path", path)
    wanted = f"path must be a run that save_run wrote, got {str(path)!r}"
    try:
        arrays = read_npz(path)
    except OSError as error:
        raise ValueError(f"{wanted}: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"{wanted}, but {error}; restore it from a copy, or train again") from None
    try:
        about = json.loads(str(arrays["about"]))
        return SavedRun(  # type: ignore[call-arg]  # mypy counts the method as a field
            _read("params", about["params"], arrays),
            _read_rule("rule", about["rule"], arrays),
            jnp.asarray(arrays["loss"]),
            dict(about["settings"]),
            about["model"],
            arrays["iteration"],
            {name: float(value) for name, value in about.get("results", {}).items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise ValueError(
            f"{wanted}, but it says nothing, or not what one says, of its parameters, rule and loss"
        ) from None


def _read(name: str, structure: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if structure is None:
        return jnp.asarray(arrays[name])
    if structure == "none":
        return None
    if structure == "number":
        return arrays[name].item()
    ((kind, inside),) = structure.items()
    if kind == "dict":
        return {key: _read(f"{name}/{key}", part, arrays) for key, part in inside.items()}
    parts = [_read(f"{name}/{i}", part, arrays) for i, part in enumerate(inside)]
    return {"tuple": tuple, "list": list}[kind](parts)


def _read_rule(name: str, about: Any, arrays: Mapping[str, np.ndarray]) -> Rule:
    fields = {}
    for field, value in about["fields"].items():
        ((kind, inside),) = value.items()
        if kind == "static":
            fields[field] = tuple(inside) if isinstance(inside, list) else inside
        else:
            read = {"rule": _read_rule, "tree": _read}[kind]
            fields[field] = read(f"{name}/{field}", inside, arrays)
    rule: Rule = _RULES[about["kind"]](**fields)
    return rule
