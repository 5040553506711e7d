"""Whether JAX is transforming what runs."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def has_tracers(*trees: Any) -> bool:
    """Whether a leaf is a tracer, and so has no value yet."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def traced(*trees: Any) -> bool:
    """Whether these arguments show a transformation of JAX under way."""
    if has_tracers(trees):
        return True
    return isinstance(jnp.zeros(()), jax.core.Tracer)  # inside jit nothing is concrete
