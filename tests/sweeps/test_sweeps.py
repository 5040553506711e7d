"""A sweep gives, run by run, what the same settings give one at a time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

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
    away = distance_to_minimum(run.params, tasks, tl.MAML(0.3))  # none of a deep one at few shots
    assert (away is None) == (depth == 2 and shots == 3)
    np.testing.assert_allclose(ds.distance_to_minimum, away or np.nan, rtol=1e-9)


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


def test_a_thousand_times_the_first_loss_is_divergence():
    ds = tl.sweep(
        tl.LinearRegression(),
        over={"learning_rate": np.geomspace(10, 1000, 41)},
        model=tl.DeepLinear(depth=1),
        optimizer="sgd",
        num_steps=1,
    )
    times = ds.final_loss.values / ds.loss.values[:, 0]
    assert times[times < 1000].max() > 700
    assert times[times > 1000].min() < 1500
    assert ds.diverged.values.tolist() == (times > 1000).tolist()


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
