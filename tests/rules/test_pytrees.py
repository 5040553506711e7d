"""Rules on parameters that are no tuple of matrices, and ANIL over any part of them."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl
from toylin.rules import RULES


class Head(NamedTuple):
    w: jax.Array
    b: jax.Array


def network(seed=0):
    """A dict of a dict and a named tuple: matrices and biases."""
    rng = np.random.default_rng(seed)
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape))  # noqa: E731
    return {"body": {"w": normal(4, 2), "b": normal(4)}, "head": Head(normal(1, 4), normal(1))}


def model(params, x):
    hidden = jnp.tanh(x @ params["body"]["w"].T + params["body"]["b"])
    return (hidden @ params["head"].w.T + params["head"].b)[:, 0]


def tasks(num=3):
    rng = np.random.default_rng(1)
    points = lambda: tl.RegressionPoints(  # noqa: E731
        jnp.asarray(rng.normal(size=(num, 5, 2))), jnp.asarray(rng.normal(size=(num, 5)))
    )
    return tl.Batch(points(), points())


SUPPORT = jax.tree.map(lambda x: x[0], tasks().support)


def by_hand(params, sizes, steps):
    """Descent with a step size for every array, written out."""
    for _ in range(steps):
        grads = jax.grad(lambda p: SUPPORT.loss(p, model))(params)
        params = jax.tree.map(lambda w, a, g: w - a * g, params, sizes, grads)
    return params


def assert_same(got, wanted):
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13), got, wanted)


@pytest.mark.parametrize("name", sorted(set(RULES) - {"anil"}))
def test_every_rule_starts_at_maml_on_a_network(name):
    params = network()
    rule = tl.make_rule(name, params, 0.1, 2)
    got = tl.autodiff.adapt(params, SUPPORT, rule, model)
    assert_same(got, by_hand(params, jax.tree.map(lambda _: 0.1, params), 2))
    _, grads = tl.autodiff.outer_value_and_grad(params, tasks(), rule, model)
    assert jax.tree.structure(grads) == jax.tree.structure(params)
    if name == "reptile":
        adapted = jax.vmap(lambda s: tl.autodiff.adapt(params, s, rule, model))(tasks().support)
        assert_same(grads, jax.tree.map(lambda w, a: w - a.mean(0), params, adapted))


def test_meta_sgd_has_a_step_size_for_every_array():
    params = network()
    sizes = {"body": {"w": 0.2, "b": jnp.arange(4) / 10}, "head": Head(jnp.full((1, 4), 0.1), 0.3)}
    got = tl.autodiff.adapt(params, SUPPORT, tl.MetaSGD(sizes, 2), model)
    assert_same(got, by_hand(params, sizes, 2))


@pytest.mark.parametrize("wrapped", [False, True])
def test_meta_sgd_has_step_sizes_for_every_step(wrapped):
    params = network()
    sizes = {"body": {"w": [0.2, 0.0, 0.5], "b": np.arange(12).reshape(3, 4) / 30}}
    sizes["head"] = Head(np.arange(12).reshape(3, 1, 4) / 40, [0.3, 0.1, 0.4])
    sizes = jax.tree.map(jnp.asarray, sizes, is_leaf=lambda x: isinstance(x, list))
    rule = tl.MetaSGD(sizes, 3, per_step=True)
    if wrapped:
        part = tl.MetaSGD(tuple(jax.tree.leaves(sizes)), 3, per_step=True)
        rule = tl.ANIL(rule=part, layers=("body", "head"))
    wanted = params
    for step in range(3):
        wanted = by_hand(wanted, jax.tree.map(lambda a, t=step: a[t], sizes), 1)
    assert_same(tl.autodiff.adapt(params, SUPPORT, rule, model), wanted)
    assert not rule.linear
    assert rule.affine


@pytest.mark.parametrize("per_layer", [False, True])
def test_one_step_with_step_sizes_of_its_own_has_the_closed_forms(per_layer):
    params = tl.init(jax.random.key(0), (2, 3, 2))
    law = tl.LinearRegression(2, outputs=2, noise_std=0.2)
    rule = tl.MetaSGD.identity(params, 0.1, 1, per_step=True, per_layer=per_layer)
    want = tl.closed_form.outer_value_and_grad(params, law, tl.MAML(0.1))
    assert_same(tl.closed_form.outer_value_and_grad(params, law, rule), want)
    with pytest.raises(tl.NoClosedFormError, match="the same at every step, not for MetaSGD"):
        tl.closed_form.outer_loss(params, law, tl.MetaSGD.identity(params, 0.1, 2, per_step=True))


@pytest.mark.parametrize(
    ("layers", "moving"),
    [
        (("head",), {"body": {"w": 0.0, "b": 0.0}, "head": Head(0.1, 0.1)}),
        (("head/b", "body/w"), {"body": {"w": 0.1, "b": 0.0}, "head": Head(0.0, 0.1)}),
        ((0,), {"body": {"w": 0.1, "b": 0.1}, "head": Head(0.0, 0.0)}),
        ((-1,), {"body": {"w": 0.0, "b": 0.0}, "head": Head(0.1, 0.1)}),
    ],
)
def test_anil_adapts_the_part_that_is_named(layers, moving):
    params = network()
    wanted = by_hand(params, moving, 2)
    plain, wrapped = tl.ANIL(0.1, 2, layers=layers), tl.ANIL(rule=tl.MAML(0.1, 2), layers=layers)
    for rule in (plain, wrapped):
        assert rule.steps == 2
        assert_same(tl.autodiff.adapt(params, SUPPORT, rule, model), wanted)


def test_anil_lets_any_rule_adapt_its_part():
    """Meta-KFO on the head whose factors adapt too, against the same rule with the body held."""
    params = network()
    factors = tuple(
        (jnp.eye(m) + 0.1 * jnp.ones((m, m)), jnp.eye(n) - 0.2) for m, n in ((1, 4), (1, 1))
    )
    inner = tl.MetaKFO(factors, 0.1, 3, adapt_transform=True)
    rule = tl.ANIL(rule=inner, layers=("head",))
    assert not rule.linear
    held = lambda head, x: model({"body": params["body"], "head": head}, x)  # noqa: E731
    wanted = tl.autodiff.adapt(params["head"], SUPPORT, inner, held)
    got = tl.autodiff.adapt(params, SUPPORT, rule, model)
    assert_same(got["head"], wanted)
    assert_same(got["body"], params["body"])
    slopes = jax.grad(tl.autodiff.outer_loss, argnums=2)(params, tasks(), rule, model)
    assert all(float(jnp.max(jnp.abs(f))) > 1e-6 for f in jax.tree.leaves(slopes.rule.factors))


def test_a_wrapped_rule_has_the_closed_forms_of_its_kind():
    params = tl.init(jax.random.key(0), (2, 3, 1))
    law = tl.LinearRegression(dim=2, noise_std=0.2)
    plain = tl.closed_form.outer_value_and_grad(params, law, tl.ANIL(0.1))
    wrapped = tl.ANIL(rule=tl.MAML(0.1))
    assert_same(tl.closed_form.outer_value_and_grad(params, law, wrapped), plain)
    assert tl.closed_form.route(params, law, wrapped).name == "layered nodes"
    first = tl.ANIL(rule=tl.FOMAML(0.1))
    assert first.first_order
    assert first.replace(steps=3).rule.steps == first.replace(steps=3).steps == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tl.ANIL(), "step_size must be"),
        (lambda: tl.ANIL(0.1, rule=tl.MAML(0.1)), "step_size must be None where rule is given"),
        (lambda: tl.ANIL(rule=0.1), "rule must be a Rule"),
        (lambda: tl.ANIL(rule=tl.Reptile(0.1)), "outer direction is a gradient, got Reptile"),
        (lambda: tl.ANIL(rule=tl.MAML(0.1, 3), steps=2), "steps is that of rule, 3"),
        (
            lambda: tl.ANIL(0.1).check(network()),
            "needs params that are a tuple of layers, got dict",
        ),
        (
            lambda: tl.ANIL(0.1, layers=("tail",)).check(network()),
            "params, which holds body/b, body/w, head/w, head/b; got 'tail'",
        ),
        (lambda: tl.ANIL(0.1, layers=(2,)).check(network()), "layers must name entries of params"),
        (lambda: tl.MetaSGD(0.1).check(network()), "step_sizes must have the structure of params"),
        (
            lambda: tl.MetaSGD((jnp.ones((2, 3)),), 3, per_step=True).check((jnp.ones((2, 3)),)),
            r"must be of shape \(3, 2, 3\) or \(3,\), a step each, got shape \(2, 3\)",
        ),
        (lambda: tl.MetaSGD((0.1,), 2, per_step=True).check((jnp.ones((2, 3)),)), "a step each"),
        (
            lambda: tl.MetaSGD((jnp.ones(2),), 2).check((jnp.ones((1, 1)),)),
            "of that shape or one number, got",
        ),
        (lambda: tl.MetaSGD((0.1,), 0, per_step=True), "steps must be an integer of at least 1"),
        (lambda: tl.make_rule("meta-sgd", (jnp.ones((1, 1)),), 0.1, 0, per_step=True), "steps"),
        (lambda: tl.make_rule("meta-sgd", (jnp.ones((1, 1)),), 0.1, per_step=1), "per_step must"),
        (lambda: tl.make_rule("meta-sgd", (jnp.ones((1, 1)),), 0.1, per_layer=1), "per_layer must"),
        (
            lambda: tl.MetaKFO.identity({"kernel": jnp.ones((2, 2, 2))}, 0.1),
            r"params\['kernel'\] has shape \(2, 2, 2\); this rule takes biases, matrices and",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
