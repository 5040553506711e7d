"""What the Kronecker restriction costs with several outputs, and how layers pay it back."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import half_as_many
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import toylin as tl
from toylin.depth import _best_product, _best_sum
from toylin.depth._spectrum import spectrum

KINDS = ("scalar", "diagonal", "kronecker", "full")


@tl.pytree_dataclass
class Free(tl.Rule):
    """Any linear map of the gradient of one layer."""

    matrix: jax.Array
    steps: int = tl.static_field(default=1)
    first_order: bool = tl.static_field(default=False)
    linear = True

    def update(self, grads):
        return tuple((self.matrix @ g.ravel()).reshape(g.shape) for g in grads)


def covariance(rng, eigenvalues):
    vectors = np.linalg.qr(rng.normal(size=(len(eigenvalues),) * 2))[0]
    product = vectors * np.asarray(eigenvalues) @ vectors.T
    return jnp.asarray((product + product.T) / 2)


def law(seed=0, rows=(2.0, 0.1), columns=(3.0, 0.5, 0.05), shots=20, noise_std=1.5, mean=0.0):
    """R with the eigenvalues ``rows`` and Sigma Lambda with ``columns``, in any direction."""
    rng = np.random.default_rng(seed)
    sigma = covariance(rng, rng.uniform(0.3, 2.0, len(columns)))
    inverse = np.linalg.inv(np.linalg.cholesky(sigma))
    prior = inverse.T @ covariance(rng, columns) @ inverse
    return tl.LinearRegression(
        dim=len(columns),
        outputs=len(rows),
        theta_mean=mean,
        theta_cov=(prior + prior.T) / 2,
        x_cov=sigma,
        noise_std=noise_std,
        shots=shots,
        output_cov=covariance(rng, rows),
    )


@jax.jit
def loss_and_slope(start, tasks, rule):
    return jax.value_and_grad(tl.closed_form.outer_loss, argnums=2)(start, tasks, rule)


@pytest.mark.parametrize("kind", KINDS)
@half_as_many
@given(seed=st.integers(0, 10**6), shots=st.sampled_from([None, 1, 20]))
def test_the_best_preconditioner_of_several_outputs(kind, seed, shots):
    """Its rule reaches its loss, and no number that it could learn improves on it.

    In P the loss is convex, so that this is all there is to say but for the product.
    """
    tasks = law(seed, shots=shots, mean=jnp.asarray([[0.4, -1.0, 2.0], [0.3, 0.0, 1.0]]))
    best = tl.best_preconditioner(tasks, kind)
    rule = Free(best.matrix) if kind == "full" else best.rule
    start = tl.shallow_optimum(tasks)
    loss, slope = loss_and_slope(start, tasks, rule)
    np.testing.assert_allclose(best.loss, loss, rtol=1e-10)
    for leaf in jax.tree.leaves(slope):
        np.testing.assert_allclose(leaf, 0.0, atol=1e-8 * loss)
    np.testing.assert_allclose(tl.induced_preconditioner(start, rule), best.matrix, atol=1e-9)
    moved = jax.tree.map(lambda x: x * (1 + 0.1 * (x != 0)), rule)
    assert loss_and_slope(start, tasks, moved)[0] > best.loss * (1 + 1e-6)
    if shots is None:
        assert (kind in ("kronecker", "full")) == (best.loss < 1.5**2 * (1 + 1e-10))


@pytest.mark.parametrize("seed", range(3))
def test_no_product_that_a_search_finds_is_better(seed):
    rng = np.random.default_rng(seed)
    tasks = law(seed, rows=rng.uniform(0.01, 3.0, 2) ** 2, columns=rng.uniform(0.1, 3.0, 3) ** 2)
    best = tl.best_preconditioner(tasks, "kronecker")
    start = tl.shallow_optimum(tasks)

    @jax.jit
    @jax.value_and_grad
    def loss(x):
        factors = ((x[:4].reshape(2, 2), x[4:].reshape(3, 3)),)
        return tl.closed_form.outer_loss(start, tasks, tl.MetaKFO(factors, 1.0, psd=False))

    found = [
        minimize(lambda x: tuple(map(np.asarray, loss(x))), rng.normal(size=13), jac=True)
        for _ in range(5)
    ]
    lowest = min(f.fun for f in found)
    np.testing.assert_allclose(lowest, best.loss, rtol=1e-8)
    assert lowest > best.loss * (1 - 1e-12)


def test_the_best_start_of_a_product_is_taken(monkeypatch):
    """All starts meet in the end; after one iteration they have not."""
    problem = spectrum(law(rows=(2.0, 0.5, 0.01), columns=(3.0, 0.5, 0.01)))

    def excess(**settings):
        for name, value in settings.items():
            monkeypatch.setattr(_best_product, name, value)
        return problem.excess(np.outer(*_best_product.best_product(problem)))

    end = excess()
    early = excess(_ITERATIONS=1)
    assert end < early < 0.999 * excess(_STARTS=1)


def products_in(matrix, outputs, dim):
    """How many Kronecker products a matrix is a sum of: the rank of its rearrangement."""
    blocks = np.asarray(matrix).reshape(outputs, dim, outputs, dim)
    sizes = np.linalg.svd(blocks.transpose(0, 2, 1, 3).reshape(outputs**2, dim**2))[1]
    return int(np.sum(sizes > 1e-9 * sizes[0]))


OUTPUTS = jnp.diag(jnp.array([2.0, 0.1]))
THREE, TWO = (2.0, 0.5, 0.05), (2.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("options", "products"),
    [
        ({"rows": THREE, "columns": (3.0, 1.0, 0.2, 0.02)}, 3),
        ({"rows": TWO, "columns": (3.0, 1.0, 0.2, 0.02)}, 2),
        ({"rows": THREE, "columns": (3.0, 0.2, 0.2, 0.2)}, 2),
        ({"rows": THREE, "columns": (3.0, 0.2), "shots": 1}, 2),
        ({"rows": (0.7, 0.7, 0.7)}, 1),
        ({"columns": (0.7, 0.7, 0.7)}, 1),
        ({"rows": THREE, "columns": (0.7,)}, 1),
        ({"rows": THREE, "shots": None}, 1),
        ({"rows": THREE, "noise_std": 0.0}, 1),
    ],
)
def test_the_theorem_how_many_products_the_best_preconditioner_is(options, products):
    """The fewer of the distinct eigenvalues of R and of Sigma Lambda; else one."""
    tasks = law(**options)
    full, one = tl.best_preconditioner(tasks), tl.best_preconditioner(tasks, "kronecker")
    assert products_in(full.matrix, tasks.outputs, tasks.dim) == products
    if products == 1:
        np.testing.assert_allclose(one.loss, full.loss, rtol=1e-12)
        np.testing.assert_allclose(one.matrix, full.matrix, rtol=0, atol=1e-10)
    else:
        assert one.loss > full.loss * (1 + 1e-5)


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
@pytest.mark.parametrize("step_size", [0.02, 3.0])
def test_a_step_of_the_layers_is_the_sum_exactly_on_any_data(depth, step_size):
    tasks = law(rows=THREE, columns=(3.0, 0.3))
    best = tl.best_layers(tasks, depth, step_size)
    assert [w.shape for w in best.params] == [(5, 2), *[(5, 5)] * (depth - 2), (3, 5)]
    assert not np.any(tl.end_to_end(best.params))
    rng = np.random.default_rng(1)
    points = tl.RegressionPoints(rng.normal(size=(4, 2)), 30 * rng.normal(size=(4, 3)))
    rule = tl.MAML(step_size)
    gradient = -np.einsum("ki,kj->ij", points.y, points.x) / 4
    moved = tl.end_to_end(tl.autodiff.adapt(best.params, points, rule))
    assert np.abs(moved).max() > 1.0
    wanted = -best.matrix @ gradient.ravel()
    np.testing.assert_allclose(moved.ravel(), wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())
    np.testing.assert_allclose(
        tl.induced_preconditioner(best.params, rule), best.matrix, rtol=0, atol=1e-10
    )
    loss = tl.closed_form.outer_loss(tl.shallow_optimum(tasks), tasks, Free(best.matrix))
    np.testing.assert_allclose(best.loss, loss, rtol=1e-10)


def test_the_loss_of_the_layers_is_that_of_sampled_tasks():
    tasks = law(rows=THREE, columns=(3.0, 0.3), shots=7)
    for depth in (2, 4):
        best = tl.best_layers(tasks, depth, 0.3)
        batch = tasks.sample_moments(jax.random.key(0), 20_000)
        losses = tl.autodiff.task_losses(best.params, batch, tl.MAML(0.3))
        stderr = np.std(losses) / len(losses) ** 0.5
        assert stderr < 0.01 * best.loss
        assert abs(np.mean(losses) - best.loss) < 4 * stderr


@pytest.mark.parametrize("seed", range(2))
def test_layers_close_the_gap_of_one_product(seed):
    """Three layers have it, and more; one more than R has eigenvalues is as good as free."""
    tasks = law(seed, rows=THREE, columns=(3.0, 1.0, 0.3, 0.05))
    full, one = (float(tl.best_preconditioner(tasks, k).loss) for k in ("full", "kronecker"))
    two, three, four = (float(tl.best_layers(tasks, depth, 0.1).loss) for depth in (2, 3, 4))
    gap = one - full
    assert gap > 1e-3 * full
    assert full + 1e-6 * gap < three < full + 0.5 * gap
    assert abs(four - full) < 1e-12 * full
    assert two > three


def least_by_groups(best, weight, count):
    """The least loss of so many groups of neighbouring rows that share one, by trying them all."""
    losses = []
    for cuts in itertools.combinations(range(1, len(best)), count - 1):
        groups = np.split(np.arange(len(best)), cuts)
        means = [np.average(best[g], axis=0, weights=weight[g]) for g in groups]
        apart = [weight[g] * (best[g] - mean) ** 2 for g, mean in zip(groups, means, strict=True)]
        losses.append(0.5 * sum(np.sum(x) for x in apart))
    return min(losses)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_sums_that_take_no_search(depth):
    """The best groups of outputs and of inputs, and one product: all sums of so many products."""
    problem = spectrum(law(rows=(3.0, 1.0, 0.3, 0.05), columns=(3.0, 1.0, 0.3, 0.05, 0.01)))
    best, weight = problem.best, problem.weight
    wanted = [least_by_groups(best, weight, depth - 1)]
    if depth > 2:
        wanted.append(least_by_groups(best.T, weight.T, depth - 2))
        wanted.append(problem.excess(np.outer(*_best_product.best_product(problem))))
    found = [terms.excess(problem) for terms in _best_sum._known(problem, depth)]
    np.testing.assert_allclose(found, wanted, rtol=1e-8)


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_the_gradient_of_the_search_is_that_of_the_outer_loss(layers):
    """By autodiff of the loss of the sum, put together as products in the law's own axes."""
    tasks = law(3, rows=THREE, columns=(3.0, 0.3))
    problem, start = spectrum(tasks), tl.shallow_optimum(tasks)
    basis, frame = (jnp.asarray(m) for m in (problem.basis, problem.frame))

    def loss(roots):
        a, y = roots
        lefts = [*(a**2), jnp.ones(3)]
        rights = [jnp.eye(2), *(frame @ root.T @ root @ frame.T for root in y)]
        products = [
            jnp.kron((basis * left) @ basis.T, right)
            for left, right in zip(lefts, rights, strict=True)
        ]
        return tl.closed_form.outer_loss(start, tasks, Free(sum(products[1:], products[0])))

    rng = np.random.default_rng(layers)
    a, y = rng.normal(size=(layers - 1, 3)), rng.normal(size=(layers - 1, 2, 2))
    value, slope = jax.value_and_grad(loss)((jnp.asarray(a), jnp.asarray(y)))
    share, gradient = _best_sum._share(np.append(a, y), problem)
    np.testing.assert_allclose(problem.loss + problem.unadapted * share, value, rtol=1e-12)
    wanted = np.append(*slope) / problem.unadapted
    np.testing.assert_allclose(gradient, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())
    assert np.abs(wanted).min() > 1e-3


def test_few_eigenvalues_need_few_layers():
    one_row = law(rows=(0.7, 0.7), columns=(3.0, 1.0, 0.2))
    one_column = law(rows=THREE, columns=(0.5, 0.5))
    two_columns = law(rows=(3.0, 1.0, 0.3, 0.05), columns=(3.0, 0.3, 0.3))
    for tasks, depth in ((one_row, 2), (one_column, 3), (two_columns, 4), (law(shots=None), 2)):
        full = tl.best_preconditioner(tasks).loss
        np.testing.assert_allclose(tl.best_layers(tasks, depth, 0.1).loss, full, rtol=1e-12)


@pytest.mark.parametrize("noise_std", [0.0, 0.3])
@pytest.mark.parametrize("theta_cov", [0.7, jnp.diag(jnp.array([1.0, 0.0])), jnp.ones((2, 2))])
def test_the_population_needs_one_product_without_noise_and_in_a_subspace_too(noise_std, theta_cov):
    tasks = tl.LinearRegression(
        2, outputs=2, theta_cov=theta_cov, noise_std=noise_std, output_cov=OUTPUTS
    )
    found = [tl.best_layers(tasks, depth, 0.1) for depth in (2, 3, 4)]
    found.append(tl.best_preconditioner(tasks, "kronecker"))
    for best in found:
        np.testing.assert_allclose(best.loss, noise_std**2, rtol=1e-12, atol=1e-15)
        assert np.all(np.isfinite(best.matrix))
    # Where theta does not vary any step will do; it is the one that adapts everything.
    np.testing.assert_allclose(found[3].matrix, tl.best_preconditioner(tasks).matrix, atol=1e-12)
    for best in found[:3]:
        adapted = tl.autodiff.outer_loss(best.params, tasks, tl.MAML(0.1))
        np.testing.assert_allclose(adapted, noise_std**2, rtol=1e-9, atol=1e-9)


def test_two_layers_are_a_convex_problem_that_is_solved():
    """No sum C kron 1 + 1 kron D nearby is better, in any direction that stays positive."""
    tasks = law(rows=THREE, columns=(3.0, 0.3))
    best = tl.best_layers(tasks, 2, 1.0)
    start, rng = tl.shallow_optimum(tasks), np.random.default_rng(0)
    first, last = best.params
    for size in (1e-1, 1e-3):
        for _ in range(20):
            c = last @ (np.eye(5) + size * rng.normal(size=(5, 5))) @ last.T
            d = first.T @ (np.eye(5) + size * rng.normal(size=(5, 5))) @ first
            moved = jnp.kron(c + c.T, jnp.eye(2)) / 2 + jnp.kron(jnp.eye(3), d + d.T) / 2
            loss, _ = loss_and_slope(start, tasks, Free(moved))
            assert loss > best.loss * (1 - 1e-12)


def test_refusals():
    tasks = law()
    with pytest.raises(ValueError, match="theta_mean=0 here"):
        tl.best_layers(law(mean=0.1), 3, 0.1)
    for depth, bound in ((1, "least 2"), (10**6, "most 32")):
        with pytest.raises(ValueError, match=f"depth must be an integer of at {bound}"):
            tl.best_layers(tasks, depth, 0.1)
    with pytest.raises(ValueError, match="step_size must be a positive number"):
        tl.best_layers(tasks, 2, 0.0)
    with pytest.raises(ValueError, match="tasks must be a LinearRegression"):
        tl.best_layers(tl.BinaryClassification(), 2, 0.1)
    with pytest.raises(ValueError, match="step_size must be a concrete number"):
        jax.jit(lambda a: tl.best_layers(tasks, 2, a).loss)(0.1)
    with pytest.raises(ValueError, match="tasks must hold concrete numbers"):
        jax.jit(lambda t: tl.best_preconditioner(t, "kronecker").loss)(tasks)
    with pytest.raises(tl.NoClosedFormError, match=r"best kronecker .* not at steps=2"):
        tl.best_preconditioner(tasks, "kronecker", steps=2)
