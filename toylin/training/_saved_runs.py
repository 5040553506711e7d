"""Meta-training runs as files: parameters, rule, losses and settings, saved and loaded again."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toylin import rules
from toylin._internal.shapes import Array, Float
from toylin.models import Params
from toylin.rules import Rule


class SavedRun(NamedTuple):
    """What ``load_run`` returns: the trained pair, the loss at every iteration, the settings."""

    params: Params
    rule: Rule
    loss: Float[Array, " steps"]
    settings: dict[str, Any]


def save_run(
    path: str | Path,
    params: Params,
    rule: Rule,
    loss: Float[Array, " steps"] | np.ndarray,
    settings: Mapping[str, Any],
) -> Path:
    """Write a meta-training run as one .npz file, readable by ``load_run`` and by NumPy alone.

    Args:
        path: the file; its folder is made if it is missing, and an older file is replaced in one
            step.
        params: the trained parameters.
        rule: the rule that goes with them.
        loss: the loss at every iteration.
        settings: what was asked; anything that JSON can hold.

    Raises:
        ValueError: a rule that is none of toylin's or holds a function (``GBML``), settings that
            JSON cannot hold, or a folder that cannot be written.
    """
    from toylin._internal.files import npz_bytes, prepare, replace

    kind = type(rule).__name__
    if getattr(rules, kind, None) is not type(rule) or isinstance(rule, rules.GBML):
        raise ValueError(f"rule must be one that a file can hold, a rule of toylin, got {kind}")
    fields = dataclasses.fields(rule)  # type: ignore[arg-type]
    structure = {f.name: getattr(rule, f.name) for f in fields if f.metadata.get("static")}
    try:
        about = json.dumps({"rule": kind, "structure": structure, "settings": dict(settings)})
    except TypeError as error:
        raise ValueError(f"settings must be what JSON can hold: {error}") from None
    data = {"about": np.asarray(about), "loss": np.asarray(loss)}
    data |= {f"params/{i}": np.asarray(w) for i, w in enumerate(params)}
    for keys, leaf in jax.tree_util.tree_leaves_with_path(rule):
        data["/".join(["rule", keys[0].name, *(str(k.idx) for k in keys[1:])])] = np.asarray(leaf)
    path = Path(path)
    prepare(path.parent)
    replace(path, npz_bytes(data))
    return path


def load_run(path: str | Path) -> SavedRun:
    """Read what ``save_run`` wrote.

    Raises:
        ValueError: a file that is missing or is no saved run.
    """
    try:
        with np.load(path) as file:
            data = dict(file)
        about = json.loads(str(data.pop("about")))
        kind = getattr(rules, about["rule"])
        tree = _nest({tuple(key.split("/")): value for key, value in data.items()})
        structure = about["structure"].items()
        static = {name: tuple(v) if isinstance(v, list) else v for name, v in structure}
        rule = kind(**tree.get("rule", {}), **static)
        return SavedRun(tree["params"], rule, tree["loss"], about["settings"])
    except (OSError, KeyError, AttributeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"path must be a run that save_run wrote, got {path}: {error}") from None


def _nest(flat: Mapping[tuple[str, ...], np.ndarray]) -> Any:
    """Arrays by path as nested dicts and, where the keys are numbers, tuples."""
    if () in flat:
        return jnp.asarray(flat[()])
    names = list(dict.fromkeys(path[0] for path in flat))
    tree = {n: _nest({p[1:]: x for p, x in flat.items() if p[0] == n}) for n in names}
    if all(name.isdigit() for name in names):
        return tuple(tree[name] for name in sorted(names, key=int))
    return tree
