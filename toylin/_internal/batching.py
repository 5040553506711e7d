"""How many times over ``jax.vmap`` is running the function that asks."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def mapped_size(tree: Any) -> int:
    """The product of the sizes of the ``vmap`` axes that ``tree`` is mapped over at this call.

    1 outside of ``vmap``, and where a ``jit`` lies between the two: good for choosing between ways
    that give equal results, and for nothing else.
    """
    sizes: list[int] = []

    @jax.custom_batching.custom_vmap
    def ask(leaves: list[Any]) -> Any:
        return jnp.zeros(())

    @ask.def_vmap
    def _(axis_size: int, in_batched: Any, leaves: list[Any]) -> tuple[Any, bool]:
        sizes.append(axis_size)
        return ask(
            [leaf[0] if b else leaf for leaf, b in zip(leaves, *in_batched, strict=True)]
        ), False

    ask([jax.lax.stop_gradient(leaf) for leaf in jax.tree.leaves(tree)])
    product = 1
    for size in sizes:
        product *= size
    return product
