"""Sizes that cannot be served are refused at once, by name and number, and nothing is allocated."""

from __future__ import annotations

import time
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import run_command, scalar_params

import toylin as tl
from toylin._internal.memory import check_fits, physical_memory
from toylin.rules import check_problem
from toylin.tasks import count_nodes, loss_degrees

KEY = jax.random.key(0)
PARAMS = scalar_params([0.7, -0.9])
TASKS, RULE = tl.LinearRegression(shots=5), tl.MAML(0.1)
MOST = 2**31 - 1


CALLS = {
    "derive": (lambda: tl.derive(depth=2, steps=MOST), "polynomials of degree .*e"),
    "derive beyond": (lambda: tl.derive(depth=2, steps=2**31), "steps must be .* at most"),
    "nodes": (lambda: tl.quadrature_batch(TASKS, 2, MOST), "more than MAX_NODES"),
    "nodes of one layer": (lambda: tl.quadrature_batch(TASKS, 1, MOST), "more than MAX_NODES"),
    "nodes in dimensions": (
        lambda: tl.quadrature_batch(tl.LinearRegression(dim=10**6), 2, 1),
        "more than MAX_NODES",
    ),
    "exact": (
        lambda: tl.symbolic.outer_loss([0.7, -0.9], TASKS, tl.MAML(0.1, MOST)),
        "takes too long",
    ),
    "records": (
        lambda: tl.meta_train(tl.ExactLoss(TASKS, RULE), PARAMS, optax.sgd(0.1), MOST),
        r"recording 2147483647 iterations \(num_steps=2147483647, record_every=1",
    ),
    "tasks": (lambda: TASKS.sample(KEY, MOST), "drawing num_tasks=2147483647 needs .* GiB"),
    "tasks beyond": (lambda: TASKS.sample(KEY, 2**31), "num_tasks must be .* at most 2147483647"),
    "classes": (
        lambda: tl.BinaryClassification(dim=30).sample(KEY, MOST),
        "drawing num_tasks=2147483647 needs .* GiB",
    ),
    "means": (
        lambda: tl.LinearRegression(dim=100).sample_theta(KEY, MOST),
        "drawing num_tasks=2147483647 needs .* GiB",
    ),
    "estimate": (
        lambda: tl.estimate(PARAMS, TASKS, RULE, KEY, 16 * 2**28, method="mc"),
        "num_tasks must be .* at most|drawing num_tasks=.* needs .* GiB",
    ),
    "depth": (lambda: tl.DeepLinear(depth=2**31 - 1), "depth must be .* at most 32"),
    "swept depth": (
        lambda: tl.sweep(TASKS, RULE, over={"depth": [2**31]}, num_steps=1),
        "depth must be .* at most 32",
    ),
    "swept steps": (
        lambda: tl.sweep(TASKS, RULE, over={"rule.steps": [99_999_999_999]}, num_steps=1),
        "steps must be .* at most 2147483647",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_refused_at_once(name):
    call, message = CALLS[name]
    begin = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        call()
    assert time.perf_counter() - begin < 10


@pytest.mark.parametrize("num_steps", [1, 99, 100, 101, 1000, 10007, MOST, MOST - 1])
def test_a_sweep_records_at_most_a_hundred_and_the_last(num_steps):
    from toylin.sweeps._recipe import check_recipe

    every = check_recipe(
        loss="exact",
        num_steps=num_steps,
        record_every=None,
        test_tasks=1,
        learn_rule=False,
        tolerance=1e-6,
        dtype=None,
    ).record_every
    assert num_steps % every == 0
    assert num_steps // every <= 100
    finer = [k for k in range(num_steps // every + 1, 101) if num_steps % k == 0]
    assert not finer


def test_degrees_by_the_recursion():
    for depth in range(1, 6):
        in_s = 0
        for steps in range(1, 6):
            in_s = 1 + (2 * depth - 1) * in_s
            theta = (2 * depth - 1) ** (steps - 1)
            assert loss_degrees(depth, steps) == (2 * depth * theta, 2 * depth * in_s)
    assert loss_degrees(1, MOST) == (2, 2 * MOST)
    assert loss_degrees(3, MOST) == (10**12, 10**12)
    assert count_nodes(tl.LinearRegression(dim=64), 1, 1) == 2**64


@pytest.mark.parametrize("shots", [None, 5])
def test_a_rule_too_long_for_one_number_is_refused_at_once(shots):
    tasks, rule = tl.LinearRegression(shots=shots), tl.MAML(0.1, steps=10)
    with pytest.raises(ValueError, match=r"steps=10 needs .* nodes.*; sample tasks instead"):
        tl.quadrature_batch(tasks, depth=2, steps=10)
    with pytest.raises(ValueError, match=r"steps=10"):
        tl.closed_form.outer_loss((jnp.ones((1, 1)),) * 2, tasks, rule)
    with pytest.raises(ValueError, match=r"steps=10 needs .* nodes.*; use loss='sampled'"):
        tl.sweep(tasks, rule, over={"step_size": [0.1]}, num_steps=2)


def degrees_step_by_step(depth, steps):
    """Degrees in theta and S and powers of the denominator, of a weight and of the slope."""
    theta, second, power, slope = 0, 0, 1, (1, 1, depth + 1)
    for _ in range(steps):
        theta = slope[0] + (depth - 1) * theta
        second = slope[1] + (depth - 1) * second
        power = 1 + slope[2] + (depth - 1) * power
        slope = (depth * theta, 1 + depth * second, 1 + depth * power)
    return depth * theta, depth * second, power


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_the_degrees_behind_exact_arithmetic(depth):
    from toylin.symbolic._exact import _degrees

    for steps in (0, 1, 2, 3, 7, 64):
        assert _degrees(depth, steps) == degrees_step_by_step(depth, steps)
    if depth == 1:
        assert _degrees(1, 5000) == degrees_step_by_step(1, 5000)


@pytest.mark.parametrize(("steps", "shots"), [(900, 5), (5000, 5), (MOST, 5), (MOST, None)])
def test_exact_arithmetic_of_one_layer_refuses_what_takes_too_long(steps, shots):
    tasks = tl.LinearRegression(theta_mean=0.3, shots=shots)
    with pytest.raises(ValueError, match="takes too long"):
        tl.symbolic.outer_loss([0.7], tasks, tl.MAML(0.1, steps))


def test_memory_is_counted_in_bytes():
    have = physical_memory()
    assert have is None or have > 2**28
    check_fits("this", 10, np.float64)
    if have is not None:
        check_fits("all", have // 8, np.float64)
        with pytest.raises(ValueError, match=r"^all but one needs .* GiB, more than the"):
            check_fits("all but one", have // 8 + 1, np.float64)


def test_an_axis_of_many_values_is_kept_as_an_array():
    """As objects a million values took 285 MiB more than a thousand times a thousand."""
    from toylin.sweeps._axes import parse
    from toylin.sweeps._config import parse_values
    from toylin.sweeps._problem import Problem, Sizes

    base = Problem(TASKS, RULE, tl.DeepLinear(), tl.Optimizer(), Sizes(32, 10))
    tracemalloc.start()
    (dim,) = parse({"step_size": parse_values("step_size", "0.1:0.9:100000")}, base)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert dim.size == 100_000
    assert peak < 4 * 8 * dim.size


COMMANDS = [
    (("check", "--steps", "1000"), "takes too long"),
    (("train", "--seed", "99999999999999999999"), "'--seed'"),
    (("train", "--num-steps", "2147483647"), "num_steps=2147483647"),
    (("train", "--num-tasks", "2147483648"), "'--num-tasks'"),
    (("train", "--depth", "33"), "'--depth'"),
    (("loss", "--weights", "1,1", "--num-tasks", "2147483648"), "'--num-tasks'"),
]


@pytest.mark.parametrize(("command", "named"), COMMANDS)
def test_commands_refuse_in_one_line(command, named, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = run_command(monkeypatch, capsys, *command)
    assert code in (1, 2)
    assert out == ""
    assert err.count("\n") == 1
    assert named in err
    assert not list(tmp_path.rglob("*.npz"))


def test_numbers_beyond_the_range_of_single_precision():
    single = tuple(w.astype(np.float32) for w in PARAMS)
    for fields, name in (
        ({"theta_cov": 1e-50}, "theta_cov"),
        ({"x_cov": 1e39}, "x_cov"),
        ({"theta_mean": -1e300}, "theta_mean"),
    ):
        tasks = tl.LinearRegression(**fields, shots=3)
        with pytest.raises(ValueError, match=rf"tasks\.{name} must be in the range .* float32"):
            tl.closed_form.outer_loss(single, tasks, RULE)
        assert np.isfinite(tl.LinearRegression(shots=3).sample(KEY, 2).truth).all()
    with pytest.raises(ValueError, match=r"x_cov must have eigenvalues of 2.23e-308 at least"):
        tl.LinearRegression(x_cov=1e-320)
    check_problem(PARAMS, tl.LinearRegression(noise_std=1e-310), RULE)  # a double, if a short one
    tiny = tl.LinearRegression(x_cov=3e-308, shots=2, noise_std=1.0)
    assert np.isfinite(tl.bayes_loss(tiny))


def test_directions_of_nothing():
    zeros, ones = jnp.zeros((2, 2)), jnp.eye(2)
    with pytest.raises(ValueError, match="first must not be zero"):
        tl.matrix_angle(zeros, ones)
    with pytest.raises(ValueError, match="second must not be zero"):
        tl.matrix_angle(ones, zeros)
    with pytest.raises(ValueError, match="step_size must not be zero"):
        tl.step_departure(PARAMS, jnp.ones(1), 0.0)
    with pytest.raises(ValueError, match="gradient must not be zero"):
        tl.step_departure(PARAMS, jnp.zeros(1), 0.1)
    assert np.isnan(jax.jit(tl.matrix_angle)(zeros, ones))
