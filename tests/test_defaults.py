"""What public names are by their import: numbers where a user says nothing, data that stay.

A default is a number that users publish without having written it. Each is in ``data/defaults.txt``
(with a star where it is given by its name alone) and, where it is changed on purpose, in
CHANGELOG.md; to write the file anew, run this one.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Iterator
from pathlib import Path

import toylin

KEPT = Path(__file__).with_name("data") / "defaults.txt"


def shown(value: object) -> str:
    return value.__name__ if isinstance(value, types.FunctionType) else repr(value)


def lines(owner: types.ModuleType | type, prefix: str = "") -> Iterator[str]:
    """Every public name that has defaults, with them; and public numbers, of classes too."""
    named = owner.__all__ if isinstance(owner, types.ModuleType) else vars(owner)
    fields = getattr(owner, "__dataclass_fields__", {})  # which are among its arguments
    for name in sorted(name for name in named if name[0] != "_" and name not in fields):
        value = getattr(owner, name)
        if isinstance(value, types.ModuleType):
            yield from lines(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            yield f"{prefix}{name} = {value!r}"
        elif callable(value) and not (isinstance(value, type) and issubclass(value, Exception)):
            said = [
                f"{'*' if p.kind is p.KEYWORD_ONLY else ''}{p.name}={shown(p.default)}"
                for p in inspect.signature(value).parameters.values()
                if p.default is not p.empty
            ]
            if said:
                yield f"{prefix}{name}({', '.join(said)})"
            if isinstance(value, type):
                yield from lines(value, f"{prefix}{name}.")


def test_defaults_are_those_that_were_published():
    assert [*lines(toylin)] == KEPT.read_text(encoding="utf-8").splitlines()


def classes(module: types.ModuleType) -> Iterator[type]:
    """The public ones."""
    for value in (getattr(module, name) for name in module.__all__):
        if isinstance(value, types.ModuleType):
            yield from classes(value)
        elif isinstance(value, type):
            yield value


def test_public_data_are_not_changed_but_made_anew():
    found = [c for c in classes(toylin) if dataclasses.is_dataclass(c)]
    assert len(found) > 30
    assert [c for c in found if not c.__dataclass_params__.frozen] == []


if __name__ == "__main__":
    KEPT.write_text("\n".join(lines(toylin)) + "\n", encoding="utf-8")
