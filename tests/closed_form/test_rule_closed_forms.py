"""Closed forms for the rules: against autodiff, exact nodes, sampling, and by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl

seeds = st.integers(0, 2**31 - 1)


def normals(seed, shapes, scale=1.0):
    rng = np.random.default_rng(seed)
    return tuple(scale * rng.normal(size=s) for s in shapes)


def covariance(seed, dim):
    (a,) = normals(seed, [(dim, dim)])
    return a @ a.T / dim + 0.3 * np.eye(dim)


def linear_rules(seed, params, steps):
    shapes = [w.shape for w in params]
    sizes = tuple(0.1 + 0.05 * s for s in normals(seed, shapes))
    flat = normals(seed, [(n, n) for shape in shapes for n in shape], 0.4)
    flat = [np.eye(len(m)) + m for m in flat]
    factors = tuple(zip(flat[::2], flat[1::2], strict=True))
    a = np.asarray(0.12)
    return {
        "FOMAML": tl.FOMAML(a, steps),
        "ANIL": tl.ANIL(a, steps),
        "ANIL first": tl.ANIL(a, steps, layers=(0,)),
        "Reptile": tl.Reptile(a, steps),
        "MetaSGD": tl.MetaSGD(sizes, steps),
        "MetaSGD first order": tl.MetaSGD(sizes, steps, first_order=True),
        "MetaCurvature": tl.MetaCurvature(factors, a, steps),
        "MetaKFO": tl.MetaKFO(factors, a, steps, psd=True),
        "MetaKFO first order": tl.MetaKFO(factors, a, steps, psd=True, first_order=True),
    }


NAMES = sorted(linear_rules(0, (jnp.ones((1, 1)),), 1))


@jax.jit
def both_routes(params, tasks, rule):
    """Value and gradients in params and rule: by formula, and by autodiff over exact nodes."""
    formula = jax.value_and_grad(tl.closed_form.outer_loss, argnums=(0, 2))(params, tasks, rule)
    by_hand = tl.closed_form.outer_grad(params, tasks, rule)
    autodiff = jax.value_and_grad(tl.autodiff.outer_loss, argnums=(0, 2))(params, tasks, rule)
    return formula, by_hand, autodiff


def assert_routes_agree(params, tasks, rule, rtol):
    formula, by_hand, autodiff = both_routes(params, tasks, rule)
    scale = max(np.max(np.abs(leaf)) for leaf in jax.tree.leaves(autodiff))
    for got, wanted in ((formula, autodiff), (by_hand, autodiff[1][0])):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale), got, wanted
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("depth", "steps", "shots"), [(1, 2, 4), (2, 1, 3), (3, 1, None)])
@given(seed=seeds, noise=st.floats(0.0, 0.5))
def test_scalar_rules_by_both_routes(name, depth, steps, shots, seed, noise):
    params = normals(seed, [(1, 1)] * depth)
    tasks = tl.LinearRegression(
        theta_mean=np.asarray(0.4), noise_std=np.asarray(noise), shots=shots, x_cov=1.3
    )
    assert_routes_agree(params, tasks, linear_rules(seed, params, steps)[name], rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shapes", [((1, 2),), ((3, 2), (1, 3))])
@given(seed=seeds)
def test_rules_in_several_dimensions_by_both_routes(name, shapes, seed):
    params = normals(seed, shapes, 0.7)
    tasks = tl.LinearRegression(
        dim=2,
        theta_mean=normals(seed, [(2,)])[0],
        theta_cov=covariance(seed, 2),
        x_cov=covariance(seed + 1, 2),
        noise_std=0.2,
    )
    rule = linear_rules(seed, params, 2 if len(shapes) == 1 else 1)[name]
    assert_routes_agree(params, tasks, rule, rtol=1e-10)


@jax.jit
def samples_and_formula(params, batch, tasks, rule):
    losses = tl.autodiff.task_losses(params, batch, rule)
    sampled = tl.autodiff.outer_grad(params, batch, rule)
    exact, grad = jax.value_and_grad(tl.closed_form.outer_loss)(params, tasks, rule)
    return losses, sampled, exact, grad, tl.closed_form.outer_grad(params, tasks, rule)


@pytest.mark.parametrize("name", NAMES)
def test_shallow_rules_at_a_few_shots_are_the_mean_of_samples(name):
    params = (jnp.array([[0.5, -0.8]]),)
    tasks = tl.LinearRegression(
        dim=2,
        theta_mean=jnp.array([0.3, 0.6]),
        theta_cov=covariance(3, 2),
        x_cov=covariance(4, 2),
        noise_std=0.6,
        shots=3,
    )
    rule = linear_rules(9, params, 1)[name]
    batch = tasks.sample_moments(jax.random.key(0), 400_000)
    losses, sampled, exact, grad, by_hand = samples_and_formula(params, batch, tasks, rule)
    losses = np.asarray(losses)
    error = losses.std() / len(losses) ** 0.5
    assert abs(float(losses.mean() - exact)) < 4 * error < 0.02 * float(exact)
    np.testing.assert_allclose(sampled[0], grad[0], rtol=0.02, atol=0.005)
    np.testing.assert_allclose(by_hand[0], grad[0], rtol=1e-12)


def test_first_order_directions_are_biased_and_by_how_much():
    """At depth 1 the bias is a matrix; at depth 2 Reptile leaves the minima that MAML has."""
    sigma, mu = covariance(5, 2), jnp.array([0.3, 0.6])
    tasks = tl.LinearRegression(dim=2, theta_mean=mu, x_cov=sigma)
    w = jnp.array([[1.0, -0.5]])
    a, remaining = 0.1, jnp.eye(2) - 0.1 * sigma
    maml, fomaml, reptile = (
        tl.closed_form.outer_grad((w,), tasks, rule)[0][0]
        for rule in (tl.MAML(a), tl.FOMAML(a), tl.Reptile(a))
    )
    error = w[0] - mu
    np.testing.assert_allclose(maml, remaining @ sigma @ remaining @ error, rtol=1e-12)
    np.testing.assert_allclose(fomaml - maml, a * sigma @ sigma @ remaining @ error, rtol=1e-12)
    np.testing.assert_allclose(reptile, a * sigma @ error, rtol=1e-12)

    minimum = (jnp.zeros((1, 1)), jnp.full((1, 1), 0.1**-0.5))
    scalar = tl.LinearRegression(theta_mean=0.5)
    for rule in (tl.MAML(a), tl.FOMAML(a)):
        grads = tl.closed_form.outer_grad(minimum, scalar, rule)
        np.testing.assert_allclose(jnp.stack(grads), 0.0, atol=1e-12)
    # There one step moves w_1 by alpha b theta, whose mean over tasks is not zero.
    way = tl.closed_form.outer_grad(minimum, scalar, tl.Reptile(a))
    np.testing.assert_allclose(jnp.stack(way).ravel(), [-a * 0.1**-0.5 * 0.5, 0.0], atol=1e-12)


@pytest.mark.parametrize("kind", ["scalar", "diagonal", "full"])
@pytest.mark.parametrize("shots", [None, 3])
@given(seed=seeds)
def test_the_best_preconditioner_is_the_best(kind, shots, seed):
    """Its rule reaches its loss, no learnable number can improve on it, and none near it does."""
    tasks = tl.LinearRegression(
        dim=2,
        theta_mean=normals(seed, [(2,)])[0],
        theta_cov=covariance(seed, 2),
        x_cov=covariance(seed + 1, 2),
        noise_std=0.5,
        shots=shots,
    )
    best = tl.best_preconditioner(tasks, kind)
    start = (jnp.asarray(tasks.theta_mean)[None, :],)
    loss, grads = value_and_grads(start, tasks, best.rule)
    np.testing.assert_allclose(loss, best.loss, rtol=1e-9)
    for grad in jax.tree.leaves(grads):
        np.testing.assert_allclose(grad, 0.0, atol=1e-8)
    np.testing.assert_allclose(tl.induced_preconditioner(start, best.rule), best.matrix, atol=1e-9)
    moved = jax.tree.map(lambda x: x * (1 + 0.1 * (x != 0)), best.rule)
    assert value_and_grads(start, tasks, moved)[0] > best.loss + 1e-6


@jax.jit
def value_and_grads(params, tasks, rule):
    return jax.value_and_grad(tl.closed_form.outer_loss, argnums=(0, 2))(params, tasks, rule)


@given(seed=seeds, shots=st.sampled_from([None, 3]))
def test_wider_families_of_preconditioners_reach_lower_losses(seed, shots):
    tasks = tl.LinearRegression(dim=3, x_cov=covariance(seed, 3), noise_std=0.5, shots=shots)
    losses = [
        float(tl.best_preconditioner(tasks, kind).loss) for kind in ("scalar", "diagonal", "full")
    ]
    assert losses[0] > losses[1] > losses[2] > 0.5**2 / 2 - 1e-12
    if shots is None:
        np.testing.assert_allclose(losses[2], 0.5**2 / 2, rtol=1e-9)


def test_the_best_scalar_step_is_the_known_one():
    """c = 1 / (s² (1 + 2/K) + sigma²/(K tau²)), with loss 1/2 s² tau² (1 - c s²) + sigma²/2."""
    tasks = tl.LinearRegression(theta_cov=0.8, x_cov=1.5, noise_std=0.4, shots=5)
    c = 1 / (1.5 * (1 + 2 / 5) + 0.16 / (5 * 0.8))
    for kind in ("scalar", "diagonal", "full"):
        best = tl.best_preconditioner(tasks, kind)
        np.testing.assert_allclose(best.matrix, [[c]], rtol=1e-12)
        np.testing.assert_allclose(best.loss, 0.5 * 1.5 * 0.8 * (1 - c * 1.5) + 0.08, rtol=1e-12)


def test_a_deep_model_reaches_what_meta_kfo_reaches():
    """W_2 = 0 and W_1'W_1 = P / alpha: the upper layers are the meta-optimizer."""
    sigma = covariance(8, 2)
    tasks = tl.LinearRegression(dim=2, x_cov=sigma)
    best = tl.best_preconditioner(tasks)
    alpha = 0.1
    lower = jnp.linalg.cholesky(best.matrix / alpha).T
    deep = (lower, jnp.zeros((1, 2)))
    np.testing.assert_allclose(
        tl.closed_form.outer_loss(deep, tasks, tl.MAML(alpha)), 0.0, atol=1e-12
    )
    induced = tl.induced_preconditioner(deep, tl.MAML(alpha))
    np.testing.assert_allclose(induced, best.matrix, rtol=1e-10)
    assert tl.matrix_angle(induced, best.matrix) < 1e-6
    assert tl.matrix_angle(induced, jnp.eye(2)) > 5


@given(seed=seeds)
def test_the_induced_preconditioner_is_the_derivative_of_the_adapted_model(seed):
    """d/d(scale) of the adapted end-to-end vector, at a step of size zero, is -P G."""
    params = normals(seed, [(2, 3), (3, 2), (1, 3)])
    support = tl.LinearRegression(dim=3).population(normals(seed, [(3,)])[0])
    for name in ("MetaCurvature", "MetaSGD"):
        rule = linear_rules(seed, params, 1)[name]

        field = "step_size" if name == "MetaCurvature" else "step_sizes"

        def moved(scale, rule=rule, field=field):
            sizes = jax.tree.map(lambda s: scale * s, getattr(rule, field))
            scaled = rule.replace(**{field: sizes})
            return tl.end_to_end(tl.autodiff.adapt(params, support, scaled))[0]

        slope = jax.jvp(moved, (0.0,), (1.0,))[1]
        gradient = (tl.end_to_end(params)[0] - support.theta) @ support.xx
        np.testing.assert_allclose(
            slope, -tl.induced_preconditioner(params, rule) @ gradient, rtol=1e-9, atol=1e-9
        )


def test_angles_are_scale_free_degrees():
    eye = jnp.eye(2)
    np.testing.assert_allclose(tl.matrix_angle(eye, 3.0 * eye), 0.0, atol=1e-6)
    np.testing.assert_allclose(tl.matrix_angle(eye, jnp.array([[1.0, 0.0], [0.0, 0.0]])), 45.0)
    np.testing.assert_allclose(tl.matrix_angle(eye, jnp.array([[0.0, 1.0], [-1.0, 0.0]])), 90.0)
    with pytest.raises(ValueError, match="must agree"):
        tl.matrix_angle(eye, jnp.eye(3))


def test_bad_arguments_of_the_best_preconditioner():
    tasks = tl.LinearRegression(dim=2)
    with pytest.raises(ValueError, match="kind must be one of scalar, diagonal, kronecker, full"):
        tl.best_preconditioner(tasks, "free")
    with pytest.raises(ValueError, match="steps must be an integer of at least 1"):
        tl.best_preconditioner(tasks, steps=0)
    with pytest.raises(tl.NoClosedFormError, match=r"best scalar .* not at steps=2"):
        tl.best_preconditioner(tasks, "scalar", steps=2)


def test_polynomial_losses_serve_rules_of_one_step():
    params = normals(0, [(1, 1)] * 3)
    batch = tl.LinearRegression(shots=4, noise_std=0.3).sample(jax.random.key(1), 6, 5)
    for rule in linear_rules(1, params, 1).values():
        got = tl.batch_polynomial(batch, rule, 3)(params)
        np.testing.assert_allclose(got, tl.BatchLoss(batch, rule)(params), rtol=1e-11)
    with pytest.raises(tl.NoClosedFormError, match="not for GBML"):
        tl.batch_polynomial(batch, tl.GBML((), 0.1, lambda _, g: g), 3)
