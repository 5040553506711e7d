"""What decides the numbers is described exactly: another function is another sweep."""

from __future__ import annotations

import functools
import math
import os
import subprocess
import sys
import threading
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toylin as tl
from toylin.sweeps._code import UNDESCRIBED, describe_code
from toylin.sweeps._describe import describe, difference

LEVEL = 0.1
LOCK = threading.Lock()


def small(store, rule, **changes):
    settings = {"over": {"theta_mean": [0.0, 1.0]}, "num_steps": 2} | changes
    return tl.sweep(tl.LinearRegression(), rule, store=store, **settings)


def scaled(params):
    return LEVEL * params[0]


def outer(params):
    return scaled(params) + 1


def closed(level):
    return lambda params: level * params[0]


def default(level):
    def function(params, *, by=level):
        return by * params[0]

    return function


def importing(name):
    code = f"def function(params):\n    import {name}\n    return {name}.factor * params[0]\n"
    place: dict = {}
    exec(code, place)
    return place["function"]


def rule_class(factor, base=tl.Rule):
    @tl.pytree_dataclass
    class Mine(base):
        step_size: float = 0.1

        def update(self, params, grads, step):
            return jax.tree.map(lambda g: factor * g, grads)

    return Mine


PAIRS = {
    "constants": (lambda p: 0.1 * p[0], lambda p: 0.7 * p[0]),
    "operations": (lambda p: 0.1 * p[0], lambda p: 0.1 + p[0]),
    "closures": (closed(0.1), closed(0.7)),
    "defaults": (default(0.1), default(0.7)),
    "arrays": (closed(jnp.ones(3)), closed(jnp.zeros(3))),
    "keys": (closed(jax.random.key(0)), closed(jax.random.key(1))),
    "partials": (functools.partial(closed, 0.1), functools.partial(closed, 0.7)),
    "inner functions": (closed(closed(0.1)), closed(closed(0.7))),
    "compiled": (jax.jit(closed(0.1)), jax.jit(closed(0.7))),
    "derivatives of one's own": (jax.custom_jvp(closed(0.1)), jax.custom_jvp(closed(0.7))),
    "libraries' closures": (optax.adam(0.1).update, optax.adam(0.7).update),
    "names": (lambda p: jnp.sin(p), lambda p: jnp.cos(p)),
    "methods": (rule_class(0.1), rule_class(0.7)),
    "bases": (rule_class(1, rule_class(0.1)), rule_class(1, rule_class(0.7))),
    "instances": (closed(types.SimpleNamespace(a=0.1)), closed(types.SimpleNamespace(a=0.7))),
    "generators": (closed(np.random.default_rng(0)), closed(np.random.default_rng(1))),
}


@pytest.mark.parametrize("name", PAIRS)
def test_other_code_is_described_otherwise(name):
    one, two = map(describe_code, PAIRS[name])
    assert one["name"] == two["name"]
    assert one["code"] != two["code"]


def test_what_code_refers_to_is_part_of_it(monkeypatch):
    before = describe_code(outer)
    monkeypatch.setattr(sys.modules[__name__], "LEVEL", 0.7)
    assert describe_code(outer) != before
    monkeypatch.undo()
    assert describe_code(outer) == before
    monkeypatch.setattr(sys.modules[__name__], "scaled", closed(0.1))
    assert describe_code(outer) != before


def test_modules_of_ones_own_are_part_of_it(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "of_my_own.py").write_text("factor, other = 0.1, 1")
    module = __import__("of_my_own")
    function = importing("of_my_own")
    before = describe_code(function)
    module.other = 2
    assert describe_code(function) == before
    module.factor = 0.7
    assert describe_code(function) != before


def test_equal_code_is_described_equally_in_every_process():
    program = (
        "from tests_code import PAIRS, describe_code\n"
        "print([describe_code(part) for pair in PAIRS.values() for part in pair])"
    ).replace("tests_code", "test_described_code")
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
        for path in [":".join([str(tl.__path__[0]) + "/..", __file__.rpartition("/")[0]])]
    }  # fmt: skip
    assert len(answers) == 1
    assert describe_code(closed(0.3)) == describe_code(closed(0.3))
    assert describe_code(rule_class(2)) == describe_code(rule_class(2))


def test_libraries_go_by_name():
    assert describe_code(tl.MAML) == "toylin.rules._maml.MAML"
    assert describe_code(jnp.sin) == "jax.numpy.sin"
    assert describe_code(math.sin) == "math.sin"


def test_what_has_no_description_is_refused_with_the_way_to_name_it(tmp_path):
    def rule(params):
        LOCK.locked()
        return tl.MAML(0.1)

    assert describe_code(rule)[UNDESCRIBED] == "a lock"
    small(None, rule)  # without a store nothing can be mixed up
    with pytest.raises(
        ValueError, match=r"rule.function, '.*rule', .* a lock.*store_name = 'mine-1'"
    ):
        small(tmp_path / "a.zarr", rule)
    assert not (tmp_path / "a.zarr").exists()
    rule.store_name = "mine-1"
    small(tmp_path / "a.zarr", rule)
    small(tmp_path / "a.zarr", rule)
    rule.store_name = "mine-2"
    with pytest.raises(ValueError, match="'mine-1' in the store and 'mine-2' in this sweep"):
        small(tmp_path / "a.zarr", rule)


def test_a_store_of_another_rule_is_refused(tmp_path):
    store = tmp_path / "a.zarr"
    first = small(store, lambda p: tl.MetaSGD.identity(p, 0.1)).load()
    with pytest.raises(ValueError, match=r"rule\.function\.code is '.*' in the store"):
        small(store, lambda p: tl.MetaSGD.identity(p, 0.7))
    assert small(store, lambda p: tl.MetaSGD.identity(p, 0.1)).load().equals(first)


def test_transforms_and_classes_are_compared():
    def described(transform):
        return describe(tl.GBML((), 0.1, transform))

    one, two = (lambda _, g: g), (lambda _, g: 2 * g)
    assert difference(described(one), described(lambda _, g: g)) is None
    assert "transform.code" in difference(described(one), described(two))
    assert "type.code" in difference(describe(rule_class(1)()), describe(rule_class(2)()))
    long = np.zeros(2000)
    assert "sha256" in difference(describe(long), describe(long + 1))


def test_the_first_difference_is_said_and_nan_is_none():
    nan, old = float("nan"), {"a": {"b": [1.0, 2.0]}, "c": 3}
    assert difference({"a": nan}, {"a": float("nan")}) is None
    assert difference({"a": nan}, {"a": 1.0}) == "a is nan in the store and 1.0 in this sweep"
    assert difference(old, old | {"a": {"b": [1.0, 2.5]}}).startswith("a.b[1] is 2.0 in the store")
    assert difference(old, {"a": old["a"]}) == "only the store has c"
    assert difference({"a": old["a"]}, old) == "only this sweep has c"
