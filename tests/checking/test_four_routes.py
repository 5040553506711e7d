"""The four routes as a function: they agree wherever one looks, and abstain rather than mislead."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import scalar_params
from hypothesis import given, settings
from hypothesis import strategies as st

import toylin as tl
from toylin.checking import _differences, _four_routes
from toylin.checking._differences import finite_differences

TASKS = tl.LinearRegression(theta_mean=0.3, x_cov=1.44, noise_std=0.2, shots=5)
number = st.floats(-1.2, 1.2).map(lambda x: round(x, 3))


@pytest.mark.parametrize(("depth", "steps", "shots"), [(1, 3, 2), (2, 2, 5), (3, 2, None)])
@given(data=st.data())
@settings(max_examples=3)
def test_all_agree_wherever_one_looks(depth, steps, shots, data):
    tasks = tl.LinearRegression(
        theta_mean=data.draw(number),
        x_cov=1.44,
        noise_std=data.draw(st.sampled_from([0.0, 0.7])),
        shots=shots,
    )
    rule = tl.MAML(data.draw(st.sampled_from([-0.1, 0.05, 0.2])), steps)
    weights = data.draw(st.tuples(*[number] * depth))
    report = tl.check_routes(scalar_params(weights), tasks, rule, 1e-11)
    assert report.agree, report
    assert not report.abstains
    assert report.answers["finite_differences"].grad_error < 1e-8


@pytest.mark.parametrize("steps", [0, 1])
def test_zero_weights_and_no_steps(steps):
    assert tl.check_routes(scalar_params((0.0, 0.0)), TASKS, tl.MAML(0.1, steps), 1e-12).agree


@settings(max_examples=12)
@given(exponents=st.tuples(*[st.integers(-12, 12)] * 2), step=st.integers(-8, 0))
def test_weights_of_any_size(exponents, step):
    """Either finite differences follow, or they say that they cannot; nothing else disagrees."""
    weights = [0.7 * 10.0 ** exponents[0], -0.9 * 10.0 ** exponents[1]]
    report = tl.check_routes(scalar_params(weights), TASKS, tl.MAML(float(f"1e{step}")))
    assert report.agree, report
    error = report.answers["finite_differences"].grad_error
    assert error <= max(10 * report.answers["finite_differences"].uncertainty, 1e-9)


def test_where_differences_cannot_tell_it_is_said(monkeypatch):
    monkeypatch.setattr(_differences, "_NOISE", 1e14)
    report = tl.check_routes(scalar_params((0.7, -0.9)), TASKS, tl.MAML(0.1))
    assert report.abstains
    assert report.agree
    assert "all three agree" in str(report)
    assert "finite differences cannot tell" in str(report)


def test_a_wrong_route_is_not_excused_by_an_abstention(monkeypatch):
    monkeypatch.setattr(_differences, "_NOISE", 1e14)
    right = tl.closed_form.outer_grad
    monkeypatch.setattr(
        tl.closed_form, "outer_grad", lambda *a: jax.tree.map(lambda g: 1.001 * g, right(*a))
    )
    report = tl.check_routes(scalar_params((0.7, -0.9)), TASKS, tl.MAML(0.1))
    assert not report.agree
    assert "do NOT agree" in str(report)


@pytest.mark.parametrize(
    ("function", "at", "grad"),
    [
        (lambda w: w[0] ** 3 * w[1], (1e-9, 1e9), (3e-9, 1e-27)),
        (lambda w: (1e9 * w[0] - 1) ** 2 + w[1] ** 2, (0.0, 1e3), (-2e9, 2e3)),
        (lambda w: w[0] * w[1], (0.0, 0.0), (0.0, 0.0)),
        (lambda w: 5.0 + 0 * w[0], (1.0, 2.0), (0.0, 0.0)),
    ],
)
def test_differences_know_their_own_error(function, at, grad):
    found = finite_differences(function, jnp.array(at), degree=4)
    assert np.all(np.abs(found.grad - grad) <= found.uncertainty)
    assert np.all(found.uncertainty <= 1e-8 * np.max(np.abs(grad)) + 1e-12)


def test_the_dictionary_says_what_the_report_says():
    report = tl.check_routes(scalar_params((0.7,)), TASKS, tl.MAML(0.1))
    found = report.as_dict()
    assert found["agree"] is report.agree is True
    assert found["exact"] == report.answers["exact"].loss
    assert found["closed_form_grad_error"] == report.answers["closed_form"].grad_error
    assert len(str(report).splitlines()) >= 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {
                "params": scalar_params(
                    (1.0,),
                )[0]
            },
            "params must be",
        ),
        ({"params": (jnp.ones((1, 1), np.float32),)}, "in float64"),
        ({"params": tl.init(jax.random.key(0), (1, 2, 1))}, "shape \\(1, 1\\)"),
        ({"tasks": tl.BinaryClassification()}, "tasks must be a LinearRegression"),
        ({"rule": tl.FOMAML(0.1)}, "rule must not be first-order"),
        ({"tolerance": 0.0}, "tolerance must be a positive number below 1, got 0.0"),
        ({"tolerance": float("nan")}, "tolerance must be a finite number, got nan"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"params": scalar_params((1.0,)), "tasks": TASKS, "rule": tl.MAML(0.1)} | change
    with pytest.raises(ValueError, match=message):
        tl.check_routes(**arguments)


def test_each_answer_is_judged_on_its_own():
    exact = _four_routes.Answer(2.0, [1.0, -4.0])
    judged = _four_routes._judge(_four_routes.Answer(2.2, [1.0, -4.4]), exact, floor=0.5)
    assert judged.loss_error == pytest.approx(0.1)
    assert judged.grad_error == pytest.approx(0.1)
