"""Rules that do not fit the parameters, or have no closed form, say so."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from rule_cases import RULES, TASKS, params_of

import toylin as tl


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: tl.ANIL(0.1, layers="tail"), "layers must be 'head', 'body' or a tuple"),
        (
            lambda p: tl.ANIL(0.1, layers=(2,)),
            "layers must name entries of params, which holds 0, 1",
        ),
        (lambda p: tl.ANIL(0.1, layers=()), "layers must be 'head'"),
        (lambda p: tl.ANIL(0.1, layers=(1, 1)), "a tuple of distinct indices"),
        (lambda p: tl.ANIL(0.1, layers=(1, -1)), "layers must name every entry once"),
        (lambda p: tl.ANIL(float("nan")), "step_size must be a finite number"),
        (lambda p: tl.Reptile(0.1, -1), "steps must be an integer of at least 0"),
        (lambda p: tl.AlphaMAML(0.1, float("inf")), "hyper_step_size must be a finite number"),
        (lambda p: tl.MetaSGD(0.1), "step_sizes must have the structure of params"),
        (lambda p: tl.MetaSGD(p[:1]), "step_sizes must have the structure of params"),
        (lambda p: tl.MetaSGD(p[::-1]), r"params\[0\]: it has shape \(2, 3\).*shape \(1, 2\)"),
        (lambda p: tl.MetaSGD((p[0] * jnp.nan, p[1])), r"step_sizes\[0\] must be finite"),
        (
            lambda p: tl.MetaKFO.identity((p[0], p[1].T), 0.1, psd=True),
            r"factors\[1\] must have shapes \(1, 1\), \(2, 2\) to fit params\[1\] of shape "
            r"\(1, 2\), got \(2, 2\), \(1, 1\)",
        ),
        (
            lambda p: tl.MetaCurvature.identity(p[:1], 0.1),
            "factors must have one entry for every.*has 2, the rule 1",
        ),
        (lambda p: tl.MetaCurvature(p, 0.1), "factors must be a tuple that holds"),
        (lambda p: tl.MetaKFO.identity(p, 0.1, psd=1), "psd must be a bool"),
        (
            lambda p: tl.NonlinearKFO.identity((p[0].T, p[1]), 0.1, hidden=4),
            r"left network of networks\[0\] must have shapes \(\(4, 2\).*got shapes \(\(4, 3\)",
        ),
        (lambda p: tl.GBML((), 0.1, "clip"), "transform must be a function"),
        (lambda p: tl.GBML((), 0.1, lambda _, g: g[:1]), "transform must return an update"),
        (lambda p: 0.1, "rule must be a Rule"),
    ],
)
@pytest.mark.parametrize("route", [tl.autodiff, tl.closed_form])
def test_bad_rules_are_named(make, message, route):
    params = params_of(0, 2)
    batch = TASKS["regression"].sample(jax.random.key(0), 2, 4)
    with pytest.raises(ValueError, match=message):
        route.outer_loss(params, batch, make(params))
    with pytest.raises(ValueError, match=message):
        route.adapt(params, jax.tree.map(lambda x: x[0], batch.support), make(params))


def test_the_body_of_a_shallow_model_is_an_error():
    with pytest.raises(ValueError, match="needs two layers at least"):
        tl.autodiff.outer_loss(
            params_of(0, 1),
            TASKS["regression"].sample(jax.random.key(0), 2, 4),
            tl.ANIL(0.1, layers="body"),
        )


@pytest.mark.parametrize(
    "name", ["AlphaMAML", "MetaKFO adapting", "MetaSGD per step", "NonlinearKFO", "GBML"]
)
def test_rules_without_a_closed_form_say_so(name):
    params = params_of(0, 2)
    rule = RULES[name](params, 0.1, 2)
    tasks = tl.LinearRegression(dim=3)
    for call in (
        lambda: tl.closed_form.outer_loss(params, tasks, rule),
        lambda: tl.closed_form.outer_grad(params, tasks.sample(jax.random.key(0), 2, 2), rule),
        lambda: tl.autodiff.outer_loss(params, tasks, rule),
    ):
        with pytest.raises(
            tl.NoClosedFormError, match=f"not for {type(rule).__name__}.*autodiff.outer_loss"
        ):
            call()
