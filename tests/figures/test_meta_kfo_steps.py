"""The figure meta_kfo_steps: what its caption says, equal starts, and a small one computed."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

import toylin as tl
from toylin.figures import meta_kfo_steps
from toylin.figures._meta_kfo_steps_panels import CONTENDERS
from toylin.figures._meta_kfo_steps_rules import cut, start

COMMITTED = Path(__file__).parents[2] / "figures" / "meta_kfo_steps.npz"
SETTINGS = meta_kfo_steps.SETTINGS


@pytest.fixture(scope="module")
def data():
    with np.load(COMMITTED) as saved:
        return dict(saved)


def test_what_the_caption_says(data):
    over = {name: data[f"after_{name}"][:, -1] / data["bayes"] for name in CONTENDERS}
    assert {runs.shape for runs in over.values()} == {(3,)}
    poor = ("shallow_maml", "shallow_meta_sgd")
    assert min(over["shallow_maml"]) > 2.8 > 1.9 > max(over["shallow_meta_sgd"])
    assert min(over["shallow_meta_sgd"]) > 1.7
    for name in set(CONTENDERS) - set(poor):
        assert np.all((over[name] > 1.0) & (over[name] < 1.12)), name
    assert min(over["shallow_meta_kfo"]) > max(over["shallow_held_kfo"]) - 1e-3
    before = np.square(data["scales"]) * data["no_adaptation"]
    left = {name: np.median(data[f"scaled_{name}"], axis=0) / before for name in CONTENDERS}
    nonlinear = {"shallow_meta_kfo": 2.0, "deep_anil_kfo": 3.0, "deep_maml": 2.0}
    for name, share in left.items():
        held = data["scales"] < nonlinear.get(name, np.inf)
        assert np.all(share[held] < 0.09), name
        assert not np.any(share[~held] < 1.0), name  # diverged, to infinity or no number too


def test_the_levels_are_those_of_the_law(data):
    tasks = meta_kfo_steps._law()
    signal = np.trace(tasks.x_cov) * np.trace(tasks.output_cov) * SETTINGS["theta_cov"] / 2
    np.testing.assert_allclose(data["no_adaptation"], signal, rtol=1e-7)
    # All numbers of theta at once, given each of a few supports, on draws of their own.
    batch = tasks.sample_moments(jax.random.key(17), 300)
    prior = np.linalg.inv(np.asarray(tasks.prior()))
    weight = np.kron(np.eye(SETTINGS["outputs"]), tasks.x_cov)
    losses = [
        np.sum(weight * np.linalg.inv(prior + np.kron(np.eye(SETTINGS["outputs"]), seen))) / 2
        for seen in np.asarray(batch.support.xx) * SETTINGS["shots"] / SETTINGS["noise_std"] ** 2
    ]
    assert abs(np.mean(losses) - data["bayes"]) < 5 * np.std(losses) / len(losses) ** 0.5
    assert np.std(losses) / len(losses) ** 0.5 < 0.01 * data["bayes"]


def test_all_start_from_one_function_and_one_first_step():
    support = meta_kfo_steps._law().sample(jax.random.key(0), 1).support
    support = jax.tree.map(lambda a: a[0], support)
    wanted = SETTINGS["step_size"] * np.asarray(support.y).T @ support.x / SETTINGS["shots"]
    for name in CONTENDERS:
        params, rule = start(name, SETTINGS)
        assert rule.steps == SETTINGS["inner_steps"]
        assert not np.any(tl.end_to_end(params))
        moved = tl.autodiff.adapt(params, support, cut(rule, 1))
        np.testing.assert_allclose(tl.end_to_end(moved), wanted, rtol=1e-12, err_msg=name)


def test_a_rule_that_is_cut_takes_its_first_steps():
    params, rule = start("shallow_meta_sgd", SETTINGS)
    sizes = rule.step_sizes[0] * np.arange(1, 6).reshape(5, 1, 1)
    rule = rule.replace(step_sizes=(sizes,))
    task = meta_kfo_steps._law().population(np.ones((4, 4)))
    w, sigma = np.zeros((4, 4)), np.asarray(meta_kfo_steps._law().x_cov)
    for steps in range(4):
        adapted = tl.autodiff.adapt(params, task, cut(rule, steps))
        np.testing.assert_allclose(adapted[0], w, rtol=1e-12, atol=1e-14)
        w = w - 0.3 * (steps + 1) * (w - 1.0) @ sigma


def test_a_small_one_is_computed(monkeypatch):
    small = {"num_steps": 2, "test_tasks": 8, "inner_steps": 2, "seeds": 2, "scales": [1, 2]}
    for name, value in small.items():
        monkeypatch.setitem(SETTINGS, name, value)
    two = {name: CONTENDERS[name] for name in ("shallow_maml", "deep_anil_kfo")}
    monkeypatch.setattr(meta_kfo_steps, "CONTENDERS", two)
    ticks = []
    data = meta_kfo_steps.compute(lambda: ticks.append(1))
    assert len(ticks) == 1 + len(two)
    for name in two:
        assert data[f"after_{name}"].shape == (2, 3)
        np.testing.assert_allclose(data[f"scaled_{name}"][:, 0], data[f"after_{name}"][:, -1])
        assert np.all(np.diff(data[f"after_{name}"]) < 0)
    assert np.ptp(data["after_shallow_maml"][:, -1]) > 0  # seeds draw tasks of their own
