"""A sweep written down: a TOML file or flags, turned into the arguments of ``sweep``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

import toylin.rules
from toylin.sweeps._settings import Model, Optimizer
from toylin.tasks import BinaryClassification, LinearRegression

TASKS = {"LinearRegression": LinearRegression, "BinaryClassification": BinaryClassification}
RUN = (
    "loss",
    "num_tasks",
    "num_queries",
    "num_steps",
    "record_every",
    "seeds",
    "eval_tasks",
    "learn_rule",
    "tolerance",
)


def parse_value(text: Any) -> Any:
    """A value of a setting: a number, true, false, "none", widths such as 20-20-1, or a word."""
    if not isinstance(text, str):
        return text
    words = {"none": None, "population": None, "inf": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    parts = text.split("-")
    if len(parts) > 1 and all(p.isdigit() for p in parts):
        return tuple(int(p) for p in parts)
    return text


def parse_values(text: Any) -> Any:
    """Values of an axis: a list; "a,b,c"; or "start:stop:count", evenly spaced (":log": by ratio).

    Raises:
        ValueError: a range that is none.
    """
    if isinstance(text, list):
        return [parse_value(v) for v in text]
    if isinstance(text, Mapping):
        return {name: parse_values(values) for name, values in text.items()}
    if not isinstance(text, str):
        return [text]
    if ":" not in text:
        return [parse_value(v.strip()) for v in text.split(",")]
    try:
        low, high, count, *how = text.split(":")
        if how not in ([], ["log"]):
            raise ValueError(how)
        space = np.geomspace if how else np.linspace
        values: list[Any] = space(float(low), float(high), int(count)).tolist()
        return values
    except ValueError:
        raise ValueError(
            "an axis must be values 'a,b,c' or a range 'start:stop:count' or "
            f"'start:stop:count:log', got {text!r}"
        ) from None


def read_tables(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, for ``arguments``.

    They are ``[tasks]`` and ``[rule]`` (``kind`` and fields), ``[model]``, ``[optimizer]``
    (``name``, ``learning_rate``, options) and ``[over]`` (axes; a table in it zips its axes); above
    them stand the other arguments of ``sweep``.

    Raises:
        ValueError: no such file, or not TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ValueError(f"config must be a file, got {str(path)!r}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"config {str(path)!r} is not TOML: {error}") from None


def put_setting(tables: dict[str, Any], name: str, value: str) -> None:
    """Put ``value`` where ``name`` belongs: above the tables, or in the one that has such a field.

    ``rule.step_size`` names its table; a bare name goes to the first of tasks, rule, model and
    optimizer that has it.
    """
    table, _, field = name.rpartition(".")
    if not table and field in RUN:
        tables[field] = value
        return
    tasks = TASKS.get(tables.get("tasks", {}).get("kind", "LinearRegression"), LinearRegression)
    rule = getattr(toylin.rules, tables.get("rule", {}).get("kind", "MAML"), toylin.rules.MAML)
    owners = {"tasks": tasks, "rule": rule, "model": Model, "optimizer": Optimizer}
    for owner, cls in owners.items():
        if table == owner or (not table and field in [f.name for f in fields(cls)]):
            tables.setdefault(owner, {})[field] = value
            return
    raise ValueError(
        f"a setting must be one of {', '.join(RUN)}, or a field of tasks, rule, model or optimizer "
        f"such as tasks.noise_std, got {name!r}"
    )


def arguments(found: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``sweep`` from plain tables, as ``read_tables`` gives them.

    Raises:
        ValueError: an entry that means nothing.
    """
    tables = ("tasks", "rule", "model", "optimizer", "over")
    unknown = [k for k in found if k not in (*tables, *RUN)]
    if unknown:
        raise ValueError(
            f"config must hold {', '.join((*tables, *RUN))}, got {', '.join(map(repr, unknown))}"
        )
    answer: dict[str, Any] = {k: parse_value(v) for k, v in found.items() if k in RUN}
    if isinstance(found.get("seeds"), list):
        answer["seeds"] = found["seeds"]
    tasks = dict(found.get("tasks", {}))
    answer["tasks"] = _build("tasks", TASKS, tasks.pop("kind", "LinearRegression"), tasks)
    rule = {"step_size": 0.1, **found.get("rule", {})}
    answer["rule"] = _build("rule", vars(toylin.rules), rule.pop("kind", "MAML"), rule)
    answer["model"] = _build("model", {"Model": Model}, "Model", found.get("model", {}))
    optimizer = {k: parse_value(v) for k, v in found.get("optimizer", {}).items()}
    own = {k: optimizer.pop(k) for k in ("name", "learning_rate") if k in optimizer}
    answer["optimizer"] = Optimizer(**own, options=optimizer)
    answer["over"] = {name: parse_values(values) for name, values in found.get("over", {}).items()}
    return answer


def _build(table: str, kinds: Mapping[str, Any], kind: str, entries: Mapping[str, Any]) -> Any:
    cls = kinds.get(kind)
    if not isinstance(cls, type):
        raise ValueError(f"kind in [{table}] must be a class of toylin, got {kind!r}")
    known = [f.name for f in fields(cls)]
    for name in entries:
        if name not in known:
            raise ValueError(f"[{table}] of {kind} must hold {', '.join(known)}, got {name!r}")
    return cls(**{k: _array(parse_value(v)) for k, v in entries.items()})


def _array(value: Any) -> Any:
    return np.asarray(value, float) if isinstance(value, list) else value
