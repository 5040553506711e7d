"""A sweep written down: a TOML file or flags, turned into the arguments of ``sweep``."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toylin._internal import checks
from toylin._internal.meant import meant
from toylin.models import DeepLinear
from toylin.rules import RULES
from toylin.sweeps._axes import rectangle
from toylin.sweeps._problem import NamedRule, fields_of
from toylin.tasks import LAWS, law_options
from toylin.training._optimizer import Optimizer

RUN = (
    "loss",
    "num_tasks",
    "num_queries",
    "num_steps",
    "record_every",
    "seeds",
    "test_tasks",
    "learn_rule",
    "tolerance",
)


_LARGEST = 2**63 - 1  # of integers, in arrays as in TOML
_MOST = 10**7  # values of an axis that are worth their memory


def parse_value(name: str, text: Any) -> Any:
    """A number, true, false, "population" (None), widths such as 20-20-1, or a word; lists of them.

    Raises:
        ValueError: an entry that is nothing of these, such as a date; it names the setting.
    """
    if isinstance(text, list):
        return [parse_value(name, v) for v in text]
    value = _parse_word(text) if isinstance(text, str) else text
    if not isinstance(value, bool | int | float | str | tuple | None):
        shown = str(value) if isinstance(value, datetime.date | datetime.time) else repr(value)
        raise ValueError(f"{name} must hold numbers, true, false or words, got {shown}")
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int) and abs(number) > _LARGEST:
            raise ValueError(f"{name} must hold integers below 2**63, got {number}")
    return value


def _parse_word(text: str) -> Any:
    words = {"population": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    parts = text.split("-")
    if len(parts) > 1 and all(p.isdecimal() for p in parts):
        return tuple(int(p) for p in parts)
    return text


def parse_values(name: str, text: Any) -> Any:
    """Values of an axis: a list; "a,b,c"; or "start:stop:count", evenly spaced (":log": by ratio).

    Raises:
        ValueError: a range that is none, or an entry that is no value.
    """
    if isinstance(text, Mapping):
        return {field: parse_values(f"{name}.{field}", values) for field, values in text.items()}
    if not isinstance(text, str):
        return parse_value(name, text if isinstance(text, list) else [text])
    if ":" not in text:
        return [parse_value(name, v.strip()) for v in text.split(",")]
    try:
        low, high, count, *how = text.split(":")
        if how not in ([], ["log"]):
            raise ValueError(how)
        space = np.geomspace if how else np.linspace
        checks.integer("count", int(count), minimum=1, maximum=_MOST)
        return space(float(low), float(high), int(count))
    except ValueError:
        raise ValueError(
            f"{name} must be values 'a,b,c' or a range 'start:stop:count' or "
            f"'start:stop:count:log' of up to {_MOST} values, got {text!r}"
        ) from None


def read_tables(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, for ``arguments``.

    They are ``[tasks]`` (``kind``, a name in ``LAWS``, and what that law takes), ``[rule]``
    (``kind``, one in ``RULES``, ``step_size``, ``steps`` and what that rule takes), ``[model]`` (of
    ``DeepLinear``), ``[optimizer]`` (``name``, ``learning_rate``, options) and ``[over]`` (axes; a
    table in it zips its axes); above them stand the other arguments of ``sweep``.

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
    near = meant(field, [*RUN, *(entry for known in _known(tables).values() for entry in known)])
    raise ValueError(
        f"a setting must be one of {', '.join(RUN)}, or a field of tasks, rule, model or optimizer "
        f"such as tasks.noise_std, got {name!r}{near}"
    )


def _known(tables: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each table the entries that it takes, by its kind."""
    tasks, rule = _kinds(tables)
    optimizer = Optimizer(_table(tables, "optimizer").get("name", "adam"))
    return {
        "tasks": ["kind", *law_options(tasks)],
        "rule": ["kind", *list(fields_of(NamedRule(rule)))[1:]],
        "model": [*fields_of(DeepLinear())],
        "optimizer": [*fields_of(optimizer)],
    }


def _kinds(tables: Mapping[str, Any]) -> tuple[str, str]:
    """The names of the law of tasks and of the rule."""
    tasks = _table(tables, "tasks").get("kind", "regression")
    rule = _table(tables, "rule").get("kind", "maml")
    checks.choice("kind in [tasks]", tasks, LAWS)
    checks.choice("kind in [rule]", rule, RULES)
    return tasks, rule


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
    answer: dict[str, Any] = {k: parse_value(k, v) for k, v in found.items() if k in RUN}
    tables = {name: _table(found, name) for name in names}
    for name, known in _known(found).items():
        for entry in tables[name]:
            if entry not in known:
                raise ValueError(f"[{name}] must hold {', '.join(known)}, got {entry!r}")
    tasks, rule, model, optimizer = (
        {k: _setting(f"{k} in [{name}]", v) for k, v in tables[name].items() if k != "kind"}
        for name in names[:-1]
    )
    own = {k: rule.pop(k) for k in ("step_size", "steps") if k in rule}
    law, name = _kinds(found)
    answer["tasks"] = LAWS[law](**tasks)
    answer["rule"] = NamedRule(name, **own, items=tuple(rule.items()))
    answer["model"] = DeepLinear(**model)
    main = {k: optimizer.pop(k) for k in ("name", "learning_rate") if k in optimizer}
    answer["optimizer"] = Optimizer(**main, options=optimizer)
    answer["over"] = {axis: parse_values(axis, values) for axis, values in tables["over"].items()}
    return answer


def _setting(name: str, value: Any) -> Any:
    """A value for a constructor: lists of integers are sizes, other lists are arrays."""
    value = parse_value(name, value)
    if not isinstance(value, list):
        return value
    sizes = value and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
    return tuple(value) if sizes else rectangle(name, value)
