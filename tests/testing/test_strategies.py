"""Strategies reach boring values and uncomfortable ones, and nothing that the package refuses."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from toylin import testing
from toylin.rules import RULES, make_rule

# That something is reached does not ask for the simplest of its kind.
REACH = settings(phases=(Phase.generate,), max_examples=300, database=None)
MODEL = (jnp.ones((2, 3)), jnp.ones((1, 2)))


@pytest.mark.parametrize("wanted", [0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 5.0])
def test_boring_numbers_are_reached(wanted):
    assert find(testing.numbers(-3.0, 5.0), lambda x: x == wanted) == wanted


@given(testing.numbers(0.25, 0.75))
def test_numbers_stay_between_their_ends(x):
    assert 0.25 <= x <= 0.75


@given(st.data(), st.integers(1, 4), st.booleans())
def test_covariances_are_positive_definite_unless_they_may_be_singular(data, dim, singular):
    cov = data.draw(testing.covariances(dim, 0.1, 4.0, singular))
    eigenvalues = np.linalg.eigvalsh(cov) if np.ndim(cov) else np.array([cov])
    assert np.all((eigenvalues > 0.1 - 1e-9) | (singular & (abs(eigenvalues) < 1e-9)))
    assert 0.1 - 1e-9 < eigenvalues.max() < 4.0 + 1e-9
    if np.ndim(cov):
        np.testing.assert_array_equal(cov, cov.T)


def test_covariances_of_any_orientation_and_of_lower_rank():
    tilted = lambda c: np.ndim(c) == 2 and abs(c[0, 1]) > 0.3  # noqa: E731
    cov = find(testing.covariances(2), tilted, settings=REACH)
    assert cov.shape == (2, 2)
    singular = testing.covariances(3, singular=True)
    find(singular, lambda c: np.ndim(c) == 2 and np.linalg.matrix_rank(c) == 1, settings=REACH)


@given(testing.params(3, dim=2, size=1.5, outputs=4))
def test_params_chain(params):
    assert [w.shape for w in params] == [(2, 2), (2, 2), (4, 2)]
    assert max(float(jnp.max(jnp.abs(w))) for w in params) <= 1.5


@given(
    testing.regressions(dim=2, shots=(None, 3)),
    testing.regressions(dim=2, outputs=3),
    testing.classifications(dim=2),
    testing.classifications(dim=2, classes=3),
)
def test_laws(regression, several, binary, classes):
    assert regression.shots in (None, 3)
    assert 0 <= regression.noise_std <= 2
    assert several.sample_theta(jax.random.key(0), 1).shape == (1, 3, 2)
    assert binary.dim == classes.dim == 2
    assert binary.shots in (None, 1, 4)
    assert classes.shots in (1, 4)
    assert classes.outputs == 3
    regression.sample_theta(jax.random.key(0), 1)


@pytest.mark.parametrize(
    "wanted",
    [
        lambda law: np.ndim(law.output_cov) == 2,
        lambda law: law.output_cov is None,
        lambda law: np.shape(law.theta_mean) == (3, 2),
        lambda law: np.ndim(law.theta_cov) == 2 and np.linalg.matrix_rank(law.theta_cov) == 1,
    ],
)
def test_laws_of_several_outputs_reach_every_form(wanted):
    find(testing.regressions(2, outputs=3), wanted, settings=REACH)


@given(
    testing.regression_points(5, 2, 3, size=7.0),
    testing.binary_points(5, 2, size=7.0),
    testing.class_points(5, 2, 4, size=7.0),
)
def test_data_fit_and_stay_within_their_size(regression, binary, classes):
    for data, outputs in ((regression, 3), (binary, 1), (classes, 4)):
        assert np.isfinite(data.loss((jnp.ones((outputs, 2)),)))
        assert data.x.shape == (5, 2)
        assert float(jnp.max(jnp.abs(data.x))) <= 7.0


def test_uncomfortable_data_are_reached():
    many = testing.regression_points(20, 3, 2)  # drawn by a seed, not number by number
    find(many, lambda data: not np.any(data.x), settings=REACH)
    find(many, lambda data: np.any(data.x == 1.0) and np.any(data.y == -2.0), settings=REACH)
    few = testing.class_points(3, 2, 4)
    find(few, lambda data: len(set(data.y.tolist())) == 1, settings=REACH)
    same = lambda data: np.all(data.x[0] == data.x[1]) and data.y[0] != data.y[1]  # noqa: E731
    find(few, same, settings=REACH)


def test_population_few_shots_noise_and_none_are_reached():
    laws = testing.regressions()
    for shots in (None, 1, 4):
        noisy = lambda law, shots=shots: law.shots == shots and law.noise_std > 0.1  # noqa: E731
        quiet = lambda law, shots=shots: law.shots == shots and law.noise_std == 0  # noqa: E731
        find(laws, noisy, settings=REACH)
        find(laws, quiet, settings=REACH)


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
        (lambda: testing.classifications(classes=1), "classes"),
        (lambda: testing.classifications(classes=3, shots=[None]), "every entry of shots"),
        (lambda: testing.covariances(2, singular=1), "singular"),
        (lambda: testing.params(1, outputs=0), "outputs"),
        (lambda: testing.regressions(outputs=0), "outputs"),
        (lambda: testing.regression_points(0), "points"),
        (lambda: testing.regression_points("x"), "points"),
        (lambda: testing.regression_points(size="x"), "size"),
        (lambda: testing.regression_points(outputs=0), "outputs"),
        (lambda: testing.binary_points(dim=0), "dim"),
        (lambda: testing.class_points(classes=1), "classes"),
        (lambda: testing.maml_rules(-1), "steps"),
        (lambda: testing.learned_rules("sgd", MODEL), "name"),
    ]:
        with pytest.raises(ValueError, match=name):
            call()
