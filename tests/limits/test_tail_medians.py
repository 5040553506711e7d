"""The median of ``tails`` against plain sampling in NumPy, with its own inner loop."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl

NUMBER = 200_000
# What the docstring of ``tails`` promises of the probability of a loss below the median.
PROMISED = 0.003


def sampled(weights, step_size, steps, tasks):
    """Query losses of tasks drawn by chi² and normals, adapted by the chain rule on scalars."""
    rng = np.random.default_rng(3)
    shots, x_var, noise = tasks.shots, float(tasks.x_cov), float(tasks.noise_std)
    theta = rng.normal(float(tasks.theta_mean), float(tasks.theta_cov) ** 0.5, NUMBER)
    squares = x_var * rng.chisquare(shots, NUMBER)
    pull = noise * np.sqrt(squares) * rng.standard_normal(NUMBER) / shots
    w = [np.full(NUMBER, float(x)) for x in weights]
    with np.errstate(all="ignore"):
        for _ in range(steps):
            slope = squares / shots * (np.prod(w, axis=0) - theta) - pull
            others = [
                np.prod([np.ones(NUMBER), *w[:i], *w[i + 1 :]], axis=0) for i in range(len(w))
            ]
            w = [x - step_size * slope * rest for x, rest in zip(w, others, strict=True)]
        losses = 0.5 * (x_var * (np.prod(w, axis=0) - theta) ** 2 + noise**2)
    return np.where(np.isnan(losses), np.inf, losses)


@pytest.mark.parametrize(
    ("weights", "step_size", "steps", "shots", "law"),
    [
        # Good outcomes beside diverging ones: several large steps.
        ((1, 1), 1.0, 4, 2, {"noise_std": 0.5}),
        ((1, 1), 1.0, 3, 2, {"noise_std": 0.5}),
        ((1, 1), 1.0, 3, 5, {"noise_std": 0.5}),
        ((-1.38, -0.55), 1.0, 3, 3, {"theta_mean": 1.0, "noise_std": 0.2}),
        ((1, 1), 0.5, 3, 1, {"theta_mean": 1.0, "noise_std": 3.0}),
        ((1.2, 0.8), 0.3, 5, 2, {"noise_std": 0.2}),
        ((2, -1), 0.7, 3, 1, {"theta_mean": 1.5, "theta_cov": 0.1, "x_cov": 2.0, "noise_std": 5.0}),
        # Losses over many orders of magnitude at one shot.
        ((1, 2), 0.1, 1, 1, {"theta_mean": 2.0, "theta_cov": 1e8, "noise_std": 1e-3}),
        ((1, 2), 0.1, 1, 1, {"theta_mean": 2.0, "noise_std": 1000.0}),
        ((1, 2), 0.1, 2, 1, {"theta_mean": 2.0, "x_cov": 1e6, "noise_std": 1.0}),
        # Other depths, and none to spread.
        ((0.7,), 0.5, 3, 1, {"theta_mean": 1.0, "noise_std": 1.0}),
        ((0.5, 0.5, 0.5), 1.0, 2, 5, {"theta_mean": 1.0, "noise_std": 0.2}),
        ((1, 1), 0.5, 4, 5, {"noise_std": 0.0}),
    ],
)
def test_half_of_all_sampled_tasks_end_below_the_median(weights, step_size, steps, shots, law):
    tasks = tl.LinearRegression(shots=shots, **law)
    params = tuple(jnp.array([[float(w)]]) for w in weights)
    median = float(tl.tails(params, tasks, tl.MAML(step_size, steps)).median)
    below = np.mean(sampled(weights, step_size, steps, tasks) < median)
    assert abs(below - 0.5) < 4 * 0.5 / NUMBER**0.5 + PROMISED


def test_the_value_of_the_median_has_two_digits_after_several_steps():
    one = jnp.ones((1, 1))
    tasks = tl.LinearRegression(noise_std=0.5, shots=2)
    # Two million sampled tasks: 0.3471 after four steps and 0.3565 after three, to 0.0005.
    for steps, sample in ((4, 0.3471), (3, 0.3565)):
        median = tl.tails((one, one), tasks, tl.MAML(1.0, steps)).median
        assert float(median) == pytest.approx(sample, rel=0.01)
