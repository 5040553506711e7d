"""The numbers that the explorer's page computes, against those of the package."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chromium import load
from helpers import WEIGHTS, flat, scalar_params, value_and_grad
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl
from toylin.explorer import MAX_DEPTH, SHOTS

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def explorer(browser):
    """Call a function of the page: ``explorer(name, *arguments)``."""
    load(browser)
    return lambda name, *arguments: browser.execute_script(
        f"return window.toylin.{name}(...arguments)", *arguments
    )


@given(data=st.data(), depth=st.integers(1, MAX_DEPTH), few=st.booleans())
def test_loss_and_gradient_are_those_of_the_package(explorer, data, depth, few):
    number = st.floats(-1.5, 1.5)
    weights = data.draw(st.lists(number, min_size=depth, max_size=depth))
    shots = data.draw(st.sampled_from(SHOTS)) if few else None
    step_size = data.draw(st.floats(0.05, 1.5))
    mean, noise = data.draw(number), data.draw(st.floats(0, 1.5))
    theta_std, x_std = data.draw(st.floats(0.3, 1.5)), data.draw(st.floats(0.3, 1.5))
    tasks = tl.LinearRegression(
        theta_mean=mean, theta_cov=theta_std**2, x_cov=x_std**2, noise_std=noise, shots=shots
    )
    loss, grad = value_and_grad(tl.closed_form, scalar_params(weights), tasks, tl.MAML(step_size))
    problem = {
        "weights": weights, "stepSize": step_size, "shots": shots, "noiseStd": noise,
        "thetaMean": mean, "thetaStd": theta_std, "xStd": x_std,
    }  # fmt: skip
    assert explorer("outerLoss", problem) == pytest.approx(float(loss), rel=1e-10)
    found, want = np.array(explorer("outerGrad", problem)), flat(grad)
    assert np.max(np.abs(found - want)) < 1e-10 * max(np.max(np.abs(want)), float(loss))


def test_losses_known_exactly(explorer):
    known = {1: 0.49216, 2: 0.75743534058622645, 3: 0.73694273257573886}
    for depth, want in known.items():
        problem = {"stepSize": 0.1, "shots": 5, "noiseStd": 0.2, "thetaMean": 0.3}
        found = explorer("outerLoss", {"weights": [0.7, -0.9, 1.1][:depth], **problem})
        assert found == pytest.approx(want, rel=1e-13)


@pytest.mark.parametrize(("depth", "shots"), [(1, 5), (2, None), (3, 5), (4, 1)])
def test_meta_training_is_clipped_gradient_descent(explorer, depth, shots):
    """The page's descent, repeated with the package's loss and gradient."""
    tasks, rule = tl.LinearRegression(noise_std=0.3, shots=shots), tl.MAML(0.4)
    weights, now, rejected = np.array([WEIGHTS[0], *[WEIGHTS[2]] * (depth - 1)]), 0.05, 0
    rate, clip, updates = 0.05, 1.0, 60
    problem = {"weights": weights.tolist(), "stepSize": 0.4, "shots": shots, "noiseStd": 0.3}
    got = explorer("metaTrain", {**problem, "rate": rate, "clip": clip, "updates": updates})
    loss, grad = value_and_grad(tl.closed_form, scalar_params(weights), tasks, rule)
    path, losses = [weights], [float(loss)]
    for _ in range(updates):
        step = now * min(1, clip / np.linalg.norm(flat(grad))) * flat(grad)
        next_loss, next_grad = value_and_grad(
            tl.closed_form, scalar_params(weights - step), tasks, rule
        )
        if next_loss <= loss:
            weights, loss, grad, now = weights - step, next_loss, next_grad, min(1.2 * now, rate)
        else:
            now, rejected = now / 2, rejected + 1
        path.append(weights)
        losses.append(float(loss))
    np.testing.assert_allclose(got["weights"], path, rtol=0, atol=1e-9)
    np.testing.assert_allclose(got["loss"], losses, rtol=1e-8)
    assert losses[-1] < 0.9 * losses[0]
    assert (rejected > 0) == (shots == 1)  # both branches are taken
    upper = np.array(got["weights"])[:, 1:]
    assert np.all(np.abs(upper - upper[:, :1]) < 1e-9)


@pytest.mark.parametrize(("upper", "points"), [([], False), ([1.7], True), ([1.3, -0.8], False)])
def test_classifiers_adapt_and_score_as_those_of_the_package(explorer, upper, points):
    mean, u, step_size, steps = [0.7, -1.4], [0.4, 0.9], 0.3, 3
    law = tl.BinaryClassification(dim=2)
    task = law.population(jnp.asarray(mean))
    drawn = explorer("cloudPoints", 5, 6, mean) if points else None
    support = task
    if points:
        *x, y = np.array(drawn).T
        support = tl.BinaryPoints(jnp.asarray(x).T, jnp.asarray(y))
    layers = {"u": u, "upper": upper}
    found = explorer("adaptedClassifiers", layers, drawn, mean, step_size, steps)
    start = (jnp.asarray([u]), *(jnp.full((1, 1), w) for w in upper))
    weights = [start]
    for _ in range(steps):
        weights.append(tl.autodiff.adapt(weights[-1], support, tl.MAML(step_size)))
    for params, got in zip(weights, found, strict=True):
        want = tl.end_to_end(params)[0]
        np.testing.assert_allclose(got, want, rtol=1e-10)
        score = explorer("classifierScore", got, mean)
        assert score["loss"] == pytest.approx(float(task.loss(params)), rel=1e-10)
        assert score["right"] == pytest.approx(float(task.accuracy(params)), abs=1e-9)
    assert np.linalg.norm(np.subtract(found[-1], found[0])) > 0.1


def test_one_step_from_the_best_upper_weight_is_the_best_classifier(explorer):
    """Of every task: where the loss has no gradient."""
    for depth, step_size in ((2, 0.1), (3, 0.7)):
        weight = explorer("bestUpper", depth, step_size)
        start = (jnp.zeros((1, 2)), *[jnp.full((1, 1), weight)] * (depth - 1))
        for mean in ([0.7, -1.4], [-2.0, 0.3]):
            task = tl.BinaryClassification(dim=2).population(jnp.asarray(mean))
            adapted = tl.end_to_end(tl.closed_form.adapt(start, task, tl.MAML(step_size)))
            np.testing.assert_allclose(adapted[0], 2 * jnp.asarray(mean), rtol=1e-12)
            assert np.abs(tl.closed_form.inner_grad((adapted,), task)[0]).max() < 1e-12


def test_clouds_are_those_of_the_law(explorer):
    x, z, y = np.array(explorer("cloudPoints", 3, 20_000, [1.5, -0.5])).T
    assert set(y) == {-1, 1}
    assert abs(y.mean()) < 0.03
    rest = np.stack([y * x - 1.5, y * z + 0.5])
    np.testing.assert_allclose(np.cov(rest), np.eye(2), atol=0.04)
    np.testing.assert_allclose(rest.mean(axis=1), 0, atol=0.03)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_starred_starts_are_minima_and_the_lowest_seen(explorer, depth):
    axis = np.linspace(-2, 2, 21)
    plane = jnp.asarray(list(itertools.product(axis, axis)))

    @jax.jit
    def facts(start, tasks, rule):
        def loss(point):
            weights = (point[0], *[point[1]] * (depth - 1))
            params = tuple(w.reshape(1, 1) for w in weights)
            return tl.closed_form.outer_loss(params, tasks, rule)

        return loss(start), jax.grad(loss)(start), jax.hessian(loss)(start), jax.vmap(loss)(plane)

    for shots, noise, step_size in itertools.product((None, 1, 10), (0.0, 1.0), (0.1, 0.5, 1.5)):
        tasks = tl.LinearRegression(noise_std=noise, shots=shots)
        starts = explorer("bestStarts", depth, step_size, {"shots": shots, "noiseStd": noise})
        assert len(starts) == (4 if depth == 2 else 2)
        for start in starts:
            loss, grad, hessian, around = facts(
                jnp.asarray(start, float), tasks, tl.MAML(step_size)
            )
            assert np.max(np.abs(grad)) < 1e-9 * np.max(np.abs(hessian))
            assert np.all(np.linalg.eigvalsh(hessian) > 0)
            assert loss <= np.min(around)


def test_best_starts_of_tasks_with_a_mean_are_those_of_the_package(explorer):
    """Off zero, where the package solves for them and certifies the least loss."""
    for mean, shots, step_size in itertools.product((0.5, 2.0), (1, 20), (0.1, 1.5)):
        tasks = tl.LinearRegression(theta_mean=mean, noise_std=0.5, shots=shots)
        problem = {"shots": shots, "noiseStd": 0.5, "thetaMean": mean}
        floor = float(tl.deep_floor(tasks, tl.MAML(step_size)))
        starts = explorer("bestStarts", 2, step_size, problem)
        assert starts
        for start in starts:
            loss = explorer("outerLoss", {"weights": start, "stepSize": step_size, **problem})
            assert loss == pytest.approx(floor, rel=1e-9), (mean, shots, step_size)
    for depth, count in ((2, 4), (3, 2)):
        population = {"shots": None, "noiseStd": 0.5, "thetaMean": 1.3}
        starts = explorer("bestStarts", depth, 0.4, population)
        assert len(starts) == count
        for lower, upper in starts:
            weights = [lower, *[upper] * (depth - 1)]
            loss = explorer("outerLoss", {"weights": weights, "stepSize": 0.4, **population})
            assert loss == pytest.approx(0.5**2 / 2, rel=1e-12)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_best_starts_are_the_lowest_of_the_plane_where_tasks_have_a_mean(explorer, depth):
    """Against every point of a finer grid, and where they are there is no gradient."""
    axis = np.linspace(-3.5, 3.5, 141)
    plane = jnp.asarray(list(itertools.product(axis, axis[axis.size // 2 :])))

    @jax.jit
    def facts(start, tasks, rule):
        def loss(point):
            weights = (point[0], *[point[1]] * (depth - 1))
            return tl.closed_form.outer_loss(tuple(w.reshape(1, 1) for w in weights), tasks, rule)

        return loss(start), jax.grad(loss)(start), jax.hessian(loss)(start), jax.vmap(loss)(plane)

    for size, shots, mean in itertools.product(
        (0.1, 0.2, 1.5, 4.0), (1, 2, 5, 20), (0.3, 1.0, 2.0)
    ):
        problem = {"shots": shots, "noiseStd": 0.0, "thetaMean": mean}
        starts = explorer("bestStarts", depth, size, problem)
        losses = []
        for start in starts:
            loss, grad, hessian, around = facts(
                jnp.asarray(start, float),
                tl.LinearRegression(theta_mean=mean, shots=shots),
                tl.MAML(size),
            )
            assert loss <= np.min(around) * (1 + 1e-9), (size, shots, mean)
            assert np.max(np.abs(grad)) < 1e-4 * np.max(np.abs(hessian)), (size, shots, mean)
            losses.append(float(loss))
        assert np.ptp(losses) < 1e-9 * losses[0]  # they are mirror images
