"""The shallow model of several outputs: outer loss, optimum, floor and Bayes, by other routes."""

from __future__ import annotations

import itertools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ROUTES, assert_close, half_as_many
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl
from toylin import testing

OUTPUTS, DIM = 2, 2
KINDS = ["maml", "meta-sgd", "meta-curvature", "meta-kfo"]
START = (jnp.zeros((OUTPUTS, DIM)),)


@jax.jit
def both(params, tasks, rule):
    return [route.outer_value_and_grad(params, tasks, rule) for route in ROUTES]


@pytest.mark.parametrize(("kind", "steps"), [(kind, 1) for kind in KINDS] + [("meta-kfo", 3)])
@half_as_many
@given(data=st.data())
def test_the_population_against_autodiff_on_nodes(kind, steps, data):
    params = data.draw(testing.params(1, DIM, outputs=OUTPUTS))
    tasks = data.draw(testing.regressions(DIM, (None,), outputs=OUTPUTS))
    rule = data.draw(testing.learned_rules(kind, START, steps, size=0.3))
    assert tl.closed_form.route(params, tasks, rule).name == "quadratic form"
    closed, auto = both(params, tasks, rule)
    assert_close(closed[0], auto[0], 1e-10)
    assert_close(closed[1], auto[1], 1e-10, scale=float(closed[0]))


def nodes_of_one_point(tasks):
    """A batch that stands for the law, one point each: Gauss nodes for x, theta and the noise.

    The loss has degree 4 in x, and 2 in theta and in the noise.
    """
    three, two = (-(3**0.5), 0.0, 3**0.5), (-1.0, 1.0)
    axes = [three] * DIM + [two] * (OUTPUTS * DIM + OUTPUTS)
    grid = jnp.asarray([*itertools.product(*axes)])
    points = jnp.linalg.cholesky(tl.tasks.covariance_matrix(tasks.x_cov, DIM, grid.dtype))
    x = grid[:, :DIM] @ points.T
    theta = tasks.theta_of(grid[:, DIM:-OUTPUTS])
    y = jnp.einsum("nod,nd->no", theta, x) + tasks.noise_std * grid[:, -OUTPUTS:]
    share = jnp.where(grid[:, :DIM] == 0, 2 / 3, 1 / 6).prod(1) / 2 ** (OUTPUTS * (DIM + 1))
    support = tl.RegressionPoints(x[:, None], y[:, None])
    return tl.Batch(support, tasks.population(theta), theta, jnp.log(share))


@jax.jit
def both_of_one_point(params, tasks, rule):
    plain = tl.autodiff.outer_value_and_grad(params, nodes_of_one_point(tasks), rule)
    return tl.closed_form.outer_value_and_grad(params, tasks, rule), plain


@pytest.mark.parametrize("kind", KINDS)
@half_as_many
@given(data=st.data())
def test_one_shot_against_autodiff_on_nodes_of_the_points(kind, data):
    params = data.draw(testing.params(1, DIM, outputs=OUTPUTS))
    tasks = data.draw(testing.regressions(DIM, (1,), outputs=OUTPUTS))
    rule = data.draw(testing.learned_rules(kind, START, 1, size=0.3))
    closed, auto = both_of_one_point(params, tasks, rule)
    assert_close(closed[0], auto[0], 1e-10)
    assert_close(closed[1], auto[1], 1e-10, scale=float(closed[0]))


@pytest.mark.parametrize(("shots", "steps"), [(None, 3), (1, 1), (4, 1)])
@half_as_many
@given(data=st.data())
def test_outputs_in_the_axes_of_their_covariance_are_problems_of_one_output(shots, steps, data):
    """m = 1 is what was there: u_i'w learns a theta of covariance r_i Lambda, one by one."""
    (w,) = data.draw(testing.params(1, DIM, outputs=OUTPUTS))
    tasks = data.draw(testing.regressions(DIM, (shots,), outputs=OUTPUTS))
    rows, axes = np.linalg.eigh(tasks.between_outputs())
    rule = tl.MAML(0.3, steps)
    mean = axes.T @ np.broadcast_to(np.asarray(tasks.theta_mean), (OUTPUTS, DIM))
    losses, grads = [], []
    for i in range(OUTPUTS):
        one = tl.LinearRegression(
            DIM, mean[i], rows[i] * tasks.theta_cov, tasks.x_cov, tasks.noise_std, shots
        )
        loss, (grad,) = value_and_grad((jnp.asarray(axes[:, i] @ w)[None],), one, rule)
        losses.append(loss)
        grads.append(grad[0])
    loss, (grad,) = value_and_grad((w,), tasks, rule)
    np.testing.assert_allclose(loss, sum(losses), rtol=1e-10)
    assert_close(grad, jnp.asarray(axes @ np.array(grads)), 1e-10, scale=float(loss))


value_and_grad = jax.jit(tl.closed_form.outer_value_and_grad)


@pytest.mark.parametrize("shots", [None, 4])
def test_no_step_leaves_the_loss_as_it_is(shots):
    w, sigma = jnp.array([[0.5, -1.0], [0.7, 0.2]]), jnp.array([[1.0, 0.3], [0.3, 0.5]])
    tasks = tl.LinearRegression(
        2, 0.4, 0.7, sigma, noise_std=0.6, shots=shots, outputs=2, output_cov=1.5
    )
    loss, (grad,) = value_and_grad((w,), tasks, tl.MAML(0.3, 0))
    away = w - 0.4
    unadapted = jnp.sum(away @ sigma * away) + 0.7 * 1.5 * 2 * jnp.trace(sigma) + 2 * 0.36
    np.testing.assert_allclose(loss, 0.5 * unadapted, rtol=1e-14)
    np.testing.assert_allclose(grad, away @ sigma, rtol=1e-13)


@pytest.mark.parametrize("kind", ["maml", "meta-kfo"])
def test_what_a_first_order_rule_learns_goes_by_autodiff(kind):
    """Of several steps: inner gradients are constants, what is made of them is not."""
    params = (jnp.array([[0.5, -1.0], [0.7, 0.2]]),)
    tasks = tl.LinearRegression(2, 0.3, noise_std=0.2, outputs=2, output_cov=1.5)
    rule = tl.make_rule(kind, params, 0.3, 3).replace(first_order=True)
    got, want = (jax.grad(route.outer_loss, argnums=2)(params, tasks, rule) for route in ROUTES)
    assert_close(got, want, 1e-11)


def by_wick(w, mean, prior, sigma, p, noise, shots):
    """The loss of one step on K points by sums over products of indices, in rational numbers.

    E s_ab s_cd = S_ab S_cd + (S_ac S_bd + S_ad S_bc) / K for the second moment of Gaussian points.
    """
    m, d = len(w), len(w[0])
    at = [(i, a) for i in range(m) for a in range(d)]
    big = {(x, y): sigma[x[1]][y[1]] if x[0] == y[0] else 0 for x in at for y in at}
    q = {(x, y): sum(p[u][x] * big[u, v] * p[v][y] for u in at for v in at) for x in at for y in at}
    moment = {
        (x, y): (w[x[0]][x[1]] - mean) * (w[y[0]][y[1]] - mean) + prior[x][y]
        for x in at
        for y in at
    }

    def pair(a, b, c, e):
        return (
            sigma[a][b] * sigma[c][e]
            + (sigma[a][c] * sigma[b][e] + sigma[a][e] * sigma[b][c]) / shots
        )

    total = Fraction(0)
    for x in at:
        for y in at:
            square = sum(
                pair(x[1], a, b, y[1]) * q[(x[0], a), (y[0], b)] for a in range(d) for b in range(d)
            )
            crossed = sum(big[x, u] * p[u][v] * big[v, y] for u in at for v in at)
            turned = sum(big[x, u] * p[v][u] * big[v, y] for u in at for v in at)
            total += moment[x, y] * (big[x, y] - crossed - turned + square)
            total += noise * q[x, y] * big[x, y] / shots
    return (total + m * noise) / 2


@tl.pytree_dataclass
class Dense(tl.Rule):
    """Any linear map of the gradient: its blocks need not be symmetric."""

    matrix: jax.Array
    steps: int = tl.static_field(default=1)
    first_order: bool = tl.static_field(default=False)
    linear = True

    def update(self, grads):
        return tuple((self.matrix @ g.ravel()).reshape(g.shape) for g in grads)


def moved(kind):
    """A rule whose numbers are binary fractions, all different."""
    if kind == "dense":
        return Dense(jnp.arange(16.0).reshape(4, 4) / 32)
    leaves, structure = jax.tree.flatten(tl.make_rule(kind, START, 0.25))
    moves = [np.arange(1, 1 + np.size(x)).reshape(np.shape(x)) / 16 for x in leaves]
    together = zip(leaves, moves, strict=True)
    return jax.tree.unflatten(structure, [jnp.asarray(x) + m for x, m in together])


@pytest.mark.parametrize("kind", [*KINDS, "dense"])
@pytest.mark.parametrize("shots", [1, 3])
def test_few_shots_against_sums_over_indices_in_rational_numbers(kind, shots):
    f = Fraction
    w, mean = [[f(1, 2), f(-1)], [f(3, 4), f(1, 3)]], f(1, 5)
    sigma = [[f(1), f(1, 4)], [f(1, 4), f(1, 2)]]
    of_theta, of_outputs = [[f(2), f(-1, 2)], [f(-1, 2), f(1)]], [[f(1), f(1, 3)], [f(1, 3), f(2)]]
    noise = f(9, 16)
    at = [(i, a) for i in range(2) for a in range(2)]
    prior = {x: {y: of_outputs[x[0]][y[0]] * of_theta[x[1]][y[1]] for y in at} for x in at}
    rule = moved(kind)

    def column(x):  # exact, since the entries of the rule are binary fractions
        unit = jnp.zeros((2, 2)).at[x].set(1.0)
        return np.asarray(rule.update((unit,))[0])

    p = {y: {x: f(float(column(x)[y])) for x in at} for y in at}
    expected = float(by_wick(w, mean, prior, sigma, p, noise, shots))
    to_floats = lambda m: jnp.array([[float(x) for x in row] for row in m])  # noqa: E731
    tasks = tl.LinearRegression(
        dim=2,
        outputs=2,
        theta_mean=float(mean),
        theta_cov=to_floats(of_theta),
        output_cov=to_floats(of_outputs),
        x_cov=to_floats(sigma),
        noise_std=0.75,
        shots=shots,
    )
    params = (to_floats(w),)
    loss, grads = tl.closed_form.outer_value_and_grad(params, tasks, rule)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    slope = jax.grad(tl.closed_form.outer_loss)(params, tasks, rule)
    assert_close(grads, slope, 1e-12)
    direction = (jnp.array([[0.3, -1.0], [0.7, 0.2]]),)
    ahead, behind = (
        tl.closed_form.outer_loss((params[0] + t * direction[0],), tasks, rule) for t in (1.0, -1.0)
    )  # a quadratic: central differences are exact
    np.testing.assert_allclose((ahead - behind) / 2, jnp.sum(grads[0] * direction[0]), rtol=1e-11)


def test_few_shots_against_sampled_tasks():
    tasks = tl.LinearRegression(
        dim=3,
        outputs=2,
        theta_mean=0.4,
        noise_std=0.5,
        shots=8,
        output_cov=jnp.array([[1.0, 0.6], [0.6, 2.0]]),
    )
    params = (jax.random.normal(jax.random.key(0), (2, 3)),)
    found, grads = tl.estimate_value_and_grad(
        params, tasks, tl.MAML(0.2), jax.random.key(1), 40_000
    )
    loss, slope = tl.closed_form.outer_value_and_grad(params, tasks, tl.MAML(0.2))
    assert abs(found.mean - loss) < 4.5 * found.stderr
    assert np.all(np.abs(grads[0].mean - slope[0]) < 4.5 * grads[0].stderr)
    assert found.stderr < 0.01 * loss


def test_first_order_and_reptile_are_as_by_autodiff():
    params = (jnp.array([[0.5, -1.0], [0.7, 0.2]]),)
    tasks = tl.LinearRegression(dim=2, outputs=2, theta_mean=0.3, output_cov=1.5, noise_std=0.2)
    for rule in (tl.FOMAML(0.3, 2), tl.Reptile(0.3, 2)):
        closed, auto = both(params, tasks, rule)
        assert_close(closed, auto, 1e-11)


@pytest.mark.parametrize("shots", [None, 4])
def test_the_shallow_optimum_is_the_mean_and_no_start_is_lower(shots):
    mean = jnp.array([[0.5, -1.0], [2.0, 0.1]])
    tasks = tl.LinearRegression(dim=2, outputs=2, theta_mean=mean, noise_std=0.4, shots=shots)
    (best,) = tl.shallow_optimum(tasks)
    np.testing.assert_array_equal(best, mean)
    rule = tl.MAML(0.3)
    floor = tl.shallow_floor(tasks, rule)
    slope = tl.closed_form.outer_grad((best,), tasks, rule)
    np.testing.assert_allclose(slope[0], 0.0, atol=1e-13)
    for move in jax.random.normal(jax.random.key(0), (20, 2, 2)):
        assert tl.closed_form.outer_loss((best + move,), tasks, rule) > floor


@pytest.mark.parametrize(("dim", "shots"), [(1, 3), (2, 2), (3, 5)])
def test_bayes_is_the_posterior_variance_of_all_outputs_together(dim, shots):
    # vec(theta) given the points has the precision R^-1 kron Lambda^-1 + I kron X'X / noise.
    outputs, noise = np.array([[1.0, 0.7], [0.7, 2.0]]), 0.6
    tasks = tl.LinearRegression(
        dim=dim,
        outputs=2,
        theta_cov=1.3,
        x_cov=0.8,
        noise_std=noise,
        shots=shots,
        output_cov=jnp.array(outputs),
    )
    x = np.random.default_rng(0).normal(size=(20_000, shots, dim)) * 0.8**0.5
    gram = np.einsum("nka,nkb->nab", x, x) / noise**2
    seen = np.zeros((len(x), 2 * dim, 2 * dim))
    seen[:, :dim, :dim], seen[:, dim:, dim:] = gram, gram
    precision = np.kron(np.linalg.inv(outputs), np.eye(dim) / 1.3) + seen
    losses = 0.5 * (0.8 * np.trace(np.linalg.inv(precision), axis1=1, axis2=2) + 2 * noise**2)
    stderr = losses.std() / len(x) ** 0.5
    assert abs(losses.mean() - tl.bayes_loss(tasks)) < 4.5 * stderr
    assert stderr < 5e-3 * losses.mean()
    assert tl.bayes_loss(tasks) < tl.shallow_floor(tasks, tl.MAML(0.2))
    np.testing.assert_allclose(
        tl.bayes_loss(tl.LinearRegression(dim=dim, outputs=2, noise_std=noise)), noise**2
    )
    ones = [
        tl.LinearRegression(dim, theta_cov=1.3 * row, x_cov=0.8, noise_std=noise, shots=shots)
        for row in np.linalg.eigvalsh(outputs)
    ]
    np.testing.assert_allclose(tl.bayes_loss(tasks), sum(map(tl.bayes_loss, ones)), rtol=1e-12)
