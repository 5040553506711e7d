"""Binary classification by formula, against autodiff, other quadratures and sampled tasks."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from binary_reference import loss_and_slope
from helpers import assert_close, half_as_many
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl
from toylin.closed_form import _binary_integral
from toylin.quadrature import gauss_normal
from toylin.tasks import Batch

DIM = 3
SHAPES = [(DIM, 1), (DIM, 2, 1), (DIM, 4, 2, 1)]


def tensor_rule(tasks: tl.BinaryClassification, nodes: int) -> Batch:
    """The population as a tensor Gauss-Hermite batch in d dimensions: no use of symmetry."""
    x, log_weight = gauss_normal(nodes)
    grid = np.stack(np.meshgrid(*[x] * tasks.dim, indexing="ij"), -1).reshape(-1, tasks.dim)
    weight = sum(np.meshgrid(*[log_weight] * tasks.dim, indexing="ij")).ravel()
    mean = jnp.asarray(tasks.mean_std * grid)
    data = tasks.population(mean)
    return Batch(data, data, mean, jnp.asarray(weight))


@half_as_many
@given(
    sizes=st.sampled_from([(1, ()), (2, (1,))]),  # each compiles programs of its own
    seed=st.integers(0, 99),
    step_size=st.floats(0.0, 0.5),
    mean_std=st.floats(0.3, 1.0),
    x_cov=st.floats(0.8, 2.0),
)
def test_outer_loss_is_the_expectation_over_all_dimensions(sizes, seed, step_size, mean_std, x_cov):
    dim, widths = sizes
    tasks = tl.BinaryClassification(dim=dim, mean_std=mean_std, x_cov=x_cov)
    rule = tl.MAML(step_size=step_size, steps=2)
    params = tl.init(jax.random.key(seed), (dim, *widths, 1), scale=0.5)
    batch = tensor_rule(tasks, {1: 300, 2: 128}[dim])
    loss, grads = tl.closed_form.outer_value_and_grad(params, tasks, rule)
    want, want_grads = tl.autodiff.outer_value_and_grad(params, batch, rule)
    np.testing.assert_allclose(loss, want, rtol=1e-9)
    assert_close(grads, want_grads, 1e-7)


@pytest.mark.parametrize("first_order", [False, True])
def test_outer_loss_in_twenty_dimensions_agrees_with_sampled_tasks(first_order):
    tasks = tl.BinaryClassification(dim=20, mean_std=0.7, x_cov=1.3)
    rule = tl.MAML(step_size=0.8, steps=2, first_order=first_order)
    params = tl.init(jax.random.key(3), (20, 1))
    batch = tasks.sample(jax.random.key(4), 20_000)
    losses = tl.autodiff.task_losses(params, batch, rule)
    exact, (grad,) = tl.closed_form.outer_value_and_grad(params, tasks, rule)
    stderr = jnp.std(losses) / losses.size**0.5
    assert stderr < 0.01 * exact
    assert abs(jnp.mean(losses) - exact) < 4 * stderr
    (sampled,) = tl.autodiff.outer_grad(params, batch, rule)
    assert jnp.linalg.norm(sampled - grad) < 0.05 * jnp.linalg.norm(grad)


def test_outer_grad_is_the_derivative_of_outer_loss_in_start_and_rule():
    tasks = tl.BinaryClassification(dim=5, mean_std=1.2)
    params = tl.init(jax.random.key(0), (5, 1, 1))

    def loss(params, step_size):
        return tl.closed_form.outer_loss(params, tasks, tl.MAML(step_size, steps=2))

    grads, slope = jax.grad(loss, argnums=(0, 1))(params, 0.6)
    assert_close(grads, tl.closed_form.outer_grad(params, tasks, tl.MAML(0.6, 2)), rtol=1e-10)
    difference = (loss(params, 0.6001) - loss(params, 0.5999)) / 0.0002
    np.testing.assert_allclose(slope, difference, rtol=1e-6)


def test_symmetry_makes_zero_a_stationary_start():
    zero = (jnp.zeros((1, 4)),)
    tasks, rule = tl.BinaryClassification(dim=4), tl.MAML(0.5)
    np.testing.assert_array_equal(tl.closed_form.outer_grad(zero, tasks, rule)[0], 0.0)
    np.testing.assert_array_equal(
        jax.grad(lambda p: tl.closed_form.outer_loss(p, tasks, rule))(zero)[0], 0.0
    )


@pytest.mark.parametrize(
    ("tasks", "widths"),
    [
        (tl.BinaryClassification(dim=3), (3, 3, 1)),
        (tl.BinaryClassification(dim=3, shots=5), (3, 1)),
        (tl.BinaryClassification(dim=3, x_cov=np.diag([1.0, 2.0, 3.0])), (3, 1)),
    ],
)
def test_what_has_no_closed_form_names_estimate(tasks, widths):
    params = tl.init(jax.random.key(0), widths)
    with pytest.raises(tl.NoClosedFormError, match=r"toylin\.estimate\(params, tasks, rule, key"):
        tl.closed_form.outer_loss(params, tasks, tl.MAML(0.1))


def at(x, dim: int, steps: int) -> jax.Array:
    """The loss at (|W_1|, weights above, mean_std, x_cov, step size), W_1 along a diagonal."""
    norm, *above, mean_std, cov, step_size = x
    params = (jnp.full((1, dim), norm / dim**0.5), *(w.reshape(1, 1) for w in above))
    tasks = tl.BinaryClassification(dim=dim, mean_std=mean_std, x_cov=cov)
    return tl.closed_form.outer_loss(params, tasks, tl.MAML(step_size, steps))


@half_as_many
@given(
    sizes=st.sampled_from([(1, 1, 0), (2, 1, 1), (4, 2, 0)]),
    first=st.floats(0.0, 2.0),
    above=st.floats(-1.5, 1.5),
    mean_std=st.floats(0.0, 2.0),
    x_cov=st.floats(0.3, 3.0),
    step_size=st.floats(-0.5, 2.0),
)
def test_value_and_slope_on_a_grid_of_its_own(sizes, first, above, mean_std, x_cov, step_size):
    dim, steps, depth = sizes
    x = [first, *[above] * depth, mean_std, x_cov, step_size]
    direction = np.linspace(0.5, 1.0, len(x))
    value, slope = loss_and_slope(x, direction, dim, steps)
    function = partial(at, dim=dim, steps=steps)
    got, got_slope = jax.jvp(function, (jnp.array(x),), (jnp.asarray(direction),))
    np.testing.assert_allclose(got, value, rtol=1e-8)
    np.testing.assert_allclose(got_slope, slope, rtol=1e-7, atol=1e-8)


def test_large_spread_where_levels_with_shared_nodes_agreed_wrongly():
    """By two other grids, polar and Cartesian, to 1e-13; and the derivative by differences."""
    x = jnp.array([1.6094338629589953, 3.0, 0.25, 2.0])

    # One program with the compiler's first level: it runs for longer than that takes to compile.
    @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
    def along(x):
        return jax.jvp(partial(at, dim=3, steps=3), (x,), (jnp.ones(4),))

    h = 1e-4
    (ahead, _), (value, slope), (behind, _) = (along(x + k * h) for k in (1, 0, -1))
    np.testing.assert_allclose(value, 0.01037033426514, rtol=1e-10)
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * h), rtol=1e-5)


def test_second_derivatives_at_zero_and_near():
    """At 0 the Hessian is that along any axis, by differences of the grid: (F(h) - F(0)) 2 / h²."""
    dim, tasks, rule = 3, tl.BinaryClassification(dim=3, mean_std=0.8), tl.MAML(0.6)
    rest, still = [0.8, 1.0, 0.6], np.zeros(4)
    values = [loss_and_slope([h, *rest], still, dim, 1)[0] for h in (0.0, 0.03, 0.06)]
    once, twice = (
        (v - values[0]) * 2 / h**2 for v, h in zip(values[1:], (0.03, 0.06), strict=True)
    )
    curvature = (4 * once - twice) / 3
    hessian = jax.jit(jax.hessian(lambda u: tl.closed_form.outer_loss((u[None],), tasks, rule)))
    assert curvature > 0.01
    for u in (np.zeros(3), np.array([1e-13, 0, 0]), np.array([0, 2e-5, 1e-5])):
        np.testing.assert_allclose(hessian(u), curvature * np.eye(3), rtol=1e-6, atol=1e-7)
    gradient = jax.jacfwd(lambda u: tl.closed_form.outer_grad((u[None],), tasks, rule)[0][0])
    np.testing.assert_allclose(gradient(np.zeros(3)), curvature * np.eye(3), rtol=1e-6, atol=1e-9)


def test_second_derivatives_at_any_spread():
    """Where a start is near zero depends on the spread of what it meets: by differences."""

    @jax.jit
    def gradient(u, weight, tasks, rule):
        return tl.closed_form.outer_grad((u[None], weight), tasks, rule)[0][0]

    @jax.jit
    @jax.hessian
    def hessian(u, weight, tasks, rule):
        return tl.closed_form.outer_loss((u[None], weight), tasks, rule)

    u, h = jnp.array([0.012, 0.009]), 2e-6
    laws = (0.7, 0.05, 0.02, 2.0), (2.0, 3.0, 9.0, 0.1), (0.7, 0.0, 1.0, 0.5)
    for upper, mean_std, x_cov, step in laws:
        law = tl.BinaryClassification(2, mean_std, x_cov, shots=None)
        problem = (jnp.array([[upper]]), law, tl.MAML(step))
        found = hessian(u, *problem)
        want = [
            (gradient(u + h * e, *problem) - gradient(u - h * e, *problem)) / (2 * h)
            for e in np.eye(2)
        ]
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-7 * jnp.abs(found).max())


def test_corners():
    u = (jnp.array([[0.6, -0.8]]),)
    nothing = tl.BinaryClassification(dim=2, mean_std=0.0)
    shrunk = 1 - 0.5 * float(np.asarray(binary_curvature(1.0)))
    np.testing.assert_allclose(
        tl.closed_form.outer_loss(u, nothing, tl.MAML(0.5)),
        margin_softplus(shrunk),
        rtol=1e-10,
    )
    tasks = tl.BinaryClassification(dim=2)
    loss, (grad,) = tl.closed_form.outer_value_and_grad((1e30 * u[0],), tasks, tl.MAML(0.5))
    np.testing.assert_allclose(jnp.sum(grad * u[0]) * 1e30, loss, rtol=1e-9)  # homogeneous there
    huge = tl.MAML(1e200)
    assert tl.closed_form.outer_loss(u, tasks, huge) == jnp.inf
    with pytest.raises(ValueError, match=r"leaves the range of floats at mean_std=1\.0"):
        tl.closed_form.outer_grad(u, tasks, huge)
    assert np.isnan(tl.closed_form.outer_loss((u[0] * jnp.nan,), tasks, huge))


def margin_softplus(std):
    from scipy.integrate import quad

    density = lambda t: np.logaddexp(0, std * t) * np.exp(-(t**2) / 2)  # noqa: E731
    return quad(density, -12, 12, epsabs=0, epsrel=1e-12)[0] / np.sqrt(2 * np.pi)


def binary_curvature(std):
    from scipy.integrate import quad

    density = lambda t: np.exp(-(t**2) / 2) / (4 * np.cosh(std * t / 2) ** 2)  # noqa: E731
    return quad(density, -12, 12, epsabs=0, epsrel=1e-12)[0] / np.sqrt(2 * np.pi)


def test_a_quadrature_that_does_not_converge_says_so(monkeypatch):
    monkeypatch.setattr(_binary_integral, "MAX_RECTANGLES", 12)
    tasks = tl.BinaryClassification(dim=7, mean_std=8.0)
    params = (np.ones((1, 7)), np.ones((1, 1)))

    def loss(params):
        return tl.closed_form.outer_loss(params, tasks, tl.MAML(3.0))

    message = r"has not converged to 1e-10: .* weights \[1\.0\] above"
    for function in (loss, jax.grad(loss)):
        with pytest.raises(ValueError, match=message):
            function(params)
    assert np.isnan(jax.jit(loss)(params))
    assert np.all(np.isnan(jax.jit(jax.grad(loss))(params)[0]))


@pytest.mark.parametrize("mean_std", [0.5, 2.0])
def test_single_precision_is_accurate_to_its_bound(mean_std):
    x = np.array([1.2, mean_std, 0.7, 1.1])
    want = at(jnp.asarray(x), 3, 3)
    with jax.enable_x64(False):
        got = at(jnp.asarray(x, jnp.float32), 3, 3)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, want, rtol=2e-5)


def test_the_gradient_that_comes_with_its_derivative_is_the_gradient():
    tasks, rule = tl.BinaryClassification(dim=2, x_cov=0.5), tl.MAML(0.4, 0)
    slope = jax.grad(lambda w: tl.closed_form.outer_loss((w,), tasks, rule))
    w, along = jnp.array([[0.6, -0.3]]), jnp.array([[0.1, 0.5]])
    np.testing.assert_allclose(jax.jvp(slope, (w,), (along,))[0], slope(w), rtol=1e-12)
