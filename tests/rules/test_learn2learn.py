"""Every rule against learn2learn: its answers, computed by itself in float64, replayed."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl
from toylin.tasks import Batch, BinaryPoints, RegressionPoints

CASES = json.loads((Path(__file__).parents[1] / "data" / "learn2learn.json").read_text())["cases"]
DATA = {"regression": RegressionPoints, "logistic": BinaryPoints}
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


def matrices(values):
    return tuple(jnp.asarray(v) for v in values)


def pairs(values):
    flat = matrices(values)
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def rule_of(case):
    """The rule of a case, and the name of the field that it learns."""
    step_size, steps, learned = case["step_size"], case["steps"], case["rule"]
    match case["algorithm"]:
        case "maml":
            return tl.MAML(step_size, steps), None
        case "fomaml":
            return tl.FOMAML(step_size, steps), None
        case "anil":
            return tl.ANIL(step_size, steps), None
        case "meta_sgd":
            return tl.MetaSGD(matrices(learned["step_sizes"]), steps), "step_sizes"
        case "meta_curvature":
            return tl.MetaCurvature(pairs(learned["factors"]), step_size, steps), "factors"
        case "meta_kfo":
            return tl.MetaKFO(pairs(learned["factors"]), step_size, steps, psd=True), "factors"
        case "meta_kfo_adapt":
            factors = pairs(learned["factors"])
            return (
                tl.MetaKFO(factors, step_size, steps, psd=True, adapt_transform=True),
                "factors",
            )
    raise AssertionError(f"no rule for {case['algorithm']}")


def batch_of(case):
    support, query = (
        DATA[case["kind"]](x=jnp.asarray(case[f"{s}_x"]), y=jnp.asarray(case[f"{s}_y"]))
        for s in ("support", "query")
    )
    truth = jnp.full((support.x.shape[0], support.x.shape[-1]), jnp.nan)
    return Batch(support, query, truth)


def close(got, wanted):
    got, wanted = jax.tree.leaves(got), jax.tree.leaves(wanted)
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, **TOLERANCE)


def name(case):
    return "-".join(
        [case["algorithm"], case["kind"], f"L{len(case['weights'])}", f"T{case['steps']}"]
    )


def by_autodiff(params, batch, rule):
    adapted = jax.vmap(lambda support: tl.autodiff.adapt(params, support, rule))(batch.support)
    loss = jax.value_and_grad(tl.autodiff.outer_loss, argnums=(0, 2))
    return adapted, *loss(params, batch, rule)


def by_formula(params, batch, rule):
    adapted = jax.vmap(lambda support: tl.closed_form.adapt(params, support, rule))(batch.support)
    value, rule_grad = jax.value_and_grad(tl.closed_form.outer_loss, argnums=2)(params, batch, rule)
    return adapted, value, (tl.closed_form.outer_grad(params, batch, rule), rule_grad)


def test_every_case_is_there():
    assert len(CASES) == len({name(case) for case in CASES}) == 84


@pytest.mark.parametrize("case", CASES, ids=name)
def test_replays_learn2learn(case):
    rule, field = rule_of(case)
    routes = [by_autodiff]
    if case["kind"] == "regression" and rule.linear:
        routes.append(by_formula)
    problem = matrices(case["weights"]), batch_of(case), rule
    with jax.disable_jit():  # no two cases share a program, and each would run once
        found = [route(*problem) for route in routes]
    for adapted, loss, (grads, rule_grads) in found:
        for task, wanted in enumerate(case["adapted_weights"]):
            close([w[task] for w in adapted], matrices(wanted))
        close(loss, jnp.asarray(case["outer_loss"]))
        close(grads, matrices(case["grad_weights"]))
        close(getattr(rule_grads, field) if field else (), matrices(case["grad_rule"]))
