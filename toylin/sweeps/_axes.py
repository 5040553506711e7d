"""The axes of a sweep: which field of which setting takes which values, along which dimension."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from toylin._internal import checks
from toylin._internal.meant import meant
from toylin.sweeps._problem import OWNERS, Problem, fields_of, put
from toylin.sweeps._program import Result
from toylin.training._optimizer import Optimizer

RESERVED = ("iteration", "input", "seed", "computed", *Result._fields)
_NAME = re.compile(r"[^./\\\0][^/\\\0]*")


@dataclasses.dataclass(frozen=True, eq=False)
class Field:
    """One field and its values along a dimension.

    ``owner`` is the setting that it belongs to; ``name`` is empty where the values replace the
    whole setting. ``array`` holds the values of a field that is a number (or an array): those are
    batched. Other fields are structure: each value compiles a program.
    """

    owner: str
    name: str
    label: str
    values: Sequence[Any] | np.ndarray
    array: np.ndarray | None

    def coordinate(self) -> np.ndarray:
        """The values as a coordinate: numbers where they are, labels otherwise."""
        if self.array is not None:
            return self.array if self.array.ndim == 1 else np.arange(len(self.array))
        if all(v is None or _is_number(v) for v in self.values):
            # None stands for infinitely many (shots, queries).
            return np.array([np.inf if v is None else v for v in self.values])
        if all(isinstance(v, str) for v in self.values):
            return np.array(self.values)
        if all(isinstance(v, tuple) for v in self.values):
            return np.array(["-".join(str(x) for x in v) for v in self.values])
        return np.arange(len(self.values))


@dataclasses.dataclass(frozen=True, eq=False)
class Dimension:
    """A named dimension of the result, along which one field varies, or several together."""

    name: str
    fields: tuple[Field, ...]
    size: int

    @property
    def batched(self) -> bool:
        """Whether moving along it changes numbers only."""
        return all(f.array is not None for f in self.fields)


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.number | np.bool_)


def known_fields(base: Problem, whole: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, bool]]:
    """For each part of the problem the fields that all its values in this sweep have."""
    known = {}
    for owner in OWNERS:
        fields = [fields_of(s) for s in whole.get(owner, [getattr(base, owner)])]
        shared = set(fields[0]).intersection(*fields[1:])
        known[owner] = {n: s for n, s in fields[0].items() if n in shared}
    return known


def parse(over: Mapping[str, Any], base: Problem) -> tuple[Dimension, ...]:
    """The dimensions that ``over`` asks for.

    Raises:
        ValueError: a field that no setting has, or several have; no values; values of different
            kinds; zipped values of different lengths; a field that is varied twice.
    """
    if not isinstance(over, Mapping):
        raise ValueError(f"over must map names of fields to their values, got {over!r}")
    whole = {
        owner: [
            getattr(put(base, owner, "", v), owner)
            for v in _values(owner, _unlabelled(over[owner]))
        ]
        for owner in OWNERS[:-1]
        if owner in over
    }
    known = known_fields(base, whole)
    dimensions = []
    for name, values in over.items():
        _check_name(name)
        if name in whole:
            labels = tuple(values) if isinstance(values, Mapping) else _labels(name, values)
            fields: tuple[Field, ...] = (
                Field(name, "", name, tuple(zip(labels, whole[name], strict=True)), None),
            )
        elif isinstance(values, Mapping):
            fields = tuple(_field(n, v, known) for n, v in values.items())
        else:
            fields = (_field(name, values, known),)
        sizes = {f.label: len(f.values) for f in fields}
        if not sizes or len(set(sizes.values())) != 1:
            raise ValueError(f"fields zipped along {name!r} must be equally long, got {sizes}")
        dim = name if isinstance(values, Mapping) else fields[0].label
        dimensions.append(Dimension(dim, fields, next(iter(sizes.values()))))
    _check_distinct(dimensions)
    return tuple(dimensions)


def _unlabelled(values: Any) -> Any:
    return list(values.values()) if isinstance(values, Mapping) else values


def _labels(owner: str, values: Any) -> tuple[str, ...]:
    if owner == "optimizer":
        return tuple(v.name if isinstance(v, Optimizer) else v for v in values)
    raise ValueError(
        f"over[{owner!r}] must map labels to settings, such as {{'maml': tl.MAML(0.1)}}, "
        f"got {values!r}"
    )


def _values(name: str, values: Any) -> list[Any]:
    if isinstance(values, str) or not np.iterable(values):
        raise ValueError(f"over[{name!r}] must be a sequence of values, got {values!r}")
    listed = [v.item() if isinstance(v, np.generic) else v for v in values]
    if not listed:
        raise ValueError(f"over[{name!r}] must hold at least one value, got none")
    return [tuple(v) if isinstance(v, list) else v for v in listed]


def _field(name: str, values: Any, known: Mapping[str, Mapping[str, bool]]) -> Field:
    owner, _, field = name.rpartition(".")
    owners = [o for o in OWNERS if field in known[o] and owner in ("", o)]
    if len(owners) != 1:
        if owners:
            wanted = " or ".join(f"{o}.{field}" for o in owners)
            raise ValueError(f"over[{name!r}] is ambiguous; write {wanted}")
        names = "; ".join(f"{o}: {', '.join(known[o]) or 'none'}" for o in OWNERS)
        near = meant(field, [word for o in OWNERS for word in known[o]])
        raise ValueError(f"over must name fields of the settings ({names}), got {name!r}{near}")
    if known[owners[0]][field]:
        return Field(owners[0], field, field, tuple(_values(name, values)), None)
    # A million numbers are kept as an array alone: as objects they take four times the memory.
    plain = isinstance(values, np.ndarray) and values.dtype.kind in "iuf" and values.size
    listed = values if plain else _values(name, values)
    array = rectangle(f"over[{name!r}]", listed)
    return Field(owners[0], field, field, array if plain else tuple(listed), array)


def rectangle(name: str, values: Any) -> np.ndarray:
    """Numbers, or arrays of them of one shape, as one array.

    Raises:
        ValueError: an entry that is no number, which it names; arrays of several shapes.
    """
    for entry in _entries(values):
        if isinstance(entry, bool) or not isinstance(entry, int | float):
            checks.concrete(name, str(entry) if entry is None else entry)
    try:
        return np.asarray(values, dtype=float)
    except ValueError:
        shapes = {str(checks.shape_of(name, v)) for v in values}
        raise ValueError(
            f"{name} must hold numbers, or arrays of one shape, got {' and '.join(sorted(shapes))}"
        ) from None


def _entries(values: Any) -> Iterator[Any]:
    """What lists hold, and the lists in them."""
    for value in values if isinstance(values, list | tuple) else [values]:
        if isinstance(value, list | tuple):
            yield from _entries(value)
        else:
            yield value


def _check_name(name: Any) -> None:
    """One that the result does not have for itself, and that can be a folder of a store."""
    if not isinstance(name, str) or name in RESERVED or not _NAME.fullmatch(name):
        raise ValueError(f"over must not name {name!r} (seeds are given as seeds=)")


def _check_distinct(dimensions: Sequence[Dimension]) -> None:
    seen: dict[tuple[str, str], str] = {}
    labels: set[str] = set()
    for dimension in dimensions:
        for field in dimension.fields:
            place = (field.owner, field.name)
            if place in seen:
                raise ValueError(
                    f"over varies {field.label!r} twice: along {seen[place]!r} and "
                    f"{dimension.name!r}"
                )
            seen[place] = dimension.name
        names = {dimension.name, *(f.label for f in dimension.fields)}
        for name in names:
            _check_name(name)
        if names & labels:
            raise ValueError(
                f"over gives two dimensions one name: {', '.join(sorted(names & labels))}"
            )
        labels |= names


def telling(dim: Dimension) -> list[int]:
    """Indices whose values, if good, vouch for all: what is allowed of a number is an interval."""
    if not all(f.array is not None and f.array.ndim == 1 for f in dim.fields):
        return list(range(dim.size))
    found = {0}
    for field in dim.fields:
        assert field.array is not None
        bad = np.flatnonzero(~np.isfinite(field.array))
        found |= {int(field.array.argmin()), int(field.array.argmax()), *bad[:1].tolist()}
    return sorted(found)
