"""Strategies reach boring values and uncomfortable ones, and nothing that the package refuses."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from toylin import testing
from toylin.rules import RULES, make_rule

MODEL = (jnp.ones((2, 3)), jnp.ones((1, 2)))


@pytest.mark.parametrize("wanted", [0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 5.0])
def test_boring_numbers_are_reached(wanted):
    assert find(testing.numbers(-3.0, 5.0), lambda x: x == wanted) == wanted


@given(testing.numbers(0.25, 0.75))
def test_numbers_stay_between_their_ends(x):
    assert 0.25 <= x <= 0.75


@given(st.data(), st.integers(1, 4))
def test_covariances_are_positive_definite(data, dim):
    cov = data.draw(testing.covariances(dim, 0.1, 4.0))
    eigenvalues = np.linalg.eigvalsh(cov) if np.ndim(cov) else np.array([cov])
    assert eigenvalues.min() > 0.1 - 1e-9
    assert eigenvalues.max() < 4.0 + 1e-9
    if np.ndim(cov):
        np.testing.assert_array_equal(cov, cov.T)


def test_covariances_of_any_orientation():
    cov = find(testing.covariances(2), lambda c: np.ndim(c) == 2 and abs(c[0, 1]) > 0.3)
    assert cov.shape == (2, 2)


@given(testing.params(3, dim=2, size=1.5))
def test_params_chain(params):
    assert [w.shape for w in params] == [(2, 2), (2, 2), (1, 2)]
    assert max(float(jnp.max(jnp.abs(w))) for w in params) <= 1.5


@given(testing.regressions(dim=2, shots=(None, 3)), testing.classifications(dim=2))
def test_laws(regression, classification):
    assert regression.shots in (None, 3)
    assert 0 <= regression.noise_std <= 2
    assert classification.dim == 2
    regression.sample_theta(jax.random.key(0), 1)


def test_population_few_shots_noise_and_none_are_reached():
    laws = testing.regressions()
    for shots in (None, 1, 4):
        find(laws, lambda law, shots=shots: law.shots == shots and law.noise_std > 0.1)
        find(laws, lambda law, shots=shots: law.shots == shots and law.noise_std == 0)


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=3)
@given(st.data())
def test_learned_rules_fit_and_have_moved(name, data):
    options = {"key": jax.random.key(0)} if name == "nonlinear-kfo" else {}
    rules = testing.learned_rules(name, MODEL, 2, size=0.3, **options)
    start = make_rule(name, MODEL, 0.1, 2, **options)

    def moves(rule):
        pairs = zip(jax.tree.leaves(rule), jax.tree.leaves(start), strict=True)
        return [np.abs(np.asarray(a) - np.asarray(b)) for a, b in pairs]

    rule = data.draw(rules.filter(lambda rule: max(np.max(m) for m in moves(rule)) > 0.1))
    rule.check(MODEL)
    assert rule.steps == 2
    assert jax.tree.structure(rule) == jax.tree.structure(start)
    assert max(np.max(m) for m in moves(rule)) <= 0.3 + 1e-6


def test_bad_arguments_are_named():
    for call, name in [
        (lambda: testing.numbers(1.0, 0.0), "low must be at most high"),
        (lambda: testing.regressions(shots=[0]), "every entry of shots"),
        (lambda: testing.params(0), "depth"),
        (lambda: testing.params(1, dim=0), "dim"),
        (lambda: testing.covariances(2, low=0.0), "low"),
        (lambda: testing.regressions(size=0.0), "size"),
        (lambda: testing.classifications(size=0.0), "size"),
        (lambda: testing.maml_rules(-1), "steps"),
        (lambda: testing.learned_rules("sgd", MODEL), "name"),
    ]:
        with pytest.raises(ValueError, match=name):
            call()
