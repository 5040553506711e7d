"""The registry: every rule by its name starts at MAML, and takes what it says and nothing else."""

from __future__ import annotations

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl
from toylin.rules import RULES, rule_options

PARAMS = tl.init(jax.random.key(2), (2, 3, 1))
BATCH = tl.LinearRegression(dim=2, noise_std=0.2, shots=4).sample(jax.random.key(0), 3, 4)


@pytest.mark.parametrize("name", list(RULES))
def test_every_rule_starts_at_maml(name):
    options = {"layers": (0, 1)} if name == "anil" else {}
    rule = tl.make_rule(name, PARAMS, 0.1, 2, **options)
    support = jax.tree.map(lambda x: x[0], BATCH.support)
    wanted = tl.closed_form.adapt(PARAMS, support, tl.MAML(0.1, 2))
    for got, want, start in zip(
        tl.autodiff.adapt(PARAMS, support, rule), wanted, PARAMS, strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
        assert float(jnp.max(jnp.abs(want - start))) > 1e-3


@pytest.mark.parametrize("name", list(RULES))
def test_all_start_by_the_same_signature(name):
    parameters = inspect.signature(RULES[name].identity).parameters.values()
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in positional] == ["params", "step_size", "steps"]
    assert positional[-1].default == 1
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in [*parameters][3:])


def test_names_are_those_of_their_classes():
    for name, kind in RULES.items():
        assert kind.__name__.lower() == name.replace("fomaml", "maml").replace("-", "")
        assert getattr(tl, kind.__name__) is kind


def test_options_reach_the_rule():
    assert tl.make_rule("fomaml", PARAMS, 0.1).first_order
    assert not tl.make_rule("maml", PARAMS, 0.1).first_order
    assert tl.make_rule("meta-sgd", PARAMS, 0.1, first_order=True).first_order
    assert tl.make_rule("meta-kfo", PARAMS, 0.1).psd
    assert not tl.make_rule("meta-kfo", PARAMS, 0.1, psd=False).psd
    assert tl.make_rule("meta-kfo", PARAMS, 0.1, adapt_transform=True).adapt_transform
    assert tl.make_rule("anil", PARAMS, 0.1, layers="body").layers == "body"
    assert tl.make_rule("alpha-maml", PARAMS, 0.1, hyper_step_size=0.3).hyper_step_size == 0.3
    per_layer = tl.make_rule("meta-sgd", PARAMS, 0.1, per_layer=True)
    assert [s.shape for s in per_layer.step_sizes] == [(), ()]
    per_step = tl.make_rule("meta-sgd", PARAMS, 0.1, 4, per_step=True)
    assert [s.shape for s in per_step.step_sizes] == [(4, 3, 2), (4, 1, 3)]
    seeds = [0, 1]
    first, second = (
        tl.make_rule("nonlinear-kfo", PARAMS, 0.1, hidden=5, key=jax.random.key(s)) for s in seeds
    )
    assert first.networks[0][0][0].shape == (5, 3)
    assert not np.allclose(first.networks[0][0][0], second.networks[0][0][0])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("maml", {"psd": True}, "maml takes first_order; got the option 'psd'"),
        ("fomaml", {"first_order": False}, "fomaml takes no options; got .*'first_order'"),
        ("reptile", {"first_order": True}, "reptile takes no options"),
        ("anil", {"hidden": 3}, "anil takes first_order, layers; got the option 'hidden'"),
        ("meta-curvature", {"psd": True}, "meta-curvature takes first_order; got"),
        ("MetaKFO", {}, "name must be one of maml, fomaml, .*got 'MetaKFO'"),
        ("meta-kfo", {"psd": 1}, "psd must be a bool"),
    ],
)
def test_what_does_not_apply_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        tl.make_rule(name, PARAMS, 0.1, **options)
    if name in RULES:
        assert set(options) - set(rule_options(name)) or "psd must" in message


def test_a_rule_of_ones_own_starts_by_its_fields():
    @tl.pytree_dataclass
    class Clipped(tl.Rule):
        step_size: float
        limit: float = 1.0
        steps: int = 1
        first_order: bool = False

        def update(self, grads):
            return jax.tree.map(lambda g: self.step_size * jnp.clip(g, -1, 1), grads)

    rule = Clipped.identity(PARAMS, 0.1, 3, limit=2.0)
    assert (rule.step_size, rule.steps, rule.limit) == (0.1, 3, 2.0)
