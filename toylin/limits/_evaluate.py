"""How well a trained model adapts to tasks that it has not seen."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from toylin._internal import checks
from toylin._internal.dtypes import float_type
from toylin._internal.progress import progress_bar
from toylin._internal.shapes import Array, PRNGKeyArray
from toylin._internal.showing import shown
from toylin._internal.tracing import traced
from toylin.autodiff import _span
from toylin.autodiff._inner import descend
from toylin.limits._estimate import Estimate, deviation, interval
from toylin.models import Model, predict
from toylin.rules import Rule, check_problem
from toylin.tasks import TaskLaw, sample_as

_TOGETHER = 16  # tasks at once: a bound on memory


@shown
class Evaluation(NamedTuple):
    """What ``evaluate`` returns.

    Attributes:
        loss: the query loss after adaptation, an ``Estimate``.
        accuracy: the share of query points that are classified rightly after adaptation, an
            ``Estimate``; None for tasks that have no classes.
    """

    loss: Estimate
    accuracy: Estimate | None


def evaluate(
    params: Any,
    tasks: TaskLaw,
    rule: Rule,
    key: PRNGKeyArray,
    num_tasks: int = 600,
    num_queries: int = 15,
    model: Model = predict,
    progress: bool = False,
) -> Evaluation:
    """Loss and accuracy after adaptation, the means over fresh tasks, with their 95 % intervals.

    Called from Python it goes sixteen tasks at a time: it can be watched, and Ctrl-C stops it.

    Args:
        params: the start that all tasks share.
        tasks: the law of the tasks, such as ``ImageTasks`` of classes that were not trained on.
        rule: the adaptation rule.
        key: a JAX random key.
        num_tasks: how many tasks, at least 2.
        num_queries: query points of a task (for classes: of each class).
        model: the model, a function ``model(params, x)``.
        progress: show the tasks done, their rate and the time left.

    Returns:
        An ``Evaluation``. Its standard errors are those of independent tasks.

    Raises:
        ValueError: an argument of the wrong kind, or one that does not fit the others.

    >>> import toylin as tl
    >>> tasks, rule = tl.Classification(dim=2, classes=3, x_cov=0.1), tl.MAML(step_size=1.0)
    >>> start = (jnp.zeros((3, 2)),)
    >>> found = evaluate(start, tasks, rule, jax.random.key(0), num_tasks=100)
    >>> print(f"{found.accuracy.mean:.1f} +- {found.accuracy.stderr:.2f}")
    0.8 +- 0.01
    """
    check_problem(params, tasks, rule, model)
    checks.key("key", key)
    checks.integer("num_tasks", num_tasks, minimum=2)
    checks.integer("num_queries", num_queries, minimum=1)
    checks.flag("progress", progress)
    together = min(num_tasks, _TOGETHER)
    keys = jax.random.split(key, -(-num_tasks // together))
    group = partial(_group, params, tasks, rule, sizes=(together, num_queries), model=model)
    if traced(params, tasks, rule, key):
        found = [jax.lax.map(group, keys)]
    else:
        found = []
        with progress_bar(progress, num_tasks, "tasks") as count:
            for done, key in enumerate(keys):
                found.append(jax.block_until_ready(group(key)))
                count(min(together, num_tasks - done * together))
    means = _means(found, num_tasks)
    return Evaluation(*(m and Estimate._make((*m, num_tasks - 1)) for m in means))


@partial(jax.jit, static_argnames=("sizes", "model"))
def _group(
    params: Any,
    tasks: TaskLaw,
    rule: Rule,
    key: PRNGKeyArray,
    *,
    sizes: tuple[int, int],
    model: Model,
) -> tuple[Array, Array | None]:
    """Loss and accuracy of each of ``sizes[0]`` tasks with ``sizes[1]`` query points."""
    batch = sample_as(tasks, key, *sizes, float_type(params))

    def one(support: Any, query: Any) -> tuple[Array, Array | None]:
        return score(query, descend(params, support, rule, model, remat=False), model)

    def score(query: Any, adapted: Any, model: Model) -> tuple[Array, Array | None]:
        accuracy = query.accuracy(adapted, model) if hasattr(query, "accuracy") else None
        return query.loss(adapted, model), accuracy

    if _span.serves(params, batch, rule, model):
        outputs = _span.query_outputs(params, batch, rule)
        return jax.vmap(lambda q, z: score(_span.seen(q, z), None, _span.shown))(
            batch.query, outputs
        )
    return jax.vmap(one)(batch.support, batch.query)


@partial(jax.jit, static_argnames="count")
def _means(
    found: list[tuple[Array, Array | None]], count: int
) -> list[tuple[Array, Array, Array, Array] | None]:
    """Means of what the first ``count`` tasks gave, and their intervals."""

    def mean(parts: tuple[Any, ...]) -> tuple[Array, Array, Array, Array] | None:
        if parts[0] is None:
            return None
        values = jnp.stack(parts).reshape(-1)[:count]
        return interval(jnp.mean(values), deviation(values), count)

    return [mean(parts) for parts in zip(*found, strict=True)]
