"""What layers can do does not depend on units: of inputs and of tasks, one against the other."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl

PRIOR = jnp.array([[2.0, 0.3], [0.3, 0.7]])
OF_X = jnp.array([[1.0, 0.2], [0.2, 3.0]])
ROWS = jnp.array([[1.0, 0.3], [0.3, 0.2]])


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e7, 1e12])
def test_best_layers_in_other_units(unit, depth):
    """One output: the best preconditioner there is, whose loss has another formula."""
    scaled = {"theta_cov": PRIOR / unit**2, "x_cov": unit**2 * OF_X}
    shots = tl.LinearRegression(2, noise_std=0.3, shots=5, **scaled)
    found = tl.best_layers(shots, depth, 0.1)
    np.testing.assert_allclose(found.loss, tl.best_preconditioner(shots).loss, rtol=1e-10)
    assert tl.best_layers(tl.LinearRegression(2, **scaled), depth, 0.1).loss < 1e-20


@pytest.mark.parametrize("unit", [1e-6, 1e7])
def test_several_outputs_in_other_units(unit):
    """A search: it ends where it ends in the plain units, and its layers do what it says."""

    def law(unit):
        scaled = {"theta_cov": PRIOR / unit**2, "x_cov": unit**2 * OF_X}
        return tl.LinearRegression(2, outputs=2, output_cov=ROWS, noise_std=0.5, shots=3, **scaled)

    plain, found = (tl.best_layers(law(c), 2, 0.1) for c in (1.0, unit))
    np.testing.assert_allclose(found.loss, plain.loss, rtol=1e-9)
    np.testing.assert_allclose(found.matrix * unit**2, plain.matrix, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_several_outputs_in_other_units_of_targets(unit):
    def best(unit):
        law = {"theta_cov": unit**2 * PRIOR, "noise_std": 0.5 * unit, "x_cov": OF_X}
        tasks = tl.LinearRegression(2, outputs=2, output_cov=ROWS, shots=3, **law)
        return tl.best_layers(tasks, 2, 0.1)

    plain, found = best(1.0), best(unit)
    np.testing.assert_allclose(found.loss / unit**2, plain.loss, rtol=1e-9)
    np.testing.assert_allclose(found.matrix, plain.matrix, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("noise_std", [1e3, 1e6])
def test_a_best_step_that_is_tiny(noise_std):
    """Noise far above the signal: the best preconditioner is small, and what layers lose of it."""
    tasks = tl.LinearRegression(2, noise_std=noise_std, shots=5, theta_cov=PRIOR, x_cov=OF_X)
    found, best = tl.best_layers(tasks, 2, 0.1), tl.best_preconditioner(tasks)
    np.testing.assert_allclose(found.matrix, best.matrix, rtol=1e-9)
