"""The formulas that the documentation prints, against what ``derive`` finds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import sympy

import toylin as tl
from toylin.symbolic._equations import K, alpha, mu, s, sigma, tau

_SPEC = importlib.util.spec_from_file_location(
    "formulas", Path(__file__).parents[2] / "docs" / "formulas.py"
)
F = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(F)


def right(name):
    return F.FORMULAS[name].right


def assert_equal(found, expected):
    assert sympy.simplify(sympy.expand(found.doit() - expected)) == 0


@pytest.mark.parametrize("steps", range(4))
def test_shallow_population(steps):
    derived = tl.derive(1, steps).substituted()
    assert_equal(right("shallow_population").subs(F.T, steps), derived)
    at_mean = derived.subs(F.w_1, mu)
    assert_equal(right("shallow_floor").subs(F.T, steps), at_mean)
    assert sympy.expand(sympy.diff(derived, F.w_1).subs(F.w_1, mu)) == 0


def test_shallow_shots():
    assert_equal(right("shallow_shots"), tl.derive(1, 1, "K").substituted())


def test_two_layers_with_a_zero():
    derived = tl.derive(2, 1).substituted().subs({F.w_1: 0, F.w_2: F.b})
    assert_equal(right("two_layers_at_zero"), derived)
    assert_equal(derived.subs(F.b, sympy.sqrt(right("minimum"))), sigma**2 / 2)


def test_three_layers_with_a_zero():
    derived = tl.derive(3, 1).substituted().subs(F.w_1, 0)
    assert_equal(right("three_layers_at_zero"), derived)


def test_best_response_to_shots():
    derived = tl.derive(2, 1, "K").substituted().subs({F.w_1: 0, F.w_2: sympy.sqrt(F.c / alpha)})
    assert_equal(right("shots_at_zero"), derived)
    best = right("best_response")
    assert sympy.simplify(sympy.diff(derived, F.c).subs(F.c, best)) == 0
    assert_equal(right("shots_floor").subs(sympy.Symbol(r"c^\star"), best), derived.subs(F.c, best))


def test_shots_floor_is_the_packages():
    tasks = tl.LinearRegression(theta_mean=0.3, theta_cov=0.49, x_cov=1.44, noise_std=0.2, shots=5)
    at = {mu: 0.3, tau: 0.7, s: 1.2, sigma: 0.2, K: 5}
    best = right("best_response").subs(at)
    floor = right("shots_floor").subs(at).subs(sympy.Symbol(r"c^\star"), best)
    np.testing.assert_allclose(float(floor), tl.zero_layer_floor(tasks), rtol=1e-12)


def test_support_moments():
    found = {
        str(e.left): e.right for e in tl.derive(2, 1, "K").definitions if str(e.left)[:2] == "S_"
    }
    assert len(found) >= 3
    for name, value in found.items():
        assert_equal(right("support_moments").subs(F.r, int(name[2:])), value)


@pytest.mark.parametrize("name", F.FORMULAS)
def test_formula_is_on_a_page(name):
    pages = (Path(__file__).parents[2] / "docs" / "mathematics").glob("*.md")
    assert any(f"{{{{ {name} }}}}" in page.read_text() for page in pages)
