"""A sweep over tasks and a model of a user's own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toylin as tl


@tl.pytree_dataclass
class Sines:
    """y = amplitude sin(x + phase): a law of tasks of a user's own."""

    largest: float | jax.Array = 5.0
    shots: int = tl.static_field(default=10)

    def sample(self, key, num_tasks, num_queries):
        keys = jax.random.split(key, 4)
        amplitude = jax.random.uniform(keys[0], (num_tasks, 1), minval=0.1, maxval=self.largest)
        phase = jax.random.uniform(keys[1], (num_tasks, 1), maxval=np.pi)

        def points(key, count):
            x = jax.random.uniform(key, (num_tasks, count), minval=-5.0, maxval=5.0)
            return tl.RegressionPoints(x[..., None], amplitude * jnp.sin(x + phase))

        return tl.Batch(points(keys[2], self.shots), points(keys[3], num_queries))


@tl.pytree_dataclass
class Tanh:
    """A network of two layers with biases, a model of a user's own."""

    width: int = tl.static_field(default=8)
    slope: float | jax.Array = 1.0

    def init(self, key, tasks, dtype):
        one, two = jax.random.split(key)
        return {
            "below": (jax.random.normal(one, (self.width, 1), dtype), jnp.zeros(self.width, dtype)),
            "above": (
                jax.random.normal(two, (self.width,), dtype) / self.width,
                jnp.zeros((), dtype),
            ),
        }

    def __call__(self, params, x):
        (w, b), (v, c) = params["below"], params["above"]
        return jnp.tanh(self.slope * (x @ w.T + b)) @ v + c


def test_tasks_and_models_of_ones_own(tmp_path):
    settings = {
        "over": {"largest": [1.0, 5.0], "width": [4, 8], "slope": [0.5, 1.0], "step_size": [0.01]},
        "loss": "sampled",
        "num_tasks": 4,
        "num_steps": 60,
        "record_every": 20,
        "optimizer": tl.Optimizer("adam", 0.02),
        "test_tasks": 50,
    }
    ds = tl.sweep(Sines(), model=Tanh(), **settings)
    assert ds.final_loss.dims == ("largest", "width", "slope", "step_size")
    assert "weights" not in ds
    assert "input" not in ds.dims
    one = ds.sel(largest=5.0, width=8, slope=0.5, step_size=0.01)
    model = Tanh(slope=0.5)
    keys = jax.random.split(jax.random.key(0), 3)
    loss = tl.SampledLoss(Sines(), tl.MAML(0.01), 4, 10, model)
    params = model.init(keys[0], Sines(), float)
    run = tl.meta_train(loss, params, optax.adam(0.02), 60, keys[1], record_every=20)
    np.testing.assert_allclose(one.loss[:-1], run.loss, rtol=1e-9)
    final = tl.autodiff.outer_loss(
        run.params, Sines().sample(keys[2], 50, 10), tl.MAML(0.01), model
    )
    np.testing.assert_allclose(one.final_loss, final, rtol=1e-9)
    for dim in ("largest", "width", "slope"):
        assert float(abs(ds.final_loss.diff(dim)).min()) > 1e-6, dim
    stored = tl.sweep(Sines(), model=Tanh(), store=tmp_path / "sines.zarr", **settings)
    assert stored.drop_vars("computed").load().equals(ds)
    with pytest.raises(ValueError, match="serves the deep linear model"):
        tl.sweep(Sines(), model=Tanh(), **(settings | {"loss": "exact"}))
