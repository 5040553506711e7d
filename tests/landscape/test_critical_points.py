"""All critical points, against 60 digits by a route of its own, a search and the exact gradient."""

from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact_polynomial import critical_points
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl
from toylin.landscape import exact_polynomial
from toylin.landscape._solve import _root, require_index_one


def as_params(w):
    return tuple(jnp.reshape(x, (1, 1)) for x in w)


def outer_loss(w, tasks, rule):
    return tl.closed_form.outer_loss((w[:1, None], w[1:, None]), tasks, rule)


gradient_at = jax.jit(jax.grad(outer_loss))


def assert_same_points(found, known):
    """One to one, to the last bits of float64: points, losses, eigenvalues and their signs."""
    assert len(found.points) == len(known)
    points = np.array([[float(x) for x in w] for w, _, _ in known])
    left = list(range(len(known)))
    for w, loss, eigenvalues in zip(found.points, found.loss, found.eigenvalues, strict=True):
        k = left.pop(int(np.argmin(np.linalg.norm(points[left] - w, axis=1))))
        np.testing.assert_allclose(w, points[k], rtol=1e-15)
        np.testing.assert_allclose(loss, float(known[k][1]), rtol=1e-15, atol=1e-50)
        np.testing.assert_allclose(eigenvalues, [float(x) for x in known[k][2]], rtol=1e-15)


variances = st.floats(0.1, 10.0)


@given(
    shots=st.sampled_from([None, 1, 2, 5, 20, 1000]),
    mean=st.one_of(st.just(0.0), st.floats(-5.0, 5.0)),
    prior=variances,
    spread=variances,
    noise=st.one_of(st.just(0.0), st.floats(0.01, 10.0)),
    size=st.floats(-3.0, 0.5),
    sign=st.sampled_from([1, -1]),
)
def test_all_points_are_found(shots, mean, prior, spread, noise, size, sign):
    tasks = tl.LinearRegression(
        theta_mean=mean, theta_cov=prior, x_cov=spread, noise_std=noise, shots=shots
    )
    found = tl.solve_critical_points(tasks, tl.MAML(sign * 10**size))
    assert found.certified
    assert not np.any(found.degenerate)
    assert np.all(np.diff(found.loss) >= 0)
    assert_same_points(found, critical_points(tasks, sign * 10**size))
    minima, saddles, maxima = found.census()
    assert minima - saddles + maxima == 1


@pytest.mark.parametrize(
    ("tasks", "step_size", "census"),
    [
        (tl.LinearRegression(theta_mean=3.0), 0.001, (10, 13, 4)),
        *[
            (tl.LinearRegression(theta_mean=-0.608, theta_cov=0.182, x_cov=0.54), a, (6, 9, 4))
            for a in (0.001, 0.0012, 0.0018)
        ],
        (tl.LinearRegression(theta_mean=1e-8), 0.1, (4, 8, 5)),
        (tl.LinearRegression(theta_mean=0.3, theta_cov=1e-12, shots=2), 0.1, (4, 3, 0)),
    ],
)
def test_settings_that_lost_points(tasks, step_size, census):
    found = tl.solve_critical_points(tasks, tl.MAML(step_size))
    assert found.census() == census
    assert_same_points(found, critical_points(tasks, step_size))


def test_the_four_global_minima_at_a_small_step():
    found = tl.solve_critical_points(tl.LinearRegression(theta_mean=3.0), tl.MAML(0.001))
    b = 0.001**-0.5
    want = np.array([[b, 0.0], [0.0, b], [-b, 0.0], [0.0, -b]])
    assert np.all(found.loss[:4] == 0)
    assert found.loss[4] > 0
    for w in want:
        assert np.min(np.linalg.norm(found.points[:4] - w, axis=1)) < 1e-14


@pytest.mark.parametrize(
    ("tasks", "step_size", "census"),
    [
        (tl.LinearRegression(), 0.1, (4, 8, 5)),
        (tl.LinearRegression(), 0.5, (4, 4, 1)),
        (tl.LinearRegression(theta_mean=2.8), 0.1, (10, 13, 4)),
        (tl.LinearRegression(shots=1, theta_mean=1.0), 0.1, (4, 3, 0)),
    ],
)
def test_the_roots_are_what_a_search_on_automatic_derivatives_finds(tasks, step_size, census):
    rule = tl.MAML(step_size)
    found = tl.solve_critical_points(tasks, rule)
    assert found.census() == census
    extent = 1.05 * float(np.abs(found.points).max())
    loss = jax.tree_util.Partial(outer_loss, tasks=tasks, rule=rule)
    searched = tl.search_critical_points(loss, extent)
    assert not searched.certified
    assert len(searched.points) == len(found.points)
    np.testing.assert_allclose(searched.loss, found.loss, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(searched.eigenvalues, found.eigenvalues, rtol=1e-5, atol=1e-6)
    for w in found.points:
        gradient = np.linalg.norm(gradient_at(w, tasks, rule))
        assert gradient < 1e-11 * (1 + np.linalg.norm(found.eigenvalues))


def test_the_polynomial_is_the_outer_loss():
    tasks = tl.LinearRegression(theta_mean=0.7, theta_cov=0.4, x_cov=1.3, noise_std=0.6, shots=3)
    a0, a1, a2 = exact_polynomial(tasks, tl.MAML(0.3)).coefficients()
    for w in ([0.7, -1.1], [0.0, 0.0], [1.4, 0.9]):
        p, q = w[0] * w[1], w[0] ** 2 + w[1] ** 2
        value = sum(np.polyval(a[::-1], p) * q**k for k, a in enumerate((a0, a1, a2)))
        want = tl.closed_form.outer_loss(as_params(w), tasks, tl.MAML(0.3))
        np.testing.assert_allclose(value, want, rtol=1e-13)


def test_the_numbers_of_the_population_problem():
    found = tl.solve_critical_points(tl.LinearRegression(), tl.MAML(0.1))
    assert found.loss[:4].tolist() == [0.0] * 4
    np.testing.assert_allclose(np.linalg.norm(found.points[:4], axis=1), 10**0.5, rtol=1e-15)
    rings = sorted(
        {
            (round(abs(w[0]), 5), round(v, 5))
            for w, v in zip(found.points[4:], found.loss[4:], strict=True)
        }
    )
    assert rings == [(0.0, 0.5), (0.45198, 0.4804), (1.80478, 1.30357), (2.85866, 0.31548)]


def test_float32_settings_are_the_numbers_that_they_are():
    tasks = tl.LinearRegression(theta_mean=jnp.float32(0.3), x_cov=jnp.full((1, 1), 1.1), shots=4)
    same = tl.LinearRegression(theta_mean=float(np.float32(0.3)), x_cov=1.1, shots=4)
    found = tl.solve_critical_points(tasks, tl.MAML(jnp.float32(0.1)))
    want = tl.solve_critical_points(same, tl.MAML(float(np.float32(0.1))))
    np.testing.assert_array_equal(found.points, want.points)


@pytest.mark.parametrize("scale", [1e-100, 1e60])
def test_settings_of_any_size(scale):
    # In units of x in which x_cov is ``scale`` times larger, alpha is that much smaller.
    found = tl.solve_critical_points(tl.LinearRegression(x_cov=scale), tl.MAML(0.1 / scale))
    want = tl.solve_critical_points(tl.LinearRegression(), tl.MAML(0.1))
    assert found.census() == want.census()
    np.testing.assert_allclose(found.loss / scale, want.loss, rtol=1e-14, atol=1e-30)


# At alpha = 1/2 and mean 1 the origin's eigenvalue 2 alpha E[theta²] - E[theta + alpha² theta³]
# is exactly zero.
AT_A_BIFURCATION = tl.LinearRegression(theta_mean=1.0), tl.MAML(0.5)


def test_a_degenerate_point_is_named():
    found = tl.solve_critical_points(*AT_A_BIFURCATION)
    (at,) = np.flatnonzero(found.degenerate)
    assert found.points[at].tolist() == [0.0, 0.0]
    assert found.eigenvalues[at].tolist() == [-4.0, 0.0]
    assert found.kind()[at] == "degenerate"
    assert found.index[at] == 1
    assert found.certified
    assert sum(found.census()) == len(found.points) - 1
    tasks, _ = AT_A_BIFURCATION
    for nearby in (np.nextafter(0.5, 0), np.nextafter(0.5, 1)):
        assert not np.any(tl.solve_critical_points(tasks, tl.MAML(float(nearby))).degenerate)


def test_a_subset_fails_the_index_theorem():
    class Orbit:
        def __init__(self, count, eigenvalues):
            self.images, self.eigenvalues = [None] * count, eigenvalues

    orbits = [Orbit(1, (-2.0, -1.0)), Orbit(4, (-1.0, 1.0)), Orbit(4, (1.0, 2.0))]
    require_index_one(orbits, True)
    for left_out in range(3):
        with pytest.raises(ArithmeticError, match="index theorem"):
            require_index_one([o for k, o in enumerate(orbits) if k != left_out], True)
    with pytest.raises(ArithmeticError, match="index theorem"):
        require_index_one(orbits, False)


class OwnMAML(tl.MAML):
    """Takes other steps than its name says."""

    def update(self, grads):
        return jax.tree.map(jnp.sign, grads)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tl.solve_critical_points(tl.LinearRegression(dim=2), tl.MAML(0.1)), "got dim=2"),
        (lambda: tl.solve_critical_points(tl.LinearRegression(), tl.MAML(0.0)), "step_size=0.0"),
        (lambda: tl.solve_critical_points(tl.LinearRegression(), tl.MAML(0.1, 2)), "steps=2"),
        (lambda: tl.solve_critical_points(tl.LinearRegression(), OwnMAML(0.1)), "must be MAML"),
        (lambda: tl.solve_critical_points(tl.BinaryClassification(), tl.MAML(0.1)), "tasks must"),
        (
            lambda: jax.jit(lambda a: tl.solve_critical_points(tl.LinearRegression(), tl.MAML(a)))(
                0.1
            ),
            "step_size must be a concrete number",
        ),
        (lambda: tl.search_critical_points(jnp.sum, 1.0, tolerance=np.nan), "tolerance must be"),
        (lambda: tl.search_critical_points(jnp.sum, 1.0, tolerance=0.0), "tolerance must be"),
        (lambda: tl.search_critical_points(jnp.sum, 1.0, tolerance=1e-17), "float type resolves"),
        (
            lambda: tl.search_critical_points(jnp.sum, np.inf),
            "extent must be a finite",
        ),
        (
            lambda: tl.search_critical_points(jnp.sum, np.nan),
            "extent must be a finite",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_square_roots_hold_their_bits_at_any_size():
    """In fractions, whose square says how far a root is off."""
    for power in (-2000, -601, -1, 0, 1, 600, 2001):
        square = Fraction(7, 3) * Fraction(2) ** power
        assert abs(_root(square) ** 2 / square - 1) < Fraction(1, 2**126)


def test_a_sign_that_underflows_is_kept():
    # The origin's eigenvalues, -2 alpha s⁴ tau², are -2e-361.
    found = tl.solve_critical_points(tl.LinearRegression(x_cov=1e-180), tl.MAML(0.1))
    origin = np.flatnonzero(np.all(found.points == 0, axis=1))
    assert found.eigenvalues[origin].tolist() == [[-5e-324, -5e-324]]
    assert not np.any(found.degenerate)
    minima, saddles, maxima = found.census()
    assert minima - saddles + maxima == 1


def test_numbers_beyond_float64_are_refused():
    with pytest.raises(OverflowError, match="beyond float64"):
        tl.solve_critical_points(tl.LinearRegression(theta_mean=1e200), tl.MAML(0.1))
