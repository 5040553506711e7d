"""Functions and classes described by what they do: equal descriptions, equal numbers.

What a library holds goes by its name. What a user wrote goes by a hash of all that it is made of:
bytecode, constants, defaults, closures, and whatever of the user's own it refers to, in turn. A
part that has no exact description (a random generator, an open file) makes the whole undescribed.
"""

from __future__ import annotations

import dataclasses
import dis
import functools
import hashlib
import importlib
import json
import operator
import sys
import sysconfig
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

UNDESCRIBED = "undescribed"
NAME = "store_name"  # an attribute by which a user vouches for a function or a class

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
_SLOTS = (types.MemberDescriptorType, types.GetSetDescriptorType, types.WrapperDescriptorType)
# Of a class: what is no behaviour, or is made from its fields.
_NO_CODE = {
    "__annotate__", "__annotate_func__", "__annotations__", "__annotations_cache__", "__dict__",
    "__dataclass_params__", "__doc__", "__firstlineno__", "__match_args__", "__module__",
    "__parameters__", "__static_attributes__", "__weakref__", "__abstractmethods__", "_abc_impl",
}  # fmt: skip
_RECORDED = ("toylin", "jax", "jaxlib", "optax", "numpy")  # their versions stand in every store


class _UnknownError(Exception):
    pass


class _Seen(NamedTuple):
    """What has been walked, with its result, and what is being walked, from the top down."""

    done: dict[int, tuple[Any, Any]]
    above: list[int]


def describe_code(value: Any) -> Any:
    """A function, a class or another object: its name in a library, or its name and a hash."""
    named = value if hasattr(value, "__qualname__") else type(value)
    if name := _given_name(named):
        return {NAME: name}
    if library := _library_name(value):
        return library
    try:
        content = json.dumps(_walk(value, _Seen({}, [])))
    except _UnknownError as error:
        return {"name": named.__qualname__, UNDESCRIBED: str(error)}
    return {"name": named.__qualname__, "code": hashlib.sha256(content.encode()).hexdigest()}


def undescribed(description: Any, path: str = "") -> tuple[str, str, str] | None:
    """The first part of a description that is none: where it is, its name, and what it holds."""
    if isinstance(description, dict):
        if UNDESCRIBED in description:
            return path, description["name"], description[UNDESCRIBED]
        parts: Any = description.items()
    else:
        parts = enumerate(description) if isinstance(description, list) else ()
    for key, part in parts:
        if found := undescribed(part, f"{path}.{key}".lstrip(".")):
            return found
    return None


def _given_name(value: Any) -> str | None:
    # Of a class its own only: a subclass does something else.
    found = getattr(value, "__dict__", {}).get(NAME)
    return found if isinstance(found, str) else None


def _library_name(value: Any) -> str | None:
    """Where a library holds ``value``, and of which version."""
    module: Any
    name: Any
    if isinstance(value, types.ModuleType):
        module, name = value.__name__, ""
    else:
        module = getattr(value, "__module__", None) or ("numpy" * isinstance(value, np.ufunc))
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "")
        try:
            if operator.attrgetter(name)(sys.modules[module]) is not value:
                return None
        except (AttributeError, KeyError, TypeError):
            return None
    if not _is_library(module):
        return None
    root = module.partition(".")[0]
    version = getattr(sys.modules.get(root), "__version__", "") if root not in _RECORDED else ""
    return f"{module}.{name} {version}".rstrip(" .")


@functools.cache
def _is_library(module: str) -> bool:
    """Whether a module is installed, not the user's own."""
    if module.partition(".")[0] in ("toylin", "__main__"):
        return not module.startswith("__main__")
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return True
    path = Path(file)
    standard = path.is_relative_to(sysconfig.get_path("stdlib"))
    return standard or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _walk(value: Any, seen: _Seen) -> Any:
    """``value`` as plain JSON: itself, its name in a library, or a hash of what it is made of."""
    if isinstance(value, _PLAIN):
        return [type(value).__name__, repr(value)]
    if id(value) in seen.done:
        return seen.done[id(value)][0]
    if id(value) in seen.above:
        return ["above", seen.above.index(id(value))]
    found: Any = _given_name(value) or _library_name(value)
    if not found:
        seen.above.append(id(value))
        parts = [type(value).__qualname__, *_parts(value, seen)]
        found = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        seen.above.pop()
    seen.done[id(value)] = found, value  # held, so that no other object gets its address
    return found


def _parts(value: Any, seen: _Seen) -> Iterator[Any]:
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        yield from _array(value)
    elif isinstance(value, types.FunctionType):
        yield from _function(value, seen)
    elif isinstance(value, types.CodeType):
        yield from _bytecode(value, seen)
    elif isinstance(value, type):
        yield from (_walk(base, seen) for base in value.__mro__[1:])
        own = sorted(vars(value).items())
        yield [[k, _walk(v, seen)] for k, v in own if k not in _NO_CODE]
    elif isinstance(value, tuple | list):
        yield from (_walk(v, seen) for v in value)
    elif isinstance(value, set | frozenset):
        yield sorted(json.dumps(_walk(v, seen)) for v in value)
    elif isinstance(value, dict | types.MappingProxyType):
        yield [[_walk(k, seen), _walk(v, seen)] for k, v in value.items()]
    else:
        yield from (_walk(part, seen) for part in _made_of(value))


def _made_of(value: Any) -> tuple[Any, ...]:
    """What another object is made of."""
    if isinstance(value, staticmethod | classmethod | types.MethodType):
        return value.__func__, getattr(value, "__self__", None)
    if isinstance(value, property):
        return value.fget, value.fset
    if isinstance(value, dataclasses.Field):
        return value.name, value.default, value.default_factory, value.metadata
    if isinstance(value, _SLOTS):
        return (value.__qualname__,)
    try:
        made: Any = value.__reduce_ex__(4)  # what a pickle of it would say
    except Exception as error:  # whatever classes of others raise
        if hasattr(value, "__wrapped__"):
            return (value.__wrapped__,)
        raise _UnknownError(f"a {type(value).__qualname__}") from error
    if isinstance(made, str):
        return (made,)
    return (*made[:3], *(list(items or ()) for items in made[3:5]))


def _array(value: Any) -> Iterator[Any]:
    if isinstance(value, jax.core.Tracer):
        raise _UnknownError("a traced value")
    if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    array = np.asarray(value)
    if array.dtype == object:
        raise _UnknownError("an array of objects")
    yield from (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).hexdigest())


def _function(function: types.FunctionType, seen: _Seen) -> Iterator[Any]:
    if function.__code__.co_filename == "<string>" and "__create_fn__" in function.__qualname__:
        return  # by dataclasses, from the fields
    yield _walk(function.__code__, seen)
    inside = {k: v for k, v in vars(function).items() if k != "__wrapped__"}
    for part in (function.__defaults__, function.__kwdefaults__, inside):
        yield _walk(part, seen)
    attributes, loaded, imported = _names(function.__code__)
    outside = [_content(cell) for cell in function.__closure__ or ()]
    outside += [function.__globals__[n] for n in loaded if n in function.__globals__]
    outside += [importlib.import_module(n) for n in imported]
    for value in outside:
        if isinstance(value, types.ModuleType) and not _library_name(value):
            # Of a module of the user's what this function may take from it.
            value = {n: getattr(value, n) for n in attributes if hasattr(value, n)}
        yield _walk(value, seen)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing yet
        return None


def _names(code: types.CodeType) -> tuple[list[str], list[str], list[str]]:
    """All names in a function and those inside it; those of globals; those of imports."""
    found: tuple[list[str], list[str], list[str]] = ([*code.co_names], [], [])
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            found[1].append(step.argval)
        elif step.opname == "IMPORT_NAME":
            found[2].append(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            for names, more in zip(found, _names(inner), strict=True):
                names += more
    return tuple(sorted(set(names)) for names in found)  # type: ignore[return-value]


def _bytecode(code: types.CodeType, seen: _Seen) -> Iterator[Any]:
    yield from (code.co_code.hex(), code.co_exceptiontable.hex(), code.co_flags)
    yield from (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    yield from (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    yield from (_walk(constant, seen) for constant in code.co_consts)
