"""Properties of the adaptation rules: identities between them, derivatives, transforms, errors."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_cases import RULES, TASKS, assert_same, factors_of, gap, normals, params_of

import toylin as tl

seeds = st.integers(0, 2**31 - 1)
depths = st.sampled_from([1, 2, 3])
step_sizes = st.floats(-0.2, 0.3).filter(lambda a: abs(a) > 1e-3)
kinds = st.sampled_from(sorted(TASKS))


def untouched(_, grads):
    """A transform for GBML that leaves it MAML; one function, so that programs are shared."""
    return grads


SECOND_ORDER = sorted(set(RULES) - {"FOMAML", "Reptile"})


# Every rule at the setting at which it is MAML with step size ``a``.
IDENTITIES = {
    "ANIL of all layers": lambda p, a, t: tl.ANIL(a, t, layers=tuple(range(len(p)))),
    "MetaSGD": lambda p, a, t: tl.MetaSGD.identity(p, a, t),
    "AlphaMAML": lambda p, a, t: tl.AlphaMAML(a, 0.0, t),
    "MetaCurvature": lambda p, a, t: tl.MetaCurvature.identity(p, a, t),
    "MetaKFO psd": lambda p, a, t: tl.MetaKFO.identity(p, a, t, psd=True),
    "MetaKFO": lambda p, a, t: tl.MetaKFO.identity(p, a, t, psd=False),
    "NonlinearKFO": lambda p, a, t: tl.NonlinearKFO.identity(
        p, a, t, hidden=4, key=jax.random.key(7)
    ),
    "GBML": lambda p, a, t: tl.GBML((), a, untouched, t),
}


@jax.jit
def loss_and_grad(params, batch, rule):
    return jax.value_and_grad(tl.autodiff.outer_loss)(params, batch, rule)


@jax.jit
def adapted_by(params, support, rule):
    return tl.autodiff.adapt(params, support, rule)


all_adapted_by = jax.jit(jax.vmap(adapted_by, (None, 0, None)))


@pytest.mark.parametrize("name", sorted(IDENTITIES))
@given(seed=seeds, kind=kinds, step_size=step_sizes)
def test_every_rule_at_its_identity_setting_is_maml(name, seed, kind, step_size):
    params = params_of(seed, 2)
    batch = TASKS[kind].sample(jax.random.key(seed), 3, 4)
    rule = IDENTITIES[name](params, jnp.asarray(step_size), 2)
    wanted = loss_and_grad(params, batch, tl.MAML(jnp.asarray(step_size), 2))
    assert_same(loss_and_grad(params, batch, rule), wanted)
    assert gap(wanted[1], loss_and_grad(params, batch, tl.MAML(jnp.asarray(0.0), 2))[1]) > 1e-6


@given(seed=seeds, kind=kinds, step_size=step_sizes)
def test_anil_of_a_shallow_model_is_maml(seed, kind, step_size):
    params = params_of(seed, 1)
    batch = TASKS[kind].sample(jax.random.key(seed), 3, 4)
    got = loss_and_grad(params, batch, tl.ANIL(jnp.asarray(step_size), 2))
    assert_same(got, loss_and_grad(params, batch, tl.MAML(jnp.asarray(step_size), 2)))


@given(seed=seeds, kind=kinds, step_size=step_sizes)
def test_head_and_body_hold_the_other_layers(seed, kind, step_size):
    params = params_of(seed, 3)
    support = jax.tree.map(lambda x: x[0], TASKS[kind].sample(jax.random.key(seed), 1, 4).support)
    for layers, moving in (("head", {2}), ("body", {0, 1}), ((0, -1), {0, 2})):
        rule = tl.ANIL(jnp.asarray(step_size), 1, layers=layers)
        adapted = adapted_by(params, support, rule)
        moved = {i for i in range(3) if gap(adapted[i : i + 1], params[i : i + 1]) > 0}
        assert moved == moving


@given(seed=seeds, kind=kinds, step_size=step_sizes)
def test_psd_meta_kfo_is_meta_curvature_with_squared_factors(seed, kind, step_size):
    params = params_of(seed, 2)
    batch = TASKS[kind].sample(jax.random.key(seed), 3, 4)
    factors = factors_of(seed, params)
    squared = tuple((left.T @ left, right.T @ right) for left, right in factors)
    a = jnp.asarray(step_size)
    wanted = loss_and_grad(params, batch, tl.MetaCurvature(squared, a, 2))
    assert_same(loss_and_grad(params, batch, tl.MetaKFO(factors, a, 2, psd=True)), wanted)
    assert_same(loss_and_grad(params, batch, tl.MetaKFO(squared, a, 2, psd=False)), wanted)


@given(seed=seeds, kind=kinds, step_size=step_sizes)
def test_meta_curvature_is_a_warp_layer(seed, kind, step_size):
    """W = T V: descending V moves W by T T' G, and a held T below adds its own T' on the right."""
    (v,) = normals(seed, [(2, 3)])
    left, right = normals(seed + 1, [(2, 2), (3, 3)])
    (head,) = normals(seed + 2, [(1, 2)])
    support = jax.tree.map(lambda x: x[0], TASKS[kind].sample(jax.random.key(seed), 1, 4).support)
    a = jnp.asarray(step_size)
    warped = adapted_by((right, v, left, head), support, tl.ANIL(a, 2, layers=(1,)))
    w = left @ v @ right
    one = (jnp.zeros((1, 1)), jnp.zeros((2, 2)))  # the head is held
    rule = tl.MetaCurvature(((left @ left.T, right.T @ right), one), a, 2)
    adapted = adapted_by((w, head), support, rule)
    assert_same(adapted[0], left @ warped[1] @ right)
    assert gap(adapted, (w, head)) > 1e-6


@jax.jit
def along(h, direction, pair, batch):
    """Loss at ``pair + h direction``, its slope in ``h``, its gradient and, truncated, in params.

    The pair is of params and rule. One program a rule serves all steps h, and both tests below.
    """

    def loss(h, pair):
        params, rule = jax.tree.map(lambda x, d: x + h * d, pair, direction)
        return tl.autodiff.outer_loss(params, batch, rule)

    value, (slope, grads) = jax.value_and_grad(loss, argnums=(0, 1))(h, pair)
    params, rule = pair
    truncated = grads[0]
    if not isinstance(rule, tl.GBML | tl.Reptile):
        rule = rule.replace(first_order=True)
        truncated = jax.grad(tl.autodiff.outer_loss)(params, batch, rule)
    return value, slope, grads, truncated


def with_rule(name, seed, step_size):
    params = params_of(seed, 2)
    rule = RULES[name](params, step_size, 2)
    return jax.tree.map(lambda x: np.asarray(x, float), (params, rule))


@pytest.mark.parametrize("name", SECOND_ORDER)
@pytest.mark.parametrize("kind", sorted(TASKS))
def test_second_order_gradients_are_the_slopes_of_the_loss(name, kind):
    """Along random directions of (params, rule), against a central difference (error h^4)."""
    pair = with_rule(name, 11, 0.15)
    batch = TASKS[kind].sample(jax.random.key(3), 3, 4)
    rng = np.random.default_rng(5)
    direction = jax.tree.map(lambda x: rng.normal(size=x.shape), pair)
    loss = lambda h: along(h, direction, pair, batch)[0]  # noqa: E731
    h = 3e-4
    wanted = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)
    _, slope, grads, truncated = along(0.0, direction, pair, batch)
    products = jax.tree.map(np.vdot, grads, direction)
    np.testing.assert_allclose(sum(jax.tree.leaves(products)), wanted, rtol=1e-8)
    np.testing.assert_allclose(slope, wanted, rtol=1e-8)
    if not name.startswith("GBML"):
        assert gap(truncated, grads[0]) > 1e-4


@pytest.mark.parametrize("name", sorted(RULES))
def test_rules_pass_through_jit_vmap_and_grad(name):
    """Two rules in one program, which recomputes the inner steps, against each rule alone."""
    params, rule = with_rule(name, 21, 0.1)
    batch = TASKS["regression"].sample(jax.random.key(4), 3, 4)
    other = jax.tree.map(lambda x: 1.1 * x, rule)
    still = jax.tree.map(np.zeros_like, (params, rule))
    alone = [along(0.0, still, (params, r), batch)[::2] for r in (rule, other)]
    stacked = jax.tree.map(lambda x, y: np.stack([x, y]), rule, other)
    value = partial(jax.value_and_grad(tl.autodiff.outer_loss, argnums=(0, 2)), remat=True)
    together = jax.jit(jax.vmap(value, (None, None, 0)))(params, batch, stacked)
    assert_same(together, jax.tree.map(lambda *x: np.stack(x), *alone), rtol=1e-10)
    assert abs(alone[0][0] - alone[1][0]) > 1e-6
    leaves, structure = jax.tree.flatten(rule)
    assert_same(jax.tree.leaves(structure.unflatten(leaves)), leaves)


@given(seed=seeds, kind=kinds, step_size=step_sizes)
def test_reptile_points_from_the_adapted_to_the_start(seed, kind, step_size):
    params = params_of(seed, 2)
    batch = TASKS[kind].sample(jax.random.key(seed), 3, 4)
    rule = tl.Reptile(jnp.asarray(step_size), 2)
    loss, grads = loss_and_grad(params, batch, rule)
    adapted = all_adapted_by(params, batch.support, rule)
    assert_same(grads, tuple(w - jnp.mean(a, 0) for w, a in zip(params, adapted, strict=True)))
    assert_same(loss, loss_and_grad(params, batch, tl.MAML(rule.step_size, 2))[0])
    assert gap(grads, jax.tree.map(jnp.zeros_like, grads)) > 1e-6


@given(seed=seeds, kind=kinds, step_size=step_sizes)
def test_alpha_maml_moves_its_step_size_along_the_product_of_gradients(seed, kind, step_size):
    params = params_of(seed, 2)
    support = jax.tree.map(lambda x: x[0], TASKS[kind].sample(jax.random.key(seed), 1, 4).support)
    hyper = 0.05
    inner_grad = jax.jit(tl.autodiff.inner_grad)
    g0 = inner_grad(params, support)
    first = jax.tree.map(lambda w, g: w - step_size * g, params, g0)
    g1 = inner_grad(first, support)
    size = step_size + hyper * sum(jnp.vdot(a, b) for a, b in zip(g0, g1, strict=True))
    wanted = jax.tree.map(lambda w, g: w - size * g, first, g1)
    rule = tl.AlphaMAML(jnp.asarray(step_size), jnp.asarray(hyper))
    assert_same(adapted_by(params, support, rule), wanted)


def test_gbml_with_a_linear_transform_is_meta_kfo():
    params = params_of(31, 2)
    batch = TASKS["regression"].sample(jax.random.key(6), 3, 4)
    factors = factors_of(8, params)

    def transform(factors, grads):
        return tuple(
            left.T @ left @ g @ right.T @ right
            for (left, right), g in zip(factors, grads, strict=True)
        )

    for adapts in (False, True):
        kfo = tl.MetaKFO(factors, 0.1, 3, psd=True, adapt_transform=adapts)
        gbml = tl.GBML(factors, 0.1, transform, 3, adapt_transform=adapts)
        assert_same(loss_and_grad(params, batch, gbml), loss_and_grad(params, batch, kfo))


@given(seed=seeds, kind=kinds)
def test_added_layers_change_neither_function_nor_loss(seed, kind):
    params = params_of(seed, 2)
    x = normals(seed, [(5, 3)])[0]
    still = tl.MAML(jnp.asarray(0.1), 0)
    batch = TASKS[kind].sample(jax.random.key(seed), 3, 4)
    for position, width in enumerate((3, 2, 1)):
        deeper = tl.add_linear_layers(params, 2, position)
        assert [w.shape for w in deeper[position : position + 2]] == [(width, width)] * 2
        assert_same(tl.predict(deeper, x), tl.predict(params, x))
        values = [loss_and_grad(p, batch, still)[0] for p in (params, deeper)]
        assert_same(*values)
    with pytest.raises(ValueError, match="position must be at most 2"):
        tl.add_linear_layers(params, 1, 3)
