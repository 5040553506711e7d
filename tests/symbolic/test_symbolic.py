"""Exact rational arithmetic, against routes that share nothing with it."""

from __future__ import annotations

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Rational

import toylin as tl
from toylin import symbolic

decimal = st.integers(-13, 13).map(lambda n: Rational(n, 10))
positive = st.integers(2, 15).map(lambda n: Rational(n, 10))


def regression(mean, prior, spread, noise, shots):
    return tl.LinearRegression(
        theta_mean=mean, theta_cov=prior, x_cov=spread, noise_std=noise, shots=shots
    )


problems = st.builds(
    regression, decimal, positive, positive, positive, st.sampled_from([None, 1, 2, 5])
)


@pytest.mark.parametrize(
    ("depth", "steps", "expected"),
    [
        (1, 1, "0.49216"),
        (1, 2, "0.41133376"),
        (2, 1, 0.75743534058622645),
        (2, 2, 0.66176646284954014),
        (3, 1, 0.73694273257573886),
        (3, 2, 1050436.1173201865),
    ],
)
def test_known_values(depth, steps, expected):
    tasks = regression(0.3, 1, 1, 0.2, 5)
    loss = symbolic.outer_loss((0.7, -0.9, 1.1)[:depth], tasks, tl.MAML(0.1, steps))
    if isinstance(expected, str):
        assert loss == Rational(expected)
    assert float(loss) == pytest.approx(float(expected), rel=1e-14)


def gaussian_moment(order: int) -> int:
    return int(sympy.factorial2(order - 1)) if order % 2 == 0 else 0


@given(w=st.tuples(decimal, decimal), step_size=decimal, mean=decimal, noise=positive)
@settings(max_examples=10)
def test_two_points_by_brute_force(w, step_size, mean, noise):
    """Expand in the standard normals behind two points, theta and the noise; no S, v or Stein."""
    prior, spread = Rational(9, 4), Rational(25, 16)
    _, x1, x2, e1, e2, t = sympy.ring("x1, x2, e1, e2, t", sympy.QQ)
    a, b = (sympy.QQ(c.p, c.q) for c in w)
    q = sympy.QQ(5, 4)
    theta = sympy.QQ(mean.p, mean.q) + sympy.QQ(3, 2) * t
    sigma = sympy.QQ(noise.p, noise.q)
    slope = sum(q * x * (q * x * (a * b - theta) - sigma * e) for x, e in ((x1, e1), (x2, e2))) / 2
    rate = sympy.QQ(step_size.p, step_size.q) * slope
    error = (a - rate * b) * (b - rate * a) - theta
    expected = sum(
        c * np.prod([gaussian_moment(k) for k in powers], dtype=object)
        for powers, c in (error**2).terms()
    )
    tasks = regression(mean, prior, spread, noise, 2)
    loss = symbolic.outer_loss(w, tasks, tl.MAML(step_size))
    assert loss == (spread * sympy.QQ.to_sympy(sympy.QQ(expected)) + noise**2) / 2


# f'(x) = sum_k c_k [f(x + k h) - f(x - k h)] / h, exact up to degree 8.
STENCIL = [Rational(4, 5), Rational(-1, 5), Rational(4, 105), Rational(-1, 280)]


@pytest.mark.parametrize(("depth", "steps"), [(1, 0), (1, 3), (2, 1)])
@given(data=st.data(), tasks=problems, step_size=decimal)
@settings(max_examples=10)
def test_gradient_is_the_derivative_exactly(depth, steps, data, tasks, step_size):
    weights = data.draw(st.tuples(*[decimal] * depth))
    rule = tl.MAML(step_size, steps)
    for i, slope in enumerate(symbolic.outer_grad(weights, tasks, rule)):

        def loss(shift, i=i):
            moved = [w + shift if j == i else w for j, w in enumerate(weights)]
            return symbolic.outer_loss(moved, tasks, rule)

        assert slope == sum(
            c * (loss(Rational(k, 7)) - loss(Rational(-k, 7))) * 7
            for k, c in enumerate(STENCIL, start=1)
        )


@pytest.mark.parametrize(
    ("depth", "steps", "shots"),
    [(1, 2, 3), (2, 1, None), (2, 1, 2), (2, 2, 5), (3, 1, 4), (3, 2, None), (4, 1, 3)],
)
@given(data=st.data(), mean=decimal, prior=positive, spread=positive, noise=positive)
@settings(max_examples=5)
def test_agrees_with_closed_form(depth, steps, shots, data, mean, prior, spread, noise):
    weights = data.draw(st.tuples(*[decimal] * depth))
    step_size = data.draw(st.sampled_from([-0.05, 0.1, 0.3]))
    floats = regression(float(mean), float(prior), float(spread), float(noise), shots)
    params = tuple(jnp.array([[float(w)]]) for w in weights)
    rule = tl.MAML(step_size, steps)
    loss, grad = symbolic.outer_value_and_grad([float(w) for w in weights], floats, rule)
    tasks = regression(mean, prior, spread, noise, shots)
    exact = tl.MAML(Rational(str(step_size)), steps)
    assert symbolic.outer_loss(weights, tasks, exact) == loss
    np.testing.assert_allclose(tl.closed_form.outer_loss(params, floats, rule), float(loss), 1e-11)
    found = [float(g[0, 0]) for g in tl.closed_form.outer_grad(params, floats, rule)]
    wanted = [float(g) for g in grad]
    scale = max(float(loss), *map(abs, wanted))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11 * scale)


def test_deep_model_adapts_exactly_in_one_step():
    tasks = regression(Rational(1, 3), 2, Rational(9, 4), 0, None)
    assert symbolic.outer_value_and_grad([0, Rational(4, 3)], tasks, tl.MAML(Rational(1, 4))) == (
        0,
        (0, 0),
    )


def test_floats_are_read_as_they_print():
    tasks = tl.LinearRegression()
    wanted = symbolic.outer_loss([Fraction(1, 10)], tasks, tl.MAML(Rational(3, 10)))
    for weight in (0.1, np.float64(0.1), jnp.array(0.1), jnp.array([[0.1]])):
        assert symbolic.outer_loss([weight], tasks, tl.MAML(0.3)) == wanted


@pytest.mark.parametrize(
    ("weights", "tasks", "rule", "match"),
    [
        ([], tl.LinearRegression(), tl.MAML(0.1), "weights must be a sequence of numbers"),
        ([np.nan], tl.LinearRegression(), tl.MAML(0.1), "weights must be a finite number"),
        ([np.ones(2)], tl.LinearRegression(), tl.MAML(0.1), "weights must be numbers"),
        ([[0.7], [0.9]], tl.LinearRegression(), tl.MAML(0.1), "weights must be numbers"),
        (np.ones((2, 1)), tl.LinearRegression(), tl.MAML(0.1), "weights must be a sequence"),
        (["a"], tl.LinearRegression(), tl.MAML(0.1), "weights must be a real number"),
        ([1.0], tl.BinaryClassification(), tl.MAML(0.1), "tasks must be a LinearRegression"),
        ([1.0], tl.LinearRegression(dim=2), tl.MAML(0.1), "dim=1, not dim=2"),
        ([1.0], tl.LinearRegression(), tl.MAML(0.1, first_order=True), "second-order gradients"),
        ([1.0] * 3, tl.LinearRegression(shots=2), tl.MAML(0.1, 3), "degree 75 in theta and 93 in"),
        ([0.123456789] * 4, tl.LinearRegression(), tl.MAML(0.1, 3), "of degree 196 in theta"),
    ],
)
def test_bad_input(weights, tasks, rule, match):
    with pytest.raises(ValueError, match=match):
        symbolic.outer_loss(weights, tasks, rule)
