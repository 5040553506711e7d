"""A right formula passes, a wrong one is shown at a simple setting, and its slip is named."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

import toylin as tl
from toylin import testing
from toylin.closed_form import outer_grad, outer_loss
from toylin.testing._slips import SLIPS

POPULATION = testing.regressions(shots=(None,))


def by_hand(params, tasks, rule, *, three=3):
    """Two scalar layers, one step on the population, from pencil and paper."""
    w1, w2 = params[0][0, 0], params[1][0, 0]
    a, p, q = rule.step_size * tasks.x_cov, w1 * w2, w1**2 + w2**2
    m, tau2 = p - tasks.theta_mean, tasks.theta_cov
    second = m**2 + tau2
    third = m**3 + three * m * tau2
    fourth = m**4 + 6 * m**2 * tau2 + 3 * tau2**2
    square = (1 - a * q) ** 2 * second + 2 * (1 - a * q) * a**2 * p * third + a**4 * p**2 * fourth
    return 0.5 * tasks.x_cov * square + 0.5 * tasks.noise_std**2


def test_a_formula_by_hand_is_right():
    report = testing.check_outer_loss(by_hand, tasks=POPULATION)
    assert report.settings == report.exact == 50
    assert max(report.value_error, report.grad_error) < 1e-13
    assert len(report.sampled) == 3
    assert max(map(abs, report.sampled)) < 5
    text = str(report)
    assert text.startswith("right at 50 settings")
    assert "exact nodes at 50" in text
    assert text.endswith("standard errors")


def test_the_simplest_setting_that_breaks_a_formula_is_shown():
    with pytest.raises(AssertionError, match="wrong at") as caught:
        testing.check_outer_loss(partial(by_hand, three=1), tasks=POPULATION)
    found = caught.value.comparison
    # At w_1 = 0 the wrong term vanishes, and with it what is wrong with the loss: not its slope.
    assert [float(w[0, 0]) for w in found.setting.params] == [0.0, 1.0]
    assert found.value == found.want
    assert abs(found.grad[0] - found.want_grad[0]) > 0.1
    assert found.setting.tasks.noise_std == 0
    assert caught.value.slips == []
    for part in ("w_2 = [[1.0]]", "MAML(step_size=", "LinearRegression(dim=1", "exact nodes"):
        assert part in str(caught.value)


def at(loss=outer_loss, **fields):
    """The right formula of other tasks."""

    def formula(params, tasks, rule):
        new = {name: change(getattr(tasks, name)) for name, change in fields.items()}
        return loss(params, dataclasses.replace(tasks, **new), rule)

    return formula


def stepping(**fields):
    """The right formula of another rule."""
    return lambda p, t, r: outer_loss(
        p, t, r.replace(**{name: change(getattr(r, name)) for name, change in fields.items()})
    )


MADE = {
    "a factor of 2": lambda *s: 2 * outer_loss(*s),
    "a factor of 1/2": lambda *s: outer_loss(*s) / 2,
    "the sign of the loss": lambda *s: -outer_loss(*s),
    "the sign of the step": stepping(step_size=lambda a: -a),
    "enters doubled": stepping(step_size=lambda a: 2 * a),
    "enters halved": stepping(step_size=lambda a: a / 2),
    "no label noise at all": at(noise_std=lambda x: 0.0),
    "of the queries is missing": lambda p, t, r: outer_loss(p, t, r) - t.noise_std**2 / 2,
    "enters in full": lambda p, t, r: outer_loss(p, t, r) + t.noise_std**2 / 2,
    "of the support is missing": lambda p, t, r: (
        at(noise_std=lambda x: 0.0)(p, t, r) + t.noise_std**2 / 2
    ),
    "noise_std is a standard deviation": at(noise_std=lambda x: x**0.5),
    "x_cov is a covariance: not its square": at(x_cov=lambda x: x**2),
    "x_cov is a covariance: not its root": at(x_cov=lambda x: x**0.5),
    "theta_cov is a covariance: not its square": at(theta_cov=lambda x: x**2),
    "theta_cov is a covariance: not its root": at(theta_cov=lambda x: x**0.5),
    "theta_mean is missing": at(theta_mean=lambda x: 0.0),
    "the sign of theta_mean": at(theta_mean=lambda x: -x),
    "the support is the population": at(shots=lambda k: None),
    "one too few": at(shots=lambda k: k - 1),
    "one too many": at(shots=lambda k: k + 1),
    "no adaptation": stepping(steps=lambda n: 0),
    "an inner step is missing": stepping(steps=lambda n: n - 1),
    "an inner step too many": stepping(steps=lambda n: n + 1),
}


@pytest.mark.parametrize("name", MADE)
def test_slips_are_named(name):
    # With noise that is not 0 or 1, and shots for those slips that nothing else shows.
    shots = (3,) if any(word in name for word in ("support", "one too")) else (None,)
    with pytest.raises(testing.WrongFormulaError, match="what would explain it") as caught:
        testing.check_outer_loss(
            MADE[name], tasks=testing.regressions(shots=shots), max_examples=12
        )
    assert any(name in slip for slip in caught.value.slips)
    assert len(caught.value.slips) <= 2


def test_every_slip_has_been_made():
    assert all(any(name in slip for name in MADE) for slip in SLIPS)
    assert all(any(name in slip for slip in SLIPS) for name in MADE)


@pytest.mark.parametrize(
    ("name", "grad"),
    [
        ("twice", lambda *s: jax.tree.map(lambda g: 2 * g, outer_grad(*s))),
        ("half", lambda *s: jax.tree.map(lambda g: g / 2, outer_grad(*s))),
        ("sign", lambda *s: jax.tree.map(lambda g: -g, outer_grad(*s))),
        ("first-order", lambda p, t, r: outer_grad(p, t, r.replace(first_order=True))),
    ],
)
def test_slips_of_a_gradient_are_named(name, grad):
    jitted = jax.jit(outer_loss), jax.jit(grad)
    with pytest.raises(testing.WrongFormulaError) as caught:
        testing.check_outer_loss(jitted[0], grad=jitted[1], tasks=POPULATION, max_examples=12)
    assert len(caught.value.slips) == 1
    assert name in caught.value.slips[0]
    assert caught.value.comparison.right_value


def test_numpy_formulas_with_their_gradient():
    def formula(params, tasks, rule):
        w, mean = float(params[0][0, 0]), float(tasks.theta_mean)
        left = (1 - float(rule.step_size) * float(tasks.x_cov)) ** 2
        return 0.5 * float(tasks.x_cov) * left * ((w - mean) ** 2 + float(tasks.theta_cov))

    def grad(params, tasks, rule):
        w = np.asarray(params[0])
        left = (1 - float(rule.step_size) * float(tasks.x_cov)) ** 2
        return (float(tasks.x_cov) * left * (w - float(tasks.theta_mean)),)

    quiet = st.builds(
        tl.LinearRegression,
        theta_mean=testing.numbers(-2, 2),
        theta_cov=testing.covariances(1),
        x_cov=testing.covariances(1),
    )
    one = testing.params(depth=1)
    report = testing.check_outer_loss(formula, params=one, tasks=quiet, grad=grad, max_examples=20)
    assert report.grad_error < 1e-14
    with pytest.raises(ValueError, match=r"written with jax\.numpy.* its gradient must be given"):
        testing.check_outer_loss(formula, params=one, tasks=quiet, max_examples=2)


@pytest.mark.parametrize(
    ("params", "tasks"),
    [
        (testing.params(2, dim=2, outputs=2), testing.regressions(2, (None,), outputs=2)),
        (testing.params(1, dim=3), testing.regressions(dim=3, shots=(None, 5))),
    ],
)
def test_several_dimensions(params, tasks):
    report = testing.check_outer_loss(outer_loss, params=params, tasks=tasks, max_examples=8)
    assert report.settings == 8


def test_rules_that_have_learned():
    start = (jnp.ones((1, 1)), jnp.ones((1, 1)))
    for name in ("meta-sgd", "meta-kfo"):
        rule = testing.learned_rules(name, start, size=0.2)
        report = testing.check_outer_loss(outer_loss, rule=rule, tasks=POPULATION, max_examples=8)
        assert report.exact == 8


def test_without_exact_nodes_sampling_judges():
    given = {"params": (jnp.array([[0.5, 1.0]]),), "rule": tl.MAML(0.3), "max_examples": 1}
    tasks = tl.LinearRegression(dim=2, theta_mean=0.3, noise_std=0.5, shots=5)
    report = testing.check_outer_loss(outer_loss, tasks=tasks, **given)
    assert (report.settings, report.exact) == (1, 0)
    for formula in (lambda *s: 1.1 * outer_loss(*s), at(shots=lambda k: None)):
        with pytest.raises(testing.WrongFormulaError, match="sampled tasks"):
            testing.check_outer_loss(formula, tasks=tasks, **given)


def test_laws_of_several_classes_are_judged_by_sampled_tasks():
    given = {
        "params": (jnp.zeros((3, 2)),),
        "tasks": testing.classifications(2, (2,), classes=3),
        "rule": tl.MAML(0.0, 0),
        "max_examples": 2,
    }
    chance = lambda classes: lambda p, t, r: jnp.log(classes) + 0.0 * jnp.sum(p[0])  # noqa: E731
    assert testing.check_outer_loss(chance(3.0), **given).exact == 0
    with pytest.raises(testing.WrongFormulaError, match="by autodiff on sampled tasks"):
        testing.check_outer_loss(chance(2.9), **given)


def test_bad_arguments():
    with pytest.raises(ValueError, match="formula must be a function"):
        testing.check_outer_loss(3)
    with pytest.raises(ValueError, match="tolerance must be a positive number below 1"):
        testing.check_outer_loss(outer_loss, tolerance=2.0)
    with pytest.raises(ValueError, match="max_examples"):
        testing.check_outer_loss(outer_loss, max_examples=0)
    with pytest.raises(ValueError, match="formula must return a number"):
        testing.check_outer_loss(lambda p, t, r: p[0], max_examples=1)
    with pytest.raises(ValueError, match="grad must return a pytree like params, 2 numbers, got 1"):
        testing.check_outer_loss(
            by_hand, grad=lambda p, t, r: p[0], tasks=POPULATION, max_examples=1
        )
    with jax.enable_x64(False), pytest.raises(ValueError, match="double precision"):
        testing.check_outer_loss(outer_loss)
