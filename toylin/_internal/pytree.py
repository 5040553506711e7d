"""Frozen dataclasses that are pytrees: arrays are leaves, sizes and flags are static."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax

from toylin._internal.showing import shown

_Class = TypeVar("_Class")


def static_field(**kwargs: Any) -> Any:
    """A dataclass field that is part of the structure (hashable, compiled in), not a leaf.

    Args:
        **kwargs: as for ``dataclasses.field``, ``default`` above all.
    """
    return dataclasses.field(metadata={"static": True}, **kwargs)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(static_field,))
def pytree_dataclass(cls: type[_Class]) -> type[_Class]:
    """Make ``cls`` a frozen dataclass and a pytree.

    Unflattening skips ``__init__`` and so ``__post_init__``: leaves may then be tracers, batched
    arrays or the placeholders that JAX itself puts there, which no argument check should see.

    Args:
        cls: a class with annotated fields. Those made by ``static_field`` are structure, all
            others leaves.
    """
    cls = dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
    if "__repr__" not in vars(cls):
        cls = shown(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    leaves = tuple(f.name for f in fields if not f.metadata.get("static"))
    structure = tuple(f.name for f in fields if f.metadata.get("static"))

    if not leaves:  # all of it is structure: equal ones may share a program

        def same(one: Any, other: Any) -> Any:
            if type(other) is not cls:
                return NotImplemented
            return all(getattr(one, n) == getattr(other, n) for n in structure)

        def digest(node: Any) -> int:
            return hash((cls, *(getattr(node, n) for n in structure)))

        cls.__eq__, cls.__hash__ = same, digest  # type: ignore[assignment,method-assign]

    def flatten(node: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return tuple(getattr(node, n) for n in leaves), tuple(getattr(node, n) for n in structure)

    def flatten_with_keys(node: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        children, aux = flatten(node)
        keys = (jax.tree_util.GetAttrKey(n) for n in leaves)
        return tuple(zip(keys, children, strict=True)), aux

    def unflatten(aux: tuple[Any, ...], children: Any) -> Any:
        node = object.__new__(cls)
        for name, value in (*zip(leaves, children, strict=True), *zip(structure, aux, strict=True)):
            object.__setattr__(node, name, value)
        return node

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


def recheck(name: str, value: Any) -> None:
    """Check again what a transformation has put together leaf by leaf, past all constructors.

    An object that ``jax.vmap`` returns or ``jax.tree.map`` makes may hold an array where one number
    belongs; used as it is, it would be broadcast in silence. So are the parts of it checked.
    """
    if not type(value).__module__.startswith("toylin.") or not dataclasses.is_dataclass(value):
        return
    for field in dataclasses.fields(value):
        recheck(name, getattr(value, field.name))
    if hasattr(value, "__post_init__"):
        try:
            value.__post_init__()
        except ValueError as error:
            raise ValueError(f"{name} must be made by its constructor: {error}") from None
