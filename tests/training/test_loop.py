"""The loop in pieces: records, Ctrl-C, divergence, users' own losses, programs that are shared."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import WEIGHTS, assert_close, scalar_params

import toylin as tl
from toylin.training import _drive

TASKS = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)
RULE = tl.MAML(0.1)
PARAMS = scalar_params(WEIGHTS[:2])
KEY = jax.random.key(3)
SGD = optax.sgd(0.05)
LOSS = tl.SampledLoss(TASKS, RULE, num_tasks=4)


def equal(got, want):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    jax.tree.map(np.testing.assert_array_equal, got, want)


@pytest.fixture(scope="module")
def whole():
    return tl.meta_train(LOSS, PARAMS, SGD, 230, KEY, trajectory=True)


@pytest.mark.parametrize("iterations", [7, 130])
def test_cut_anywhere_it_gives_the_same_bits(whole, iterations, monkeypatch):
    pieces = []
    monkeypatch.setattr(_drive._Program, "piece", lambda self: iterations)
    end = _drive._end
    monkeypatch.setattr(
        _drive, "_end", lambda loop, done, size: pieces.append(done) or end(loop, done, size)
    )
    equal(tl.meta_train(LOSS, PARAMS, SGD, 230, KEY, trajectory=True), whole)
    assert len(pieces) >= 230 // iterations
    monkeypatch.setattr(
        _drive, "_end", lambda loop, done, size: min(done + iterations, loop.num_steps)
    )
    equal(tl.meta_train(LOSS, PARAMS, SGD, 230, KEY, trajectory=True), whole)


@pytest.mark.parametrize("every", [7, 229, 1000])
def test_every_kth_iteration_is_recorded(whole, every):
    run = tl.meta_train(LOSS, PARAMS, SGD, 230, KEY, record_every=every, trajectory=True)
    np.testing.assert_array_equal(run.iteration, np.arange(0, 230, every))
    assert_close(run.params, whole.params, 1e-12)
    records = (run.loss, run.grad_norm, run.trajectory)
    want = jax.tree.map(lambda x: x[::every], (whole.loss, whole.grad_norm, whole.trajectory))
    assert_close(records, want, 1e-12)


def test_the_gradient_norm_is_that_of_the_gradient(whole):
    for i in (0, 120, 229):
        params = jax.tree.map(lambda x, i=i: x[i], whole.trajectory)
        grads = jax.grad(LOSS)(params, jax.random.fold_in(KEY, i))
        norm = np.sqrt(sum(float(np.sum(np.square(g))) for g in grads))
        np.testing.assert_allclose(whole.grad_norm[i], norm, rtol=1e-12)


def test_parameters_are_left_to_the_caller():
    start = scalar_params([0.3, 0.4])
    tl.meta_train(LOSS, start, SGD, 5, KEY)
    assert [float(w[0, 0]) for w in start] == [0.3, 0.4]


def press_ctrl_c(after):
    timer = threading.Timer(after, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def test_ctrl_c_returns_what_was_done(whole):
    before = signal.getsignal(signal.SIGINT)
    timer = press_ctrl_c(3.0)
    begin = time.perf_counter()
    with pytest.warns(UserWarning, match=r"interrupted: [\d,]+ of 1,000,000,000 meta-iterations"):
        run = tl.meta_train(LOSS, PARAMS, SGD, 1_000_000_000, KEY, record_every=100_000)
    timer.join()
    assert time.perf_counter() - begin < 60
    assert run.interrupted
    assert len(run.loss) == len(run.iteration) < 10_000
    assert signal.getsignal(signal.SIGINT) is before
    if len(run.loss):
        np.testing.assert_allclose(run.loss[0], whole.loss[0], rtol=1e-12)
        assert np.all(np.isfinite(run.loss))
        assert np.all(np.asarray(run.loss) > 0)


def test_ctrl_c_while_compiling_is_no_crash():
    def loss(params):
        signal.raise_signal(signal.SIGINT)
        return jnp.sum(params[0] ** 2)

    with pytest.warns(UserWarning, match="interrupted: 0 of 10 meta-iterations"):
        run = tl.meta_train(loss, PARAMS, SGD, 10)
    assert run.interrupted
    assert run.loss.shape == (0,)
    equal(run.params, PARAMS)


def test_a_process_that_ignores_ctrl_c_goes_on():
    def loss(params):
        signal.raise_signal(signal.SIGINT)
        return jnp.sum(params[0] ** 2)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert not tl.meta_train(loss, PARAMS, SGD, 10).interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_ctrl_c_interrupts_at_once():
    def loss(params):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return jnp.sum(params[0] ** 2)

    with pytest.raises(KeyboardInterrupt):
        tl.meta_train(loss, PARAMS, SGD, 10)


def test_in_a_thread_ctrl_c_is_left_alone():
    before, runs = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=lambda: runs.append(tl.meta_train(LOSS, PARAMS, SGD, 5, KEY)))
    thread.start()
    thread.join()
    assert len(runs[0].loss) == 5
    assert signal.getsignal(signal.SIGINT) is before


def test_divergence_says_when():
    run = tl.meta_train(lambda p: jnp.sum(p[0] ** 4), PARAMS, optax.sgd(10.0), 50)
    bad = np.flatnonzero(~(np.isfinite(run.loss) & np.isfinite(run.grad_norm)))
    assert 0 < run.diverged_at == bad[0]
    every = tl.meta_train(
        lambda p: jnp.sum(p[0] ** 4), PARAMS, optax.sgd(10.0), 50, record_every=50
    )
    assert every.diverged_at == run.diverged_at
    before = int(run.diverged_at)
    short = tl.meta_train(lambda p: jnp.sum(p[0] ** 4), PARAMS, optax.sgd(10.0), before)
    expected = np.nan if np.all(np.isfinite(short.params[0])) else before
    np.testing.assert_equal(short.diverged_at, expected)
    last = tl.meta_train(lambda p: jnp.sum(p[0] * 1e100), PARAMS, optax.sgd(1e300), 1)
    assert np.isfinite(last.grad_norm[0])
    assert last.diverged_at == 1
    assert np.isnan(tl.meta_train(LOSS, PARAMS, SGD, 5, KEY).diverged_at)

    def at(scale):
        loss = lambda p: scale * jnp.sum(p[0] ** 4)  # noqa: E731
        return tl.meta_train(loss, PARAMS, optax.sgd(10.0), 50).diverged_at

    np.testing.assert_array_equal(jax.vmap(at)(jnp.array([1.0, 0.0])), [run.diverged_at, np.nan])


@tl.pytree_dataclass
class Quadratic:
    """A loss of a user's own: sum of (w - z)², z drawn."""

    scale: jax.Array
    rule: tl.Rule = dataclasses.field(default_factory=lambda: tl.MAML(jnp.asarray(0.5)))

    def draw(self, key):
        return {
            "z": self.scale * jax.random.normal(key, (3,)),
            "n": jax.random.randint(key, (), 0, 9),
        }

    def on(self, params, drawn):
        w = params["w"] - self.rule.step_size * params["b"]
        return jnp.sum((w - drawn["z"]) ** 2) + 0.0 * drawn["n"]

    def __call__(self, params, key):
        return self.on(params, self.draw(key))


START = {"w": jnp.arange(3.0), "b": jnp.asarray(0.3)}


def test_a_loss_of_ones_own_draws_ahead():
    loss = Quadratic(jnp.asarray(2.0))
    run = tl.meta_train(loss, START, SGD, 120, KEY)
    plain = tl.meta_train(lambda p, k: loss(p, k), START, SGD, 120, KEY)
    assert_close((run.params, run.loss), (plain.params, plain.loss), 1e-12)
    params = START
    for i in range(120):
        value, grads = jax.value_and_grad(loss)(params, jax.random.fold_in(KEY, i))
        np.testing.assert_allclose(run.loss[i], value, rtol=1e-11)
        params = jax.tree.map(lambda p, g: p - 0.05 * g, params, grads)
        if i == 20:
            break
    program = next(reversed(_drive._programs.values()))
    assert program.loop.ahead > 30


def test_any_loss_with_a_rule_is_learned_jointly():
    loss = Quadratic(jnp.asarray(0.0))
    run = tl.meta_train(*tl.joint(loss, START), SGD, 200, KEY)
    params, rule = run.params
    assert isinstance(rule, tl.MAML)
    assert float(rule.step_size) != 0.5
    np.testing.assert_allclose(params["w"], rule.step_size * params["b"], atol=1e-4)
    with pytest.raises(ValueError, match="loss must be an outer loss with a rule"):
        tl.joint(lambda p: 0.0, START)


def test_reverse_mode_goes_through_training():
    def final(step_size, learning_rate):
        loss = tl.SampledLoss(TASKS, tl.MAML(step_size), 4)
        return tl.meta_train(loss, PARAMS, optax.sgd(learning_rate), 130, KEY).loss[-1]

    values, step = (0.1, 0.05), 1e-6
    grads = jax.grad(final, argnums=(0, 1))(*values)
    for i, got in enumerate(grads):
        up, down = (
            final(*(v + sign * step * (i == j) for j, v in enumerate(values))) for sign in (1, -1)
        )
        np.testing.assert_allclose(got, (up - down) / (2 * step), rtol=1e-4)


RATE = 0.1


def test_progress_shows_done_rate_and_left(capsys):
    tl.meta_train(LOSS, PARAMS, SGD, 230, KEY, progress=True)
    shown = capsys.readouterr().err
    assert "230/230" in shown
    assert "iterations/s" in shown
    tl.meta_train(LOSS, PARAMS, SGD, 230, KEY)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"record_every": 0}, "record_every must be an integer of at least 1, got 0"),
        ({"num_steps": 2.5}, "num_steps must be an integer of at least 1, got 2.5"),
        ({"params": (jnp.ones((1, 1), int),)}, "params must hold arrays of floats"),
        ({"params": ()}, "params must hold at least one array"),
        ({"params": "weights"}, "params must hold arrays of floats, got 'weights'"),
        ({"optimizer": "adam"}, "optimizer must be an optax.GradientTransformation, got 'adam'"),
        ({"key": None}, "key must be a JAX random key"),
    ],
)
def test_bad_input_is_named(changes, words):
    settings = {"loss": LOSS, "params": PARAMS, "optimizer": SGD, "num_steps": 5, "key": KEY}
    with pytest.raises(ValueError, match=words):
        tl.meta_train(**(settings | changes))
