"""Rules on linear models of several outputs, networks and convolutions, against learn2learn.

Its answers, computed by itself in float64, are replayed through ``autodiff``; the networks
are written here.
"""

from __future__ import annotations

import gzip
import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl

FILE = Path(__file__).parents[1] / "data" / "learn2learn_models.json.gz"
CASES = json.loads(gzip.decompress(FILE.read_bytes()))["cases"]
FACTORS = {1: 1, 2: 2, 4: 3}  # of Meta-Curvature, by the number of axes


def mlp(params, x):
    w1, b1, w2, b2 = params
    return jnp.tanh(x @ w1.T + b1) @ w2.T + b2


def conv(params, x):
    kernel, b1, w, b2 = params
    maps = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID") + b1[:, None, None]
    return jnp.tanh(maps).mean((2, 3)) @ w.T + b2


MODELS = {"mlp": mlp, "conv": conv}
DATA = {"regression": tl.RegressionPoints, "softmax": partial(tl.ClassPoints, classes=3)}


def arrays(values):
    return tuple(jnp.asarray(v) for v in values)


def grouped(values, sizes):
    """A flat list of factors as one tuple for every parameter."""
    factors = iter(arrays(values))
    return tuple(tuple(next(factors) for _ in range(n)) for n in sizes)


def rule_of(case):
    """The rule of a case, and how to find what it learns in its gradient."""
    step_size, steps, learned = case["step_size"], case["steps"], case["rule"]
    head = (-1,) if case["model"].startswith("linear") else (-2, -1)
    pairs = [2] * (len(learned.get("factors", ())) // 2)
    match case["algorithm"]:
        case "maml":
            return tl.MAML(step_size, steps), lambda rule: ()
        case "fomaml":
            return tl.FOMAML(step_size, steps), lambda rule: ()
        case "anil":
            return tl.ANIL(step_size, steps, layers=head), lambda rule: ()
        case "meta_sgd":
            return tl.MetaSGD(arrays(learned["step_sizes"]), steps), lambda rule: rule.step_sizes
        case "meta_curvature":
            sizes = [FACTORS[np.ndim(p)] for p in case["params"]]
            factors = grouped(learned["factors"], sizes)
            return tl.MetaCurvature(factors, step_size, steps), lambda rule: rule.factors
        case "anil_meta_kfo_adapt":
            factors = grouped(learned["factors"], pairs)
            inner = tl.MetaKFO(factors, step_size, steps, adapt_transform=True)
            return tl.ANIL(rule=inner, layers=head), lambda rule: rule.rule.factors
    factors = grouped(learned["factors"], pairs)
    options = {
        "meta_kfo": {},
        "meta_kfo_plain": {"psd": False},
        "meta_kfo_adapt": {"adapt_transform": True},
    }[case["algorithm"]]
    return tl.MetaKFO(factors, step_size, steps, **options), lambda rule: rule.factors


def replay(params, batch, rule, model):
    """Loss, adapted parameters and gradients."""

    def loss(params, rule):
        adapted = jax.vmap(lambda s: tl.autodiff.adapt(params, s, rule, model))(batch.support)
        losses = jax.vmap(lambda q, w: q.loss(w, model))(batch.query, adapted)
        return jnp.mean(losses), adapted

    with jax.disable_jit():  # no two cases share a program, and each would run once
        return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, rule)


def close(got, wanted):
    got = jax.tree.leaves(got)
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def name(case):
    return "-".join(str(case[key]) for key in ("algorithm", "model", "kind", "steps"))


def test_every_case_is_there():
    assert len(CASES) == len({name(case) for case in CASES}) == 180


@pytest.mark.parametrize("case", CASES, ids=name)
def test_replays_learn2learn(case):
    rule, learned = rule_of(case)
    data = DATA[case["kind"]]
    batch = tl.Batch(
        *(
            data(jnp.asarray(case[f"{part}_x"]), jnp.asarray(case[f"{part}_y"]))
            for part in ("support", "query")
        )
    )
    model = MODELS.get(case["model"], tl.predict)
    (loss, adapted), (grads, rule_grads) = replay(arrays(case["params"]), batch, rule, model)
    for task, wanted in enumerate(case["adapted_params"]):
        close([w[task] for w in adapted], wanted)
    close(loss, [case["outer_loss"]])
    close(grads, case["grad_params"])
    close(learned(rule_grads), case["grad_rule"])
