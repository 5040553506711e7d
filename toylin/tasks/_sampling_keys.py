"""The keys from which a law draws tasks, supports and queries."""

from __future__ import annotations

import jax

from toylin._internal import checks
from toylin._internal.shapes import Array, PRNGKeyArray


def sampling_keys(key: PRNGKeyArray, num_tasks: int, num_queries: int | None) -> Array:
    """Check the sizes; keys for the tasks, their supports and their queries."""
    checks.integer("num_tasks", num_tasks, minimum=1)
    if num_queries is not None:
        checks.integer("num_queries", num_queries, minimum=1)
    return jax.random.split(key, 3)
