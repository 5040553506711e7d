"""A sweep written down: a TOML file or flags, turned into the arguments of ``sweep``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toylin.models import DeepLinear
from toylin.sweeps._problem import NamedRule, fields_of
from toylin.tasks import BinaryClassification, LinearRegression
from toylin.training._optimizer import Optimizer

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
    """A number, true, false, "population" (None), widths such as 20-20-1, or a word."""
    if not isinstance(text, str):
        return text
    words = {"population": None, "true": True, "false": False}
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
        return space(float(low), float(high), int(count))
    except ValueError:
        raise ValueError(
            "an axis must be values 'a,b,c' or a range 'start:stop:count' or "
            f"'start:stop:count:log', got {text!r}"
        ) from None


def read_tables(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, for ``arguments``.

    They are ``[tasks]`` (``kind`` and fields), ``[rule]`` (``kind``, a name that ``make_rule``
    knows, ``step_size``, ``steps`` and what that rule takes), ``[model]`` (of ``DeepLinear``),
    ``[optimizer]`` (``name``, ``learning_rate``, options) and ``[over]`` (axes; a table in it zips
    its axes); above them stand the other arguments of ``sweep``.

    Raises:
        ValueError: no such file, or not TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ValueError(f"config must be a file, got {str(path)!r}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"config {str(path)!r} is not TOML: {error}") from None
    except RecursionError:
        raise ValueError(f"config {str(path)!r} is not TOML of a sweep: too deep") from None


def put_setting(tables: dict[str, Any], name: str, value: str) -> None:
    """Put ``value`` where ``name`` belongs: above the tables, or in the one that has such a field.

    ``rule.step_size`` names its table; a bare name goes to the first of tasks, rule, model and
    optimizer that has it.
    """
    table, _, field = name.rpartition(".")
    if not table and field in RUN:
        tables[field] = value
        return
    for owner, known in _known(tables).items():
        if table == owner or (not table and field in known):
            tables.setdefault(owner, {})[field] = value
            return
    raise ValueError(
        f"a setting must be one of {', '.join(RUN)}, or a field of tasks, rule, model or optimizer "
        f"such as tasks.noise_std, got {name!r}"
    )


def _known(tables: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each table the entries that it takes, by its kind."""
    kinds = {name: _table(tables, name).get("kind") for name in ("tasks", "rule")}
    optimizer = Optimizer(_table(tables, "optimizer").get("name", "adam"))
    tasks = TASKS.get(kinds["tasks"] or "LinearRegression", LinearRegression)
    return {
        "tasks": ["kind", *fields_of(tasks())],
        "rule": ["kind", *list(fields_of(NamedRule(kinds["rule"] or "maml")))[1:]],
        "model": [*fields_of(DeepLinear())],
        "optimizer": [*fields_of(optimizer)],
    }


def _table(tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = tables.get(name, {})
    if not isinstance(found, Mapping):
        raise ValueError(f"config must hold {name} as a table, [{name}], got {found!r}")
    return dict(found)


def arguments(found: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``sweep`` from plain tables, as ``read_tables`` gives them.

    Raises:
        ValueError: an entry that means nothing.
    """
    names = ("tasks", "rule", "model", "optimizer", "over")
    unknown = [k for k in found if k not in (*names, *RUN)]
    if unknown:
        raise ValueError(
            f"config must hold {', '.join((*names, *RUN))}, got {', '.join(map(repr, unknown))}"
        )
    answer: dict[str, Any] = {k: parse_value(v) for k, v in found.items() if k in RUN}
    tables = {name: _table(found, name) for name in names}
    kind = tables["tasks"].get("kind", "LinearRegression")
    if kind not in TASKS:
        raise ValueError(f"kind in [tasks] must be {' or '.join(TASKS)}, got {kind!r}")
    for name, known in _known(found).items():
        for entry in tables[name]:
            if entry not in known:
                raise ValueError(f"[{name}] must hold {', '.join(known)}, got {entry!r}")
    tasks, rule, model, optimizer = (
        {k: _setting(v) for k, v in tables[name].items() if k != "kind"} for name in names[:-1]
    )
    own = {k: rule.pop(k) for k in ("step_size", "steps") if k in rule}
    name = tables["rule"].get("kind", "maml")
    answer["tasks"] = TASKS[kind](**tasks)
    answer["rule"] = NamedRule(name, **own, items=tuple(rule.items()))
    answer["model"] = DeepLinear(**model)
    main = {k: optimizer.pop(k) for k in ("name", "learning_rate") if k in optimizer}
    answer["optimizer"] = Optimizer(**main, options=optimizer)
    answer["over"] = {axis: parse_values(values) for axis, values in tables["over"].items()}
    return answer


def _setting(value: Any) -> Any:
    """A value for a constructor: lists of integers are sizes, other lists are arrays."""
    value = parse_value(value)
    if not isinstance(value, list):
        return value
    sizes = value and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
    return tuple(value) if sizes else np.asarray(value, float)
