"""A sweep gives, run by run, what the same settings give one at a time."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize

import toylin as tl
from toylin.landscape import distance_to_minimum
from toylin.sweeps import _program
from toylin.sweeps._chunks import parse_memory
from toylin.sweeps._problem import NamedRule

TASKS = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)


def start(seed, widths, scale=1.0):
    return tl.init(jax.random.split(jax.random.key(seed), 3)[0], widths, scale)


@pytest.fixture(scope="module")
def regression():
    return tl.sweep(
        TASKS,
        over={
            "depth": [1, 2],
            "shots": [3, None],
            "step_size": [-0.2, 0.3],
            "schedule": {"learning_rate": [0.01, 0.1], "scale": [1.0, 0.5]},
            "noise_std": [0.0, 0.4],
        },
        seeds=[4, 7],
        num_steps=40,
        record_every=10,
        chunk_runs=7,
    )


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("shots", [3, None])
def test_every_run_is_meta_train(regression, depth, shots):
    ds = regression.sel(
        depth=depth, shots=shots or np.inf, step_size=0.3, schedule=1, noise_std=0.4, seed=7
    )
    tasks = tl.LinearRegression(theta_mean=0.3, noise_std=0.4, shots=shots)
    loss = tl.ExactLoss(tasks, tl.MAML(0.3))
    run = tl.meta_train(
        loss, start(7, (1,) * (depth + 1), 0.5), optax.adam(0.1), 40, trajectory=True
    )
    np.testing.assert_allclose(ds.loss[:-1], run.loss[::10], rtol=1e-12)
    np.testing.assert_allclose(ds.final_loss, loss(run.params), rtol=1e-12)
    np.testing.assert_allclose(ds.weights, tl.end_to_end(run.params)[0], rtol=1e-12)
    grads = jax.vmap(lambda p: tl.closed_form.outer_grad(p, tasks, tl.MAML(0.3)))(run.trajectory)
    norms = np.sqrt(sum(np.sum(np.square(g), axis=(1, 2)) for g in grads))
    np.testing.assert_allclose(ds.grad_norm[:-1], norms[::10], rtol=1e-9)
    unadapted = tl.closed_form.outer_loss(run.params, tasks, tl.MAML(0.3, steps=0))
    np.testing.assert_allclose(ds.unadapted_loss, unadapted, rtol=1e-12)
    assert float(ds.unadapted_loss) != float(ds.final_loss)


def test_it_is_labelled(regression):
    assert regression.final_loss.dims == (
        "depth", "shots", "step_size", "schedule", "noise_std", "seed",
    )  # fmt: skip
    assert regression.loss.dims[-1] == "iteration"
    assert regression.iteration.values.tolist() == [0, 10, 20, 30, 40]
    assert regression.learning_rate.dims == ("schedule",)
    assert regression.seed.values.tolist() == [4, 7]
    assert np.isinf(regression.shots.values[1])
    assert all("long_name" in v.attrs and "units" in v.attrs for v in regression.values())
    assert '"theta_mean": 0.3' in regression.attrs["settings"]
    assert np.all(np.isfinite(regression.final_loss))
    # Every axis matters: nothing was swept in name only.
    for dim in regression.final_loss.dims:
        assert float(abs(regression.final_loss.diff(dim)).max()) > 1e-6, dim


def test_chunks_do_not_change_numbers():
    def result(chunk_runs):
        over = {"step_size": np.linspace(-0.3, 0.9, 7), "depth": [1, 2]}
        return tl.sweep(TASKS, over=over, seeds=3, num_steps=20, chunk_runs=chunk_runs)

    whole = result(None)
    for chunk_runs in (1, 4):
        for name, variable in result(chunk_runs).items():
            np.testing.assert_allclose(variable, whole[name], rtol=1e-13, err_msg=name)


@pytest.mark.parametrize("tasks", [TASKS, tl.BinaryClassification(dim=1, shots=4)], ids=["r", "b"])
def test_a_sampled_run_is_meta_train_with_the_same_key(tasks):
    """Draws ahead in blocks of its own length, and for several runs at once, change nothing."""
    ds = tl.sweep(
        tasks,
        over={"step_size": [0.1, 0.3]},
        loss="sampled",
        num_tasks=5,
        num_queries=3,
        num_steps=130,
        record_every=10,
        seeds=[4, 7],
        test_tasks=11,
    )
    for step_size, seed in ((0.1, 4), (0.3, 7)):
        key_train, key_eval = jax.random.split(jax.random.key(seed), 3)[1:]
        rule = tl.MAML(step_size)
        loss = tl.SampledLoss(tasks, rule, 5, 3)
        run = tl.meta_train(
            loss, start(seed, (1, 1, 1)), optax.adam(0.01), 131, key_train, record_every=10,
            trajectory=True,
        )  # fmt: skip
        got = ds.sel(step_size=step_size, seed=seed)
        np.testing.assert_allclose(got.loss, run.loss, rtol=1e-11)
        np.testing.assert_allclose(got.grad_norm, run.grad_norm, rtol=1e-9)
        end = jax.tree.map(lambda x: x[-1], run.trajectory)
        final = tl.SampledLoss(tasks, rule, 11, None)(end, key_eval)
        np.testing.assert_allclose(got.final_loss, final, rtol=1e-11)
        assert np.isnan(got.diverged_at)


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


@pytest.mark.parametrize("loss", ["exact", "sampled"])
def test_rules_that_start_at_the_parameters(loss):
    """A rule by name is made anew from every start; at its start, and held, it is MAML."""
    names = ("maml", "meta-sgd", "meta-kfo", "meta-curvature")
    ds = tl.sweep(
        TASKS,
        over={"rule": {name: NamedRule(name) for name in names}, "step_size": [0.1, 0.2]},
        loss=loss,
        num_steps=10,
        test_tasks=20,
    )
    for name in names[1:]:
        np.testing.assert_allclose(
            ds.final_loss.sel(rule=name), ds.final_loss.sel(rule="maml"), rtol=1e-10
        )
    assert float(abs(ds.final_loss.diff("step_size")).min()) > 1e-6
    # Made inside the program or given to it, the rule has the nodes that its steps need.
    plain = tl.sweep(TASKS, over={"step_size": [0.1, 0.2]}, loss=loss, num_steps=10, test_tasks=20)
    np.testing.assert_allclose(ds.final_loss.sel(rule="maml"), plain.final_loss, rtol=1e-12)


def test_exact_losses_of_binary_tasks():
    tasks = tl.BinaryClassification(dim=2, mean_std=0.6)
    ds = tl.sweep(tasks, tl.MAML(0.5), over={"learning_rate": [0.01, 0.1]}, num_steps=3,
                  model=tl.DeepLinear(depth=1))  # fmt: skip
    run = tl.meta_train(tl.ExactLoss(tasks, tl.MAML(0.5)), start(0, (2, 1)), optax.adam(0.1), 3)
    np.testing.assert_allclose(ds.loss[1, :-1], run.loss, rtol=1e-8)
    assert float(ds.final_loss[1]) < float(ds.final_loss[0]) < float(ds.loss[0, 0])


def test_sampled_losses_and_several_inputs():
    tasks = tl.BinaryClassification(dim=3, shots=4)
    ds = tl.sweep(
        tasks,
        tl.MAML(0.5),
        over={"learning_rate": [0.0, 0.03]},
        model=tl.DeepLinear(widths=(3, 2, 1)),
        loss="sampled",
        num_tasks=8,
        num_queries=None,
        num_steps=60,
        seeds=2,
        test_tasks=4000,
    )
    assert ds.weights.shape == (2, 2, 3)
    assert bool((ds.final_loss.sel(learning_rate=0.03) < ds.loss.sel(learning_rate=0)[:, 0]).all())
    assert bool(ds.distance_to_minimum.isnull().all())
    # At learning rate 0 the final loss is the outer loss of the start, estimated afresh.
    params = start(1, (3, 2, 1))
    losses = tl.autodiff.task_losses(params, tasks.sample(jax.random.key(99), 20_000), tl.MAML(0.5))
    error = float(jnp.std(losses)) * (1 / 20_000 + 1 / 4000) ** 0.5
    final = float(ds.final_loss.sel(learning_rate=0.0, seed=1))
    assert abs(final - float(losses.mean())) < 5 * error


def test_structure_compiles_once_and_numbers_never():
    settings = {"num_steps": 6, "seeds": 2}
    before = _program.run_chunk._cache_size()
    tl.sweep(TASKS, over={"depth": [1, 2], "step_size": [0.1, 0.2, 0.3]}, chunk_runs=2, **settings)
    assert _program.run_chunk._cache_size() == before + 2
    tl.sweep(
        tl.LinearRegression(theta_mean=-0.7, noise_std=0.1, shots=8),
        over={"depth": [2, 1], "step_size": [0.7, 0.8, 0.9]},
        chunk_runs=2,
        **settings,
    )
    assert _program.run_chunk._cache_size() == before + 2


def test_whole_rules_by_label_and_rules_made_from_parameters():
    def made(params):
        return tl.MAML(0.1 + 0.0 * params[0][0, 0])

    rules = {"maml": tl.MAML(0.1), "fomaml": tl.MAML(0.1, first_order=True), "made": made}
    ds = tl.sweep(TASKS, over={"rule": rules}, num_steps=20, loss="sampled", test_tasks=10)
    assert ds.rule.values.tolist() == ["maml", "fomaml", "made"]
    loss = ds.final_loss
    np.testing.assert_allclose(loss.sel(rule="maml"), loss.sel(rule="made"), rtol=1e-12)
    assert abs(float(loss.sel(rule="maml") - loss.sel(rule="fomaml"))) > 1e-6


def test_learning_the_step_size_reaches_the_best_one():
    # One layer, population: alpha = 1/s² adapts exactly, and is found by gradient descent.
    ds = tl.sweep(
        tl.LinearRegression(x_cov=2.0),
        over={"step_size": [0.1]},
        model=tl.DeepLinear(depth=1),
        optimizer=tl.Optimizer("adam", 0.02),
        learn_rule=True,
        num_steps=400,
    )
    assert float(ds.final_loss[0]) < 1e-8 < 0.3 < float(ds.loss[0, 0])


def test_divergence_and_convergence():
    ds = tl.sweep(
        tl.LinearRegression(),
        over={"learning_rate": [0.5, 100.0]},
        model=tl.DeepLinear(depth=1),
        optimizer="sgd",
        num_steps=400,
        record_every=1,
        tolerance=1e-4,
    )
    bad = ~(np.isfinite(ds.loss.values[1]) & np.isfinite(ds.grad_norm.values[1]))
    assert np.isnan(ds.diverged_at[0])
    assert float(ds.diverged_at[1]) == np.flatnonzero(bad)[0]
    assert ds.diverged.values.tolist() == [False, True]
    at = int(ds.converged_at[0])
    assert 0 < at < 400
    assert np.isnan(ds.converged_at[1])
    norms = ds.grad_norm.values[0]
    assert np.all(norms[at:] <= 1e-4)
    assert norms[at - 1] > 1e-4


def product_slopes(u):
    """The gradient of the product of the entries."""
    u = u.tolist()
    return [math.prod(u[:i] + u[i + 1 :]) for i in range(len(u))]


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_distance_to_the_nearest_minimum(depth):
    tasks, rule = tl.LinearRegression(x_cov=1.7), tl.MAML(0.4)
    product = 1 / np.sqrt(0.4 * 1.7)
    rng = np.random.default_rng(depth)
    distance = jax.jit(distance_to_minimum)
    for weights in (*rng.normal(size=(6, depth)), 3 + rng.random(depth), np.zeros(depth)):
        params = tuple(jnp.full((1, 1), w) for w in weights)
        best = np.inf
        for zero in range(depth):
            kept = np.delete(weights, zero)
            for sign in (-1, 1):
                for begin in rng.normal(scale=2.0, size=(12, depth - 1)):
                    found = minimize(
                        lambda u, kept=kept: np.sum((u - kept) ** 2),
                        begin,
                        jac=lambda u, kept=kept: 2 * (u - kept),
                        constraints={
                            "type": "eq",
                            "fun": lambda u, sign=sign: math.prod(u) - sign * product,
                            "jac": product_slopes,
                        },
                        method="SLSQP",
                        options={"ftol": 1e-14, "maxiter": 500},
                    )
                    if found.success and abs(abs(np.prod(found.x)) - product) < 1e-8:
                        best = min(best, weights[zero] ** 2 + found.fun)
        got = float(distance(params, tasks, rule))
        assert got == pytest.approx(np.sqrt(best), rel=1e-5)


def test_the_minima_are_minima():
    # The points that distances are taken to have zero loss: one step fits every task.
    product = 1 / np.sqrt(0.4 * 1.7)
    params = tuple(jnp.full((1, 1), w) for w in (0.0, 2.0, product / 2))
    tasks = tl.LinearRegression(theta_mean=0.6, x_cov=1.7)
    assert float(tl.closed_form.outer_loss(params, tasks, tl.MAML(0.4))) < 1e-25
    assert float(distance_to_minimum(params, tasks, tl.MAML(0.4))) < 1e-7
    assert np.isnan(float(distance_to_minimum(params, tasks, tl.MAML(-0.4))))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"over": {"colour": [1]}}, "over must name fields of the settings.*'colour'"),
        ({"over": {"step_size": []}}, "at least one value"),
        ({"over": {"step_size": 0.1}}, "must be a sequence of values"),
        ({"over": {"step_size": [0.1, np.nan]}}, "step_size must be a finite number"),
        ({"over": {"x_cov": [1.0, -1.0]}}, "x_cov must be positive definite"),
        ({"over": {"depth": [1, 0]}}, "depth must be an integer of at least 1, got 0"),
        ({"over": {"z": {"depth": [1, 2], "steps": [1]}}}, "must be equally long"),
        ({"over": {"depth": [1], "z": {"depth": [2]}}}, "twice"),
        ({"over": {"rule": [tl.MAML(0.1)]}}, "must map labels to settings"),
        ({"over": {"momentum": [0.9]}}, "'momentum'"),
        ({"optimizer": "lion_tamer"}, "optimizer must be the name of an optax optimizer"),
        ({"optimizer": tl.Optimizer("sgd")}, None),
        ({"record_every": 7}, "record_every must divide num_steps=20, got 7"),
        ({"loss": "approximate"}, "loss must be one of exact, sampled"),
        ({"devices": [1]}, r"devices must be different ones of jax.devices\(\), got \[1\]"),
        ({"devices": [1]}, "devices must be"),  # once more: JAX aborted the second time
        ({"devices": []}, "devices must be"),
        ({"devices": [jax.devices()[0]] * 2}, "devices must be"),
        ({"devices": "cpu"}, "devices must be"),
        ({"devices": [[]]}, "devices must be"),
        ({"seeds": 0}, "seeds must be an integer of at least 1"),
        ({"seeds": [1.5]}, "seeds must be"),
        ({"memory": "lots"}, "memory must be a size"),
        ({"memory": "10 B"}, "memory must allow for one run a device"),
        ({"tasks": tl.BinaryClassification(shots=3)}, "closed form"),
        ({"model": lambda params, x: x}, r"model must be such as DeepLinear\(\)"),
        ({"rule": 0.1}, "rule must be an adaptation rule"),
        ({"tasks": 3}, "tasks must be a law of tasks"),
        ({"learn_rule": "no"}, "learn_rule must be a bool"),
        ({"tasks": tl.LinearRegression(dim=2, shots=3)}, "sample tasks instead"),
    ],
)
def test_bad_input_is_named(changes, words):
    settings = {"over": {"depth": [2]}, "num_steps": 20} | changes
    if words is None:
        tl.sweep(**settings)
        return
    with pytest.raises(ValueError, match=words):
        tl.sweep(**settings)


def test_estimate_and_memory():
    estimate = tl.sweep(
        over={"depth": [1, 2], "step_size": np.linspace(0, 1, 50)},
        num_steps=100,
        seeds=100,
        memory="200kB",
        dry_run=True,
    )
    assert estimate.runs == 10_000
    assert estimate.programs == 2
    assert estimate.memory <= 200_000 < estimate.memory * 3
    assert estimate.chunks * estimate.chunk_runs >= 10_000
    assert "10,000 runs" in str(estimate)
    assert parse_memory("1.5 GiB") == 1.5 * 2**30
    assert parse_memory("2MB") == 2_000_000


def test_what_is_not_given_is_as_documented_and_no_axis_is_one_run():
    one = tl.sweep(over={}, num_steps=20)
    written_out = tl.sweep(
        tl.LinearRegression(),
        tl.MAML(0.1),
        over={"depth": [2]},
        model=tl.DeepLinear(),
        optimizer=tl.Optimizer("adam", 0.01),
        loss="exact",
        num_steps=20,
        seeds=[0],
    )
    assert one.final_loss.dims == ()
    assert float(one.final_loss) == float(written_out.final_loss.squeeze())
