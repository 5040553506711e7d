"""Every public callable with one argument or two made uncomfortable, and what became of it.

Good arguments come from a table by the names of parameters, so that a new function or method is
attacked without a test being written for it; a name that the table lacks is an error that says so.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import fuzz_bad
import fuzz_excuses
import fuzz_made
import fuzz_values
import jax
import numpy as np

import toylin as tl
from toylin import testing

ROOT = str(Path(tl.__file__).parent)
SECONDS = 60
MODULES = {
    "": tl,
    "autodiff.": tl.autodiff,
    "closed_form.": tl.closed_form,
    "images.": tl.images,
    "plotting.": tl.plotting,
    "symbolic.": tl.symbolic,
    "testing.": testing,
}


class Outcome(NamedTuple):
    """What became of one call.

    Attributes:
        kind: "clear" (toylin's own error names the argument), "unnamed" (it does not), "inside"
            (an error from elsewhere), "silent" (NaN from finite input), "ignored" (the result is
            that of the good argument), "broadcast" (an array of another shape was taken), "hang" or
            "accepted".
        call: which callable, argument and value.
        message: of the error.
    """

    kind: str
    call: str
    message: str = ""


@cache
def names() -> tuple[str, ...]:
    """Every public function, class and method that takes arguments, by what it is called by."""
    found, seen = [], set()
    for prefix, module in MODULES.items():
        for name in module.__all__:
            thing = getattr(module, name)
            if callable(thing) and name not in fuzz_excuses.RESULTS and name[0] != "_":
                found.append(prefix + name)
            if inspect.isclass(thing) and name not in fuzz_excuses.NO_METHODS:
                found += [f"{prefix}{name}.{m}" for m in _methods(thing, seen)]
    for name, thing in fuzz_excuses.MORE_CLASSES.items():
        found += [f"{name}.{m}" for m in _methods(thing, seen)]
    return tuple(name for name in found if name not in fuzz_excuses.NOT_ATTACKED)


def _methods(kind: type, seen: set[Any]) -> Iterator[str]:
    """Methods with arguments that it does not share with a class before it."""
    for name in dir(kind):
        method = inspect.unwrap(getattr(kind, name)) if name[0] != "_" or name == "__call__" else 0
        method = getattr(method, "__func__", method)
        if not inspect.isfunction(method) or not method.__module__.startswith("toylin"):
            continue
        static = isinstance(inspect.getattr_static(kind, name), staticmethod)
        if method not in seen and len(inspect.signature(method).parameters) > (not static):
            seen.add(method)
            yield name


def resolve(name: str) -> Callable[..., Any]:
    """The callable of that name; a method of the instance in the table."""
    owner, _, method = name.rpartition(".")
    if owner and f"{owner}." not in MODULES:
        return getattr(instance(owner), method)
    return getattr(MODULES[f"{owner}." if owner else ""], method)


@cache
def instance(name: str) -> Any:
    """One of that class: what the table makes, or else made of good arguments."""
    made = fuzz_made.made().get(name)
    return resolve(name)(**arguments(name)) if made is None else made()


@cache
def _parameters(name: str) -> dict[str, Any]:
    """Each parameter with where its good value stands in the table."""
    table, found = {**fuzz_values.good(), **fuzz_made.fresh()}, {}
    parts = name.split(".")
    for parameter in inspect.signature(resolve(name)).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        owners = [*(".".join(parts[start:]) for start in range(len(parts))), parts[0]]
        for key in [*(f"{owner}.{parameter.name}" for owner in owners), parameter.name]:
            if key in table:
                found[parameter.name] = key
                break
        else:
            raise KeyError(
                f"tests/fuzz_values.py has no good value for {name}({parameter.name}=...)"
            )
    return found


def arguments(name: str) -> dict[str, Any]:
    """Good arguments for it, by its signature."""
    table, fresh = fuzz_values.good(), fuzz_made.fresh()
    return {
        parameter: fresh[key]() if key in fresh else table[key]
        for parameter, key in _parameters(name).items()
    }


def single(name: str) -> Iterator[tuple[tuple[str, str], ...]]:
    """Every argument with every bad value."""
    for parameter in arguments(name):
        for bad in [*fuzz_bad.BAD, *fuzz_bad.DISTORTED]:
            yield ((parameter, bad),)


def pairs(name: str) -> Iterator[tuple[tuple[str, str], ...]]:
    """Every two arguments with every two bad values."""
    for one, two in combinations(arguments(name), 2):
        for bad in fuzz_bad.BAD:
            for worse in fuzz_bad.BAD:
                yield (one, bad), (two, worse)


def label(name: str, changes: tuple[tuple[str, str], ...]) -> str:
    """The call in words."""
    return f"{name}({', '.join(f'{parameter}={bad}' for parameter, bad in changes)})"


def attack(name: str, changes: tuple[tuple[str, str], ...]) -> Outcome | None:
    """Call it with bad arguments; None where a distortion leaves an argument as it is."""
    function, good = resolve(name), arguments(name)
    bad = {}
    for parameter, how in changes:
        bad[parameter] = fuzz_bad.bad(how, good[parameter])
        if bad[parameter] is None and how not in fuzz_bad.BAD:
            return None
    call = label(name, changes)
    try:
        result = _call(function, good | bad)
    except _TookLongError:
        return Outcome("hang", call)
    except Exception as error:
        return _judge(name, call, bad, error)
    finite = not any(how.startswith(("nan", "inf")) for _, how in changes)
    if finite and any(_has_nan(leaf) for leaf in jax.tree.leaves(_without_missing(result))):
        return Outcome("silent", call)
    if len(changes) == 1:
        ((parameter, value),) = bad.items()
        if _is_broadcast(name, parameter, value, good[parameter]):
            return Outcome("broadcast", call)
        if _is_ignored(name, parameter, value, good[parameter], result):
            return Outcome("ignored", call)
    return Outcome("accepted", call)


def _call(function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    with _limited(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = jax.block_until_ready(function(**given))
        for axes in [v for v in given.values() if hasattr(v, "transData")]:
            axes.figure.draw_without_rendering()
    return result


@cache
def _good_result(name: str) -> tuple[Any, list[Any]] | None:
    """What the good arguments give, as arrays; None where there is nothing to compare."""
    return _comparable(_call(resolve(name), arguments(name)))


def _comparable(result: Any) -> tuple[Any, list[Any]] | None:
    """Its structure and its arrays."""
    leaves, structure = jax.tree.flatten(result)
    numbers = [leaf for leaf in leaves if isinstance(leaf, jax.Array | np.ndarray | float | int)]
    plain = all(jax.dtypes.issubdtype(jax.numpy.result_type(leaf), np.number) for leaf in numbers)
    if not leaves or len(numbers) < len(leaves) or not plain:
        return None
    return structure, [np.asarray(leaf) for leaf in numbers]


def _is_ignored(name: str, parameter: str, bad: Any, good: Any, result: Any) -> bool:
    """Whether the result is as without it."""
    if f"{name}.{parameter}" in fuzz_excuses.MAY_CHANGE_NOTHING:
        return False
    if inspect.isclass(resolve(name)) or _same(bad, good):
        return False
    got, wanted = _comparable(result), _good_result(name)
    if got is None or wanted is None or got[0] != wanted[0]:
        return False
    return all(np.array_equal(a, b) for a, b in zip(got[1], wanted[1], strict=True))


def _same(bad: Any, good: Any) -> bool:
    """Whether they are equal numbers, of another type perhaps."""
    try:
        return all(jax.tree.leaves(jax.tree.map(np.array_equal, bad, good)))
    except Exception:
        return False


def _is_broadcast(name: str, parameter: str, bad: Any, good: Any) -> bool:
    """Whether an array was taken that has another shape than the good one."""
    kinds = np.ndarray | jax.Array | list
    if not isinstance(bad, kinds) or not isinstance(good, kinds | int | float):
        return False
    if f"{name}.{parameter}" in fuzz_excuses.ANY_SHAPE or isinstance(good, bool):
        return False
    return _shape(bad) != _shape(good)


def _shape(value: Any) -> tuple[int, ...] | None:
    try:
        return np.shape(value)
    except ValueError:  # ragged
        return None


def _without_missing(result: Any) -> Any:
    """The result without what is NaN by its description."""
    if isinstance(result, tl.Run):
        return dataclasses.replace(result, diverged_at=0.0)
    if isinstance(result, tl.Batch):
        return dataclasses.replace(result, truth=None)
    return result


def _judge(name: str, call: str, bad: Mapping[str, Any], error: Exception) -> Outcome:
    message = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if any(value is len and parameter in fuzz_bad.FUNCTIONS for parameter, value in bad.items()):
        return Outcome("accepted", call, message)  # what theirs says itself
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    if not isinstance(error, ValueError | TypeError | OSError) or not last.startswith(ROOT):
        return Outcome("inside", call, f"{message} [{last[-40:]}]")
    words = {*bad, *(parameter.rstrip("s") for parameter in bad)}
    words |= {fuzz_excuses.SYNONYMS.get(f"{name}({parameter}", parameter) for parameter in bad}
    named = re.search(rf"\b({'|'.join(map(re.escape, words))})\b", message)
    return Outcome("clear" if named else "unnamed", call, message)


def _has_nan(leaf: Any) -> bool:
    array = np.asarray(leaf) if isinstance(leaf, jax.Array | np.ndarray | float) else None
    if array is None or not np.issubdtype(array.dtype, np.floating):
        return False
    return bool(np.any(np.isnan(array)))


class _TookLongError(BaseException):
    pass


@contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise _TookLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
