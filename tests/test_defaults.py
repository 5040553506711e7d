"""The numbers that public names take where a user says nothing: what changes them is seen.

A default is a number that users publish without having written it. Each is in ``data/defaults.txt``
(with a star where it is given by its name alone) and, where it is changed on purpose, in
CHANGELOG.md; to write the file anew, run this one.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import toylin

KEPT = Path(__file__).with_name("data") / "defaults.txt"


def shown(value: object) -> str:
    return value.__name__ if isinstance(value, types.FunctionType) else repr(value)


def lines(module: types.ModuleType, prefix: str = "") -> Iterator[str]:
    """Every public name that has defaults, with them, its methods, and public numbers."""
    for name in sorted(module.__all__):
        value = getattr(module, name)
        if isinstance(value, types.ModuleType):
            yield from lines(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            yield f"{prefix}{name} = {value!r}"
        elif callable(value) and not (isinstance(value, type) and issubclass(value, Exception)):
            yield from line(prefix + name, value)
            if isinstance(value, type):
                for method in sorted(n for n in vars(value) if not n.startswith("_")):
                    if inspect.isroutine(getattr(value, method)):
                        yield from line(f"{prefix}{name}.{method}", getattr(value, method))


def line(name: str, value: Callable[..., object]) -> Iterator[str]:
    said = [
        f"{'*' if p.kind is p.KEYWORD_ONLY else ''}{p.name}={shown(p.default)}"
        for p in inspect.signature(value).parameters.values()
        if p.default is not p.empty
    ]
    if said:
        yield f"{name}({', '.join(said)})"


def test_defaults_are_those_that_were_published():
    assert [*lines(toylin)] == KEPT.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    KEPT.write_text("\n".join(lines(toylin)) + "\n", encoding="utf-8")
