"""A network with biases on sine-wave tasks, all defined here: trained, swept, saved, drawn.

The toy of Finn, Abbeel and Levine (ICML 2017): amplitude 0.1 to 5, phase 0 to pi, 10 shots, half
the squared error. Nothing in the package knows this law, this model or these parameters.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toylin as tl

RULE = tl.MAML(step_size=0.05)


@tl.pytree_dataclass
class Sines:
    """y = amplitude sin(x + phase), x uniform on [-5, 5]."""

    largest: float | jax.Array = 5.0
    shots: int = tl.static_field(default=10)

    def sample(self, key, num_tasks, num_queries):
        keys = jax.random.split(key, 4)
        amplitude = jax.random.uniform(keys[0], (num_tasks, 1), minval=0.1, maxval=1.0)
        amplitude = 0.1 + (self.largest - 0.1) * (amplitude - 0.1) / 0.9
        phase = jax.random.uniform(keys[1], (num_tasks, 1), maxval=np.pi)

        def points(key, count):
            x = jax.random.uniform(key, (num_tasks, count), minval=-5.0, maxval=5.0)
            return tl.RegressionPoints(x=x[..., None], y=amplitude * jnp.sin(x + phase))

        return tl.Batch(points(keys[2], self.shots), points(keys[3], num_queries))


@tl.pytree_dataclass
class Network:
    """Two layers with biases and a tanh between, on numbers; parameters are a dictionary."""

    width: int = tl.static_field(default=8)
    scale: float | jax.Array = 1.0

    def init(self, key, tasks, dtype):
        first, second = jax.random.split(key)
        return {
            "hidden": {
                "w": self.scale * jax.random.normal(first, (self.width, 1), dtype),
                "b": jnp.zeros(self.width, dtype),
            },
            "out": {
                "w": jax.random.normal(second, (self.width,), dtype) / self.width**0.5,
                "b": jnp.zeros((), dtype),
            },
        }

    def __call__(self, params, x):
        hidden = jnp.tanh(x @ params["hidden"]["w"].T + params["hidden"]["b"])
        return hidden @ params["out"]["w"] + params["out"]["b"]


TASKS, NETWORK = Sines(), Network()


def start(seed=0):
    return NETWORK.init(jax.random.key(seed), TASKS, jnp.float64)


def by_hand(params, batch, rule):
    """The outer loss, task by task, by a loop that knows the network."""
    losses = []
    for x, y, qx, qy in zip(
        batch.support.x, batch.support.y, batch.query.x, batch.query.y, strict=True
    ):

        def loss(p, x=x, y=y):
            return 0.5 * jnp.mean((NETWORK(p, x) - y) ** 2)

        adapted = params
        for _ in range(rule.steps):
            grads = jax.grad(loss)(adapted)
            adapted = jax.tree.map(lambda w, g: w - rule.step_size * g, adapted, grads)
        losses.append(0.5 * jnp.mean((NETWORK(adapted, qx) - qy) ** 2))
    return jnp.mean(jnp.stack(losses))


def test_outer_loss_and_gradient_are_those_of_a_plain_loop():
    params, batch = start(), TASKS.sample(jax.random.key(1), 4, 6)
    rule = tl.MAML(step_size=0.05, steps=2)
    loss, grads = tl.autodiff.outer_value_and_grad(params, batch, rule, NETWORK)
    want, want_grads = jax.value_and_grad(by_hand)(params, batch, rule)
    np.testing.assert_allclose(loss, want, rtol=1e-12)
    jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-12),
                 grads, want_grads)  # fmt: skip


def test_it_trains_and_is_saved_and_read_back(tmp_path):
    loss = tl.SampledLoss(TASKS, RULE, num_tasks=8, num_queries=10, model=NETWORK)
    run = tl.meta_train(loss, start(), optax.adam(1e-2), 600, jax.random.key(0), record_every=10)
    assert run.loss.shape == run.grad_norm.shape == (60,)
    assert run.loss[-20:].mean() < 0.8 * run.loss[:20].mean()
    held_out = TASKS.sample(jax.random.key(9), 64, 10)
    before, after = (
        tl.autodiff.outer_loss(p, held_out, RULE, NETWORK) for p in (start(), run.params)
    )
    assert after < 0.9 * before

    path = tl.save_run(tmp_path / "sine.npz", run.params, RULE, run.loss, {"width": 8})
    saved = tl.load_run(path)
    assert jax.tree.structure(saved.params) == jax.tree.structure(run.params)
    jax.tree.map(np.testing.assert_array_equal, saved.params, run.params)
    np.testing.assert_array_equal(saved.loss, run.loss)


def test_a_sweep_over_it_gives_what_single_runs_give():
    ds = tl.sweep(
        TASKS,
        RULE,
        over={"step_size": [0.0, 0.05], "largest": [1.0, 5.0]},
        model=NETWORK,
        optimizer=tl.Optimizer("sgd", 0.01),
        loss="sampled",
        num_tasks=4,
        num_steps=20,
        record_every=5,
    )
    assert ds.final_loss.dims == ("step_size", "largest")
    assert np.all(np.isfinite(ds.final_loss))
    assert np.all(ds.loss.isel(iteration=0, largest=0) < ds.loss.isel(iteration=0, largest=1))
    # Zero step size is no adaptation: loss before any update, by hand, on tasks of that law.
    first = float(ds.loss.isel(iteration=0).sel(step_size=0.0, largest=5.0))
    assert 0.1 < first < 20


def test_a_surface_through_it():
    batch = TASKS.sample(jax.random.key(2), 4, 6)
    loss, params = tl.BatchLoss(batch, RULE, model=NETWORK), start()
    direction = jax.tree.map(jnp.ones_like, params)
    other = jax.tree.map(lambda w: jnp.cos(jnp.arange(float(w.size))).reshape(w.shape), params)
    plane = tl.surface(loss, params, (direction, other), 0.5, resolution=5)
    corner = jax.tree.map(lambda p, u, v: p - 0.5 * u + 0.25 * v, params, direction, other)
    np.testing.assert_allclose(plane.loss[0, 3], by_hand(corner, batch, RULE), rtol=1e-10)


def test_closed_forms_say_that_they_do_not_serve_it():
    batch = TASKS.sample(jax.random.key(2), 4, 6)
    with pytest.raises(tl.NoClosedFormError, match="autodiff"):
        tl.closed_form.outer_loss(start(), batch, RULE, NETWORK)
    with pytest.raises(tl.NoClosedFormError, match="sample tasks instead"):
        tl.autodiff.outer_loss(start(), TASKS, RULE, NETWORK)


def test_a_model_with_one_output_too_many_axes_is_told_which_shape_to_return():
    """The tasks are toylin's, so that it is not their y which is wrong."""
    tasks = tl.LinearRegression(shots=5).sample(jax.random.key(0), 3, 5)
    wanted = r"model must return one number a point, .*y has shape \(5,\); got .* shape \(5, 1\)"
    with pytest.raises(ValueError, match=wanted):
        tl.autodiff.outer_loss({"w": jnp.ones((1, 1))}, tasks, RULE, lambda p, x: x @ p["w"])
