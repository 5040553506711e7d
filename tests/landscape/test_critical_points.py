"""Critical points as roots, against a search, the exact gradient and the theory's numbers."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toylin as tl
from toylin.landscape import census, loss_polynomial, search_critical_points


def as_params(w):
    return tuple(jnp.reshape(x, (1, 1)) for x in w)


@settings(max_examples=15)
@given(
    shots=st.sampled_from([None, 1, 6]),
    mean=st.floats(-2.0, 2.0),
    prior=st.floats(0.3, 2.0),
    spread=st.floats(0.3, 2.0),
    noise=st.floats(0.0, 1.0),
    step_size=st.floats(0.02, 1.0),
)
def test_every_root_is_a_critical_point_of_the_exact_loss(
    shots, mean, prior, spread, noise, step_size
):
    tasks = tl.LinearRegression(
        theta_mean=mean, theta_cov=prior, x_cov=spread, noise_std=noise, shots=shots
    )
    rule = tl.MAML(step_size)
    found = tl.solve_critical_points(tasks, rule)
    polynomial = loss_polynomial(tasks, rule)
    points = [*found.points, np.array([0.7, -1.1])]
    for w in points:
        loss = tl.closed_form.outer_loss(as_params(w), tasks, rule)
        # A loss of zero is what is left of terms as large as the loss without adaptation.
        rounding = 1e-13 * (1 + spread * (prior + mean**2))
        np.testing.assert_allclose(polynomial(w), loss, rtol=1e-10, atol=rounding)
        exact = np.ravel(tl.closed_form.outer_grad(as_params(w), tasks, rule))
        gradient, _ = polynomial.derivatives(w)
        scale = 1 + abs(float(loss)) * (1 + np.linalg.norm(w)) + np.linalg.norm(exact)
        np.testing.assert_allclose(gradient, exact, atol=1e-9 * scale)
    for w in found.points:
        exact = np.ravel(tl.closed_form.outer_grad(as_params(w), tasks, rule))
        assert np.linalg.norm(exact) < 1e-8 * (1 + np.linalg.norm(w)) * (1 + polynomial(w))
    # Index theorem: the loss grows at infinity, so that minima - saddles + maxima = 1, where no
    # eigenvalue's sign is lost to rounding.
    minima, saddles, maxima = census(found)
    lost = np.abs(found.eigenvalues).min() < 1e-12 * np.abs(found.eigenvalues).max()
    assert lost or minima - saddles + maxima == 1


@pytest.mark.parametrize(
    ("tasks", "step_size", "counts"),
    [
        (tl.LinearRegression(), 0.1, (4, 8, 5)),
        (tl.LinearRegression(), 0.5, (4, 4, 1)),
        (tl.LinearRegression(theta_mean=0.5), 0.1, (4, 7, 4)),
        (tl.LinearRegression(theta_mean=2.8), 0.1, (10, 13, 4)),
        (tl.LinearRegression(shots=1, theta_mean=1.0), 0.1, (4, 3, 0)),
        (tl.LinearRegression(shots=20), 0.1, (4, 8, 5)),
    ],
)
def test_the_roots_are_what_a_search_finds(tasks, step_size, counts):
    rule = tl.MAML(step_size)
    found = tl.solve_critical_points(tasks, rule)
    assert census(found) == counts
    extent = 1.05 * float(np.abs(found.points).max())
    searched = search_critical_points(
        lambda w: tl.closed_form.outer_loss((w[:1, None], w[1:, None]), tasks, rule), extent
    )
    assert len(searched.points) == len(found.points)
    np.testing.assert_allclose(searched.loss, found.loss, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(searched.eigenvalues, found.eigenvalues, rtol=1e-5, atol=1e-6)


def test_the_numbers_of_the_population_problem():
    found = tl.solve_critical_points(tl.LinearRegression(), tl.MAML(0.1))
    np.testing.assert_allclose(found.loss[:4], 0.0, atol=1e-15)
    np.testing.assert_allclose(np.linalg.norm(found.points[:4], axis=1), 10**0.5, rtol=1e-12)
    rings = sorted(
        {
            (round(abs(w[0]), 5), round(v, 5))
            for w, v in zip(found.points[4:], found.loss[4:], strict=True)
        }
    )
    assert rings == [(0.0, 0.5), (0.45198, 0.4804), (1.80478, 1.30357), (2.85866, 0.31548)]


def test_the_landscape_bifurcates_as_the_step_size_grows():
    tasks = tl.LinearRegression()
    (found,) = tl.find_bifurcations(
        lambda a: tl.solve_critical_points(tasks, tl.MAML(a)), np.geomspace(0.02, 2.0, 12).tolist()
    )
    assert (found.below, found.above, found.kind) == ((4, 8, 5), (4, 4, 1), "fold")
    # On the diagonal L = (1/2) E (r² - theta - alpha g 2 r² + alpha² g² r²)², g = r² - theta: its
    # derivative in r² has a double root, which the discriminant shows.
    polynomial = loss_polynomial(tasks, tl.MAML(found.value))
    r = found.location / 2**0.5
    _, hessian = polynomial.derivatives(np.array([r, r]))
    assert abs(np.linalg.eigvalsh(hessian)).min() < 1e-2
    assert found.value == pytest.approx(0.26746, abs=1e-5)


def test_the_origin_turns_from_a_maximum_into_a_saddle_by_a_pitchfork():
    (found,) = tl.find_bifurcations(
        lambda mu: tl.solve_critical_points(tl.LinearRegression(theta_mean=mu), tl.MAML(0.1)),
        [0.1, 0.3],
    )
    assert (found.below, found.above, found.kind) == ((4, 8, 5), (4, 7, 4), "pitchfork")
    # The Hessian at the origin is -2 alpha E[theta²] I - E[theta + alpha² theta³] [[0, 1], [1, 0]].
    mu = found.value
    assert mu + 0.01 * (mu**3 + 3 * mu) == pytest.approx(0.2 * (mu**2 + 1), abs=1e-6)


@given(
    depth=st.sampled_from([2, 3, 4]),
    mean=st.floats(-2, 2),
    spread=st.floats(0.3, 2.0),
    seed=st.integers(0, 99),
)
@settings(max_examples=12)
def test_minima_of_any_depth_form_manifolds(depth, mean, spread, seed):
    tasks = tl.LinearRegression(theta_mean=mean, x_cov=spread, noise_std=0.4)
    rule = tl.MAML(0.2)
    rng = np.random.default_rng(seed)
    free = rng.uniform(0.5, 1.5, depth - 2) * rng.choice([-1, 1], depth - 2)
    point = tl.minimum(tasks, rule, int(rng.integers(depth)), free)
    found = tl.classify(tl.ExactLoss(tasks, rule), point)
    np.testing.assert_allclose(found.loss, 0.4**2 / 2, rtol=1e-12)
    assert found.gradient_norm < 1e-12 * (1 + found.eigenvalues.max())
    assert (found.negative, found.nullity) == (0, depth - 2)


def test_classify_tells_a_saddle():
    found = tl.classify(lambda w: w[0] ** 2 - 3 * w[1] ** 2 + w[2] ** 4, jnp.zeros(3))
    assert (found.negative, found.nullity, found.gradient_norm) == (1, 1, 0.0)
    np.testing.assert_allclose(found.eigenvalues, [-6, 0, 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tl.solve_critical_points(tl.LinearRegression(dim=2), tl.MAML(0.1)), "got dim=2"),
        (lambda: tl.solve_critical_points(tl.LinearRegression(), tl.MAML(0.0)), "step_size=0.0"),
        (lambda: tl.minimum(tl.LinearRegression(shots=3), tl.MAML(0.1), 0), "shots=3"),
        (lambda: tl.minimum(tl.LinearRegression(), tl.MAML(0.1), 2), "below the depth 2, got 2"),
        (lambda: tl.minimum(tl.LinearRegression(), tl.MAML(0.1), 1, [0.0]), "must hold no zero"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
