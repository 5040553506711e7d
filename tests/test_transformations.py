"""Everything composes with jit, vmap, grad and pytrees, in single and in double precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ROUTES, WEIGHTS, assert_close, flat, scalar_params, value_and_grad

import toylin as tl

KEY = jax.random.key(0)
FEW = tl.LinearRegression(theta_mean=0.3, theta_cov=0.8, x_cov=1.2, noise_std=0.2, shots=5)
PLANE = tl.LinearRegression(
    dim=2, theta_mean=jnp.array([0.3, -0.1]), x_cov=jnp.diag(jnp.array([0.7, 1.2]))
)
BINARY = tl.BinaryClassification(dim=2, mean_std=0.8, shots=4)
RULE = tl.MAML(0.1, 2)

closed, auto = ROUTES
# Under each name a route, parameters, and tasks or a batch of them.
PROBLEMS = {
    "closed, few shots": (closed, scalar_params(WEIGHTS[:2]), FEW),
    "autodiff, few shots": (auto, scalar_params(WEIGHTS[:2]), FEW),
    "closed, shallow": (closed, tl.init(KEY, (2, 1)), PLANE),
    "closed, wide": (closed, tl.init(KEY, (2, 3, 1)), PLANE),
    "autodiff, wide": (auto, tl.init(KEY, (2, 3, 1)), PLANE),
    "closed, points": (closed, tl.init(KEY, (2, 3, 1)), PLANE.sample(KEY, 5, 4)),
    "autodiff, binary points": (auto, tl.init(KEY, (2, 3, 1)), BINARY.sample(KEY, 5, 4)),
    "autodiff, binary population": (auto, tl.init(KEY, (2, 3, 1)), BINARY.sample(KEY, 5)),
}
each_problem = pytest.mark.parametrize("name", PROBLEMS)


@each_problem
def test_inside_a_jit_of_ones_own(name):
    """There values are not known; called directly they are, and the function compiles itself."""
    route, params, tasks = PROBLEMS[name]
    functions = route.outer_loss, route.outer_grad
    jitted = jax.jit(lambda *arguments: [f(*arguments) for f in functions])(params, tasks, RULE)
    assert_close(jitted, [f(params, tasks, RULE) for f in functions], 1e-12)


@each_problem
def test_vmap_is_a_loop(name):
    """Over weights and step sizes together."""
    route, params, tasks = PROBLEMS[name]
    scale, step_sizes = jnp.array([0.5, 1.0, 1.3]), jnp.array([0.2, 0.0, 0.07])

    def one(factor, step_size):
        moved = jax.tree.map(lambda w: factor * w, params)
        return route.outer_loss(moved, tasks, tl.MAML(step_size, 2))

    together = jax.jit(jax.vmap(one))(scale, step_sizes)
    one = jax.jit(one)
    alone = [one(a, b) for a, b in zip(scale, step_sizes, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-11)


@each_problem
def test_gradients_against_differences(name):
    """With respect to the weights and the step size, along a random direction."""
    route, params, tasks = PROBLEMS[name]
    rule = tl.MAML(jnp.asarray(0.1), 2)
    loss = lambda both: route.outer_loss(both[0], tasks, both[1])  # noqa: E731
    keys = iter(jax.random.split(jax.random.key(7), 9))
    direction = jax.tree.map(lambda a: jax.random.normal(next(keys), a.shape), (params, rule))

    @jax.jit
    def forward_along(t):
        moved = jax.tree.map(lambda a, d: a + t * d, (params, rule), direction)
        return jax.jvp(loss, (moved,), (direction,))

    along = lambda t: forward_along(t)[0]  # noqa: E731
    h = 2e-4
    want = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
    grad, own = jax.jit(lambda p, r: (jax.grad(loss)((p, r)), route.outer_grad(p, tasks, r)))(
        params, rule
    )
    np.testing.assert_allclose(flat(grad) @ flat(direction), want, rtol=1e-7)
    assert abs(grad[1].step_size) > 1e-3
    np.testing.assert_allclose(forward_along(0.0)[1], want, rtol=1e-7)
    assert_close(own, grad[0], 1e-11)


def test_gradient_in_the_leaves_of_the_tasks():
    """With respect to noise, spread and mean, against differences."""

    @jax.jit
    def loss(leaves):
        mean, spread, noise = leaves
        tasks = tl.LinearRegression(theta_mean=mean, x_cov=spread, noise_std=noise, shots=5)
        return tl.closed_form.outer_loss(scalar_params(WEIGHTS[:2]), tasks, tl.MAML(0.1))

    at, h = jnp.array([0.3, 1.2, 0.4]), 1e-5
    grad = jax.grad(loss)(at)
    for i in range(3):
        want = (loss(at.at[i].add(h)) - loss(at.at[i].add(-h))) / (2 * h)
        np.testing.assert_allclose(grad[i], want, rtol=1e-7)


@each_problem
def test_single_precision_is_kept(name):
    """In strict promotion, so that nothing is widened on the way and cast back at the end."""
    route, params, tasks = PROBLEMS[name]
    to_single = lambda tree: jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), tree)  # noqa: E731
    single, double = to_single((params, tasks)), (params, tasks)
    with jax.numpy_dtype_promotion("strict"):
        loss, grad = value_and_grad(route, *single, RULE)
    assert {a.dtype for a in jax.tree.leaves((loss, grad))} == {jnp.dtype(jnp.float32)}
    want, want_grad = value_and_grad(route, *double, RULE)
    assert_close(loss, want, 1e-5)
    assert_close(grad, want_grad, 1e-4)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_draws_have_the_type_asked_for(dtype):
    for tasks in (FEW, PLANE, BINARY, tl.LinearRegression(dim=3, shots=4)):
        samplers = [tasks.sample]
        if isinstance(tasks, tl.LinearRegression):
            samplers.append(tasks.sample_moments)
        for sample in samplers:
            shapes = jax.eval_shape(lambda key, sample=sample: sample(key, 3, 5, dtype), KEY)
            assert {a.dtype for a in jax.tree.leaves(shapes)} == {jnp.dtype(dtype)}
    assert tl.init(KEY, (2, 1), dtype=dtype)[0].dtype == dtype
    nodes = tl.quadrature_batch(FEW, 2, 1, dtype)
    assert {a.dtype for a in jax.tree.leaves(nodes)} == {jnp.dtype(dtype)}


@pytest.mark.parametrize(
    "node",
    [
        FEW,
        PLANE,
        BINARY,
        RULE,
        tl.MAML(0.1, 3, first_order=True),
        FEW.sample(KEY, 3),
        BINARY.sample(KEY, 3),
        tl.quadrature_batch(FEW, 1, 1),
        tl.ExactLoss(FEW, RULE),
        tl.SampledLoss(BINARY, RULE, 5, None),
        tl.batch_polynomial(FEW.sample(KEY, 3), tl.MAML(0.1), 2),
    ],
    ids=lambda node: type(node).__name__,
)
def test_pytree_round_trip(node):
    leaves, structure = jax.tree.flatten(node)
    again = jax.tree.unflatten(structure, leaves)
    assert type(again) is type(node)
    assert vars(again).keys() == vars(node).keys()
    assert jax.tree.structure(again) == structure
    for a, b in zip(jax.tree.leaves(again), leaves, strict=True):
        assert a is b
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(node)]
    assert len(paths) == len(leaves) > 0
    # Placeholders that JAX puts in the leaves pass no argument check.
    assert jax.tree.structure(jax.tree.map(lambda _: object(), node)) == structure


def test_what_is_static():
    """Sizes and flags are structure; numbers are leaves, so that no value needs a compilation."""
    assert jax.tree.leaves(tl.MAML(0.25, 3)) == [0.25]
    assert jax.tree.leaves(tl.LinearRegression(2, 0.1, 0.2, 0.3, 0.4, 5)) == [0.1, 0.2, 0.3, 0.4]
    assert jax.tree.leaves(tl.BinaryClassification(2, 0.1, 0.2, 5)) == [0.1, 0.2]
    traces = []

    @jax.jit
    def loss(tasks, rule):
        traces.append(rule)
        return tl.closed_form.outer_loss(scalar_params([0.7]), tasks, rule)

    values = {float(loss(tl.LinearRegression(noise_std=a), tl.MAML(a))) for a in (0.1, 0.2, 0.3)}
    assert len(values) == 3
    assert len(traces) == 1


def test_init():
    params = tl.init(KEY, (400, 300, 1), scale=2.0)
    assert [w.shape for w in params] == [(300, 400), (1, 300)]
    for w in params:
        error = 5 * 2**0.5 / w.size**0.5
        np.testing.assert_allclose(np.var(w) * w.shape[1], 4.0, rtol=max(error, 0.02))
    assert np.all(flat(tl.init(KEY, (2, 2), scale=0.0)) == 0)
    x = jax.random.normal(KEY, (5, 400))
    np.testing.assert_allclose(tl.predict(params, x), x @ params[0].T @ params[1][0], rtol=1e-10)
    np.testing.assert_allclose(tl.end_to_end(params), params[1] @ params[0], rtol=1e-12)
