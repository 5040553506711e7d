"""What ``jax.vmap`` hides from the function that it maps: how many times over, and all at once."""

from __future__ import annotations

from collections.abc import Callable
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


def all_at_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, elementwise in arrays of one shape, called with all that is mapped over.

    So it can leave out, by ``lax.cond``, what no element needs: where a condition is mapped over,
    JAX runs both of its sides for every element.
    """

    @jax.custom_batching.custom_vmap
    def call(*arrays: Any) -> Any:
        return function(*arrays)

    @call.def_vmap
    def _(axis_size: int, in_batched: Any, *arrays: Any) -> tuple[Any, Any]:
        whole = [
            x if batched else jnp.broadcast_to(x, (axis_size, *x.shape))
            for x, batched in zip(arrays, in_batched, strict=True)
        ]
        results = call(*whole)
        return results, jax.tree.map(lambda _: True, results)

    return call
