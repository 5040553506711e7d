"""Every public callable with one argument made uncomfortable, and what became of it.

Good arguments come from a table by the names of parameters, so that a new function is attacked
without a test being written for it; a name that the table lacks is an error that says so.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from fuzz_values import BAD, FUNCTIONS, RESULTS, SYNONYMS, good

import toylin as tl
from toylin import testing

ROOT = str(Path(tl.__file__).parent)
SECONDS = 20


class Outcome(NamedTuple):
    """What became of one call.

    Attributes:
        kind: "clear" (toylin's own error names the argument), "unnamed" (it does not), "inside"
            (an error from elsewhere), "silent" (NaN from finite input), "hang" or "accepted".
        call: which callable, argument and value.
        message: of the error.
    """

    kind: str
    call: str
    message: str = ""


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function and class that takes arguments, by the name that it is called by."""
    modules = {"": tl, "autodiff.": tl.autodiff, "closed_form.": tl.closed_form}
    modules |= {"symbolic.": tl.symbolic, "testing.": testing}
    for prefix, module in modules.items():
        for name in module.__all__:
            found = getattr(module, name)
            if callable(found) and name not in RESULTS and name[0] != "_":
                yield prefix + name, found


def arguments(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Good arguments for it, by its signature."""
    short, table, found = name.rpartition(".")[2], good(), {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        for key in (f"{short}.{parameter.name}", parameter.name):
            if key in table:
                found[parameter.name] = table[key]
                break
        else:
            raise KeyError(
                f"tests/fuzz_values.py has no good value for {name}({parameter.name}=...)"
            )
    return found


def attack(name: str, function: Callable[..., Any], parameter: str, bad: str) -> Outcome:
    """Call it with one bad argument."""
    given = arguments(name, function) | {parameter: BAD[bad]}
    call = f"{name}({parameter}={bad})"
    try:
        with _limited(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = jax.block_until_ready(function(**given))
    except _TookLongError:
        return Outcome("hang", call)
    except Exception as error:
        return _judge(call, parameter, error)
    finite = not bad.startswith(("nan", "inf"))
    if finite and any(_has_nan(leaf) for leaf in jax.tree.leaves(_without_missing(result))):
        return Outcome("silent", call)
    return Outcome("accepted", call)


def _without_missing(result: Any) -> Any:
    """The result without what is NaN by its description."""
    if isinstance(result, tl.Run):
        return dataclasses.replace(result, diverged_at=0.0)
    if isinstance(result, tl.Batch):
        return dataclasses.replace(result, truth=None)
    return result


def _judge(call: str, parameter: str, error: Exception) -> Outcome:
    message = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if call.endswith("=a function)") and parameter in FUNCTIONS:  # what theirs says itself
        return Outcome("accepted", call, message)
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    if not isinstance(error, ValueError | TypeError | OSError) or not last.startswith(ROOT):
        return Outcome("inside", call, f"{message} [{last[-40:]}]")
    words = {parameter, parameter.rstrip("s"), SYNONYMS.get(call.partition("=")[0], parameter)}
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
