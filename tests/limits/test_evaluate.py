"""Loss and accuracy on unseen tasks, against the mean over tasks drawn by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

import toylin as tl

TASKS = tl.Classification(dim=2, classes=3, x_cov=0.3, shots=2)
PARAMS = tl.init(jax.random.key(0), (2, 4, 3))
RULE = tl.MAML(0.5, steps=2)


def test_the_mean_and_its_standard_error():
    found = tl.evaluate(PARAMS, TASKS, RULE, jax.random.key(1), num_tasks=1_000, num_queries=4)
    batch = TASKS.sample(jax.random.key(2), 1_000, 4)

    def one(support, query):
        adapted = tl.autodiff.adapt(PARAMS, support, RULE)
        logits = query.x @ tl.end_to_end(adapted).T
        right = jnp.argmax(logits, axis=1) == query.y
        log_p = jax.nn.log_softmax(logits)
        return -jnp.mean(jnp.take_along_axis(log_p, query.y[:, None], 1)), jnp.mean(right)

    for got, values in zip(found, jax.vmap(one)(batch.support, batch.query), strict=True):
        spread = np.std(values, ddof=1) / 1_000**0.5
        assert abs(got.mean - values.mean()) < 5 * 2**0.5 * spread
        np.testing.assert_allclose(got.stderr, spread, rtol=0.15)
        assert got.degrees_of_freedom == 999
        np.testing.assert_allclose((got.high - got.low) / got.stderr, 2 * 1.9623, rtol=1e-3)


def test_any_number_of_tasks_is_exactly_that_many():
    """17 tasks are the first 17 of the two groups that are drawn."""
    rule = tl.MAML(0.0)
    query = TASKS.sample(jax.random.split(jax.random.key(1), 2)[0], 16, 4).query
    more = TASKS.sample(jax.random.split(jax.random.key(1), 2)[1], 16, 4).query
    losses = [jax.vmap(lambda q: q.loss(PARAMS))(data) for data in (query, more)]
    want = np.concatenate(losses)[:17]
    found = tl.evaluate(PARAMS, TASKS, rule, jax.random.key(1), 17, 4).loss
    np.testing.assert_allclose(found.mean, want.mean(), rtol=1e-12)
    np.testing.assert_allclose(found.stderr, want.std(ddof=1) / 17**0.5, rtol=1e-12)


def test_tasks_without_classes_have_no_accuracy():
    tasks = tl.LinearRegression(dim=2, shots=3)
    found = tl.evaluate(tl.init(jax.random.key(0), (2, 1)), tasks, RULE, jax.random.key(1), 50, 3)
    assert found.accuracy is None
    assert found.loss.mean > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_tasks": 1}, "num_tasks must be an integer of at least 2"),
        ({"num_queries": None}, "num_queries must be an integer"),
        ({"key": 0}, "key must be one JAX random key"),
        ({"params": (jnp.ones((2, 2)),)}, "must end in 3 outputs"),
        ({"tasks": None}, "tasks must be a law of tasks"),
    ],
)
def test_bad_input_is_refused(change, message):
    good = {"params": PARAMS, "tasks": TASKS, "rule": RULE, "key": jax.random.key(0)}
    with pytest.raises(ValueError, match=message):
        tl.evaluate(**good | change)


def test_the_short_way_of_wide_inputs_scores_alike():
    """The same tasks through a model that is not known to be linear."""
    tasks = tl.Classification(dim=70, classes=3, x_cov=0.3, shots=2)
    params = tl.init(jax.random.key(0), (70, 7, 3))
    args = (params, tasks, RULE, jax.random.key(1), 20, 4)
    short = tl.evaluate(*args)
    long = tl.evaluate(*args, model=lambda params, x: tl.predict(params, x))
    assert_close(short, long, 1e-13)
