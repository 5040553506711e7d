"""The table of routes: what is chosen, what is refused, one check a call, one pass for both."""

from __future__ import annotations

import inspect
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl
from toylin.closed_form import ROUTES
from toylin.rules import _problem


def params_of(*widths):
    return tl.init(jax.random.key(3), widths)


def regression(**options):
    return tl.LinearRegression(theta_mean=0.4, noise_std=0.3, **options)


# For every route, arguments that it serves.
SERVED = {
    "quadratic form": (params_of(3, 1), regression(dim=3, shots=4), tl.MAML(0.1)),
    "Gaussian moments": (params_of(3, 2, 1), regression(dim=3), tl.FOMAML(0.1)),
    "binary quadrature": (params_of(2, 1, 1), tl.BinaryClassification(dim=2), tl.MAML(0.3)),
    "scalar nodes": (params_of(1, 1, 1), regression(shots=3), tl.MAML(0.1, 2)),
    "layered nodes": (params_of(2, 2, 2, 1), regression(dim=2), tl.Reptile(0.1)),
    "scalar batch": (
        params_of(1, 1, 1),
        regression(shots=3).sample(jax.random.key(0), 4, 2),
        tl.ANIL(0.1, 3),
    ),
    "layered batch": (
        params_of(2, 3, 1),
        tl.BinaryClassification(dim=2, shots=3).sample(jax.random.key(0), 4, 2),
        tl.MAML(0.1, 3),
    ),
}


@cache
def values_of(name):
    """Value and gradient of a route, each alone, and JAX's derivative, from one program."""
    params, tasks, rule = SERVED[name]

    both = tl.closed_form.outer_value_and_grad

    @jax.jit
    def everything(params, tasks, rule):
        return (
            both(params, tasks, rule),
            tl.closed_form.outer_loss(params, tasks, rule),
            tl.closed_form.outer_grad(params, tasks, rule),
            jax.grad(lambda p: both(p, tasks, rule)[0])(params),
        )

    return everything(params, tasks, rule)


def test_every_route_has_its_arguments_here():
    assert [route.name for route in ROUTES] == list(SERVED)


def test_both_routes_have_the_same_functions_with_the_same_signatures():
    own = {"ROUTES", "Route", "route"}
    assert set(tl.closed_form.__all__) - own == set(tl.autodiff.__all__)
    assert "outer_value_and_grad" in tl.autodiff.__all__
    for name in tl.autodiff.__all__:
        ours, theirs = (
            [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()]
            for f in (getattr(tl.closed_form, name), getattr(tl.autodiff, name))
        )
        assert ours == theirs, name


@pytest.mark.parametrize("name", list(SERVED))
def test_a_route_says_its_name_and_gives_value_and_gradient(name):
    params, tasks, rule = SERVED[name]
    found = tl.closed_form.route(params, tasks, rule)
    assert found.name == name
    assert str(found).startswith(f"{name}: ")
    (value, grads), loss, outer_grad, slope = values_of(name)
    np.testing.assert_allclose(value, loss, rtol=1e-12, atol=0)
    for a, b in zip(grads, outer_grad, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    for a, b in zip(grads, slope, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "name", [n for n in SERVED if n not in ("quadratic form", "binary quadrature")]
)
def test_a_route_agrees_with_autodiff(name):
    params, tasks, rule = SERVED[name]
    value, grads = values_of(name)[0]
    wanted = tl.autodiff.outer_value_and_grad(params, tasks, rule)
    np.testing.assert_allclose(value, wanted[0], rtol=1e-11)
    for a, b in zip(grads, wanted[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["Gaussian moments", "layered nodes", "layered batch"])
def test_value_and_gradient_cost_one_pass(name):
    params, tasks, rule = SERVED[name]
    rule = tl.MAML(0.1, rule.steps)

    def work(function):
        cost = jax.jit(lambda p: function(p, tasks, rule)).lower(params).cost_analysis()
        return cost["flops"]

    grad, both, value = (
        work(getattr(tl.closed_form, f"outer_{f}")) for f in ("grad", "value_and_grad", "loss")
    )
    assert both < grad + 0.75 * value  # 1.0 is two passes; what is not shared is small


@pytest.mark.parametrize("function", ["outer_loss", "outer_grad", "outer_value_and_grad"])
@pytest.mark.parametrize("name", ["quadratic form", "scalar nodes", "layered nodes"])
def test_a_call_is_checked_once(name, function, monkeypatch):
    params, tasks, rule = SERVED[name]
    calls = []
    check = _problem.check_params
    monkeypatch.setattr(_problem, "check_params", lambda *a: calls.append(a) or check(*a))
    getattr(tl.closed_form, function)(params, tasks, rule)
    assert len(calls) == 1


def mlp(params, x):
    return jnp.tanh(x @ params[0].T) @ params[1][0]


class Own:
    """Somebody's data."""

    def __init__(self, x):
        self.x = x

    def loss(self, params, model):
        return jnp.mean(model(params, self.x) ** 2)


jax.tree_util.register_pytree_node(Own, lambda o: ((o.x,), None), lambda _, x: Own(*x))


class Odd(tl.MAML):
    """A linear rule whose outer direction is its own affair."""

    def outer_value(self, params, adapted, loss):
        return 2 * loss(adapted)


Odd = tl.pytree_dataclass(Odd)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((params_of(3, 2, 1), regression(dim=3, shots=4), tl.MAML(0.1)), "4 shots exist for dim=1"),
        ((params_of(3, 1), regression(dim=3), tl.AlphaMAML(0.1, 0.1)), "not for AlphaMAML"),
        ((params_of(3, 1), regression(dim=3), Odd(0.1)), "outer direction of Odd has no formula"),
        (
            (params_of(2, 2, 1), tl.BinaryClassification(dim=2), tl.MAML(0.1)),
            r"every width above the input 1 and MAML; got .*x_cov a number, widths=\(2, 2, 1\)",
        ),
        (
            (params_of(2, 1), tl.BinaryClassification(dim=2, x_cov=jnp.eye(2)), tl.MAML(0.1)),
            r"x_cov a matrix, widths=\(2, 1\)",
        ),
        (
            (params_of(2, 1), tl.BinaryClassification(dim=2), tl.Reptile(0.1)),
            "toylin.estimate",
        ),
        (
            (
                params_of(2, 1),
                tl.Batch(Own(jnp.ones((3, 4, 2))), Own(jnp.ones((3, 4, 2)))),
                tl.MAML(0.1),
            ),
            "support is .*same name in toylin.autodiff serves any data",
        ),
        ((params_of(2, 3, 1), regression(dim=2), tl.MAML(0.1), mlp), "not mlp; .*toylin.autodiff"),
        (
            (params_of(2, 2), tl.LinearRegression(dim=2, outputs=2, shots=5), tl.MAML(0.1, 2)),
            "exact nodes for 5 shots exist for dim=1 and outputs=1",
        ),
    ],
)
def test_what_no_route_serves_is_refused_with_what_does(arguments, message):
    functions = (tl.closed_form.route, tl.closed_form.outer_loss, tl.closed_form.outer_grad)
    for function in (*functions, tl.closed_form.outer_value_and_grad):
        with pytest.raises(tl.NoClosedFormError, match=message):
            function(*arguments)


def test_bad_arguments_are_named_at_the_door():
    tasks, rule = regression(), tl.MAML(0.1)
    for params, message in (
        (params_of(2, 1), "the data have dim=1 inputs"),
        (params_of(1, 2), "params must end in one output"),
        ((jnp.ones((1, 1), int),), "params"),
        ((jnp.ones((1, 1), complex),), "params"),
    ):
        with pytest.raises(ValueError, match=message):
            tl.closed_form.route(params, tasks, rule)
    with pytest.raises(ValueError, match="model must be a function"):
        tl.closed_form.outer_loss(params_of(1, 1), tasks, rule, "mlp")
    with pytest.raises(ValueError, match="nodes, more than MAX_NODES"):
        tl.closed_form.route(params_of(9, 2, 2, 1), regression(dim=9), tl.MAML(0.1, 2))


def test_the_choice_is_made_from_the_first_that_serves():
    """Special cases have cheaper routes than the general ones that serve them too."""
    params, tasks, rule = SERVED["Gaussian moments"]
    serving = [route.name for route in ROUTES if route.serves(params, tasks, rule)]
    assert serving == ["Gaussian moments", "layered nodes"]
    exact = [r for r in ROUTES if r.name in serving]
    values = [r.value_and_grad(params, tasks, rule, False) for r in exact]
    for a, b in zip(*map(jax.tree.leaves, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)
