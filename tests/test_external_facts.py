"""Facts that others published, recovered by this package: each test cites its paper."""

from __future__ import annotations

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl
from toylin.tasks import Batch, RegressionMoments


def gradients(params, support, query):
    """g0, g1 (at the start) and the Hessians H0, H1 of the two losses, on flat parameters."""
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    losses = [lambda w, d=d: d.loss(unravel(w)) for d in (support, query)]
    g0, g1 = (jax.grad(loss)(flat) for loss in losses)
    h0, h1 = (jax.hessian(loss)(flat) for loss in losses)
    return flat, unravel, losses, g0, g1, h0, h1


@pytest.mark.parametrize("name", ["maml", "fomaml", "reptile"])
def test_expansions_of_maml_fomaml_and_reptile(name):
    """Nichol, Achiam and Schulman, "On First-Order Meta-Learning Algorithms" (2018), section 5.1.

    For two mini-batches (k = 2): MAML's gradient is g1 - alpha H1 g0 - alpha H0 g1, FOMAML drops
    the last term, and Reptile's g0 + g1 - alpha H1 g0, each up to alpha squared.
    """
    tasks = tl.LinearRegression(dim=2, noise_std=0.3, shots=4)
    batch = tasks.sample(jax.random.key(0), 1, 5)
    support, query = (jax.tree.map(lambda x: x[0], d) for d in (batch.support, batch.query))
    params = tl.init(jax.random.key(1), (2, 3, 1))
    flat, _, losses, g0, g1, h0, h1 = gradients(params, support, query)

    def exact(alpha):
        if name == "reptile":  # (start - end of two inner steps) / alpha
            middle = flat - alpha * g0
            return (flat - middle + alpha * jax.grad(losses[1])(middle)) / alpha
        rule = tl.MAML(alpha, first_order=name == "fomaml")
        return jax.flatten_util.ravel_pytree(tl.closed_form.outer_grad(params, batch, rule))[0]

    def expansion(alpha):
        first = {"maml": h1 @ g0 + h0 @ g1, "fomaml": h1 @ g0, "reptile": h1 @ g0}[name]
        return g1 + (g0 if name == "reptile" else 0.0) - alpha * first

    residual = [float(jnp.linalg.norm(exact(a) - expansion(a))) for a in (2e-4, 1e-4)]
    assert residual[0] / residual[1] == pytest.approx(4.0, rel=1e-2)
    # The order-one term is there: without it the residual would fall by 2 only.
    assert float(jnp.linalg.norm(exact(1e-4) - exact(0.0 + 1e-12))) > 100 * residual[1]


def test_the_optimum_of_quadratic_tasks_is_weighted_by_curvature():
    """Charles and Konecny, "On the Outsized Importance of Learning Rates in Local Update Methods"
    (2020), theorem 1: for tasks 1/2 (x - c_i)' A_i (x - c_i) with k inner steps and the loss after
    adaptation, the surrogate's optimum is (sum M_i)^-1 sum M_i c_i with M_i = A_i (I - alpha
    A_i)^(2k).
    """
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(4, 3, 5)) / 2
    curvature = jnp.asarray(roots @ roots.transpose(0, 2, 1))
    centres = jnp.asarray(rng.normal(size=(4, 3)))
    zero = jnp.zeros_like(centres)
    data = RegressionMoments(curvature, centres, zero, zero[:, 0])
    batch = Batch(data, data, centres)
    rule = tl.MAML(step_size=0.15, steps=3)
    left = jax.vmap(lambda a: a @ jnp.linalg.matrix_power(jnp.eye(3) - 0.15 * a, 6))(curvature)
    best = jnp.linalg.solve(left.sum(0), jnp.einsum("tij,tj->i", left, centres))
    (slope,) = tl.closed_form.outer_grad((best[None],), batch, rule)
    np.testing.assert_allclose(slope, 0.0, atol=1e-13)
    (elsewhere,) = tl.closed_form.outer_grad((jnp.mean(centres, 0)[None],), batch, rule)
    assert jnp.linalg.norm(elsewhere) > 1e-2
    hessian = jax.hessian(lambda w: tl.autodiff.outer_loss((w[None],), batch, rule))(best)
    np.testing.assert_allclose(hessian, left.mean(0), rtol=1e-10, atol=1e-13)


def test_end_to_end_dynamics_of_balanced_layers():
    """Arora, Cohen and Hazan, "On the Optimization of Deep Networks" (ICML 2018), claim 2.

    For balanced layers and one output, gradient flow moves the end-to-end row by
    -|w|^(2 - 2/L) (G + (L - 1) Pr_w G), Pr_w the projection on w.
    """
    depth, direction = 3, jnp.array([0.6, -0.8, 0.0])
    size = 1.7 ** (1 / depth)
    unit = jnp.array([0.36, 0.48, 0.8])
    first = size * jnp.outer(unit, direction)
    middle = size * jnp.outer(direction, unit)
    params = (first, middle, size * direction[None, :])
    np.testing.assert_allclose(tl.imbalance(params), 0.0, atol=1e-14)
    w = tl.end_to_end(params)[0]
    np.testing.assert_allclose(jnp.linalg.norm(w), 1.7, rtol=1e-12)
    gradient = jnp.array([0.2, 1.0, -0.7])
    projected = direction * (direction @ gradient)
    expected = 1.7 ** (2 - 2 / depth) * (gradient + (depth - 1) * projected)
    np.testing.assert_allclose(
        tl.induced_preconditioner(params, tl.MAML(1.0)) @ gradient, expected, rtol=1e-12
    )


def test_the_sigmoidal_trajectory_of_a_two_layer_net():
    """Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks" (ICLR 2014), equation 10: from balanced weights the product u follows
    u(t) = s e^(2 s t / tau) / (e^(2 s t / tau) - 1 + s / u0) under gradient flow with whitened
    inputs.
    """
    target, u0, time, steps = 1.4, 0.01, 3.0, 30_000
    support = tl.LinearRegression().population(jnp.array([target]))
    weight = jnp.full((1, 1), u0**0.5)

    def trajectory(num):
        rule = tl.MAML(step_size=time / num, steps=num)
        return tl.end_to_end(tl.closed_form.adapt((weight, weight), support, rule))[0, 0]

    growth = np.exp(2 * target * time)
    exact = target * growth / (growth - 1 + target / u0)
    coarse, fine = trajectory(steps), trajectory(2 * steps)
    np.testing.assert_allclose(2 * fine - coarse, exact, rtol=1e-7)  # Richardson: Euler's error
    assert (coarse - exact) / (fine - exact) == pytest.approx(2.0, rel=1e-2)
    assert u0 * 50 < exact < 0.999 * target  # in the middle of the transition
