"""The parts of a sweep's runs: options put into them, what shares a program, how runs are split."""

from __future__ import annotations

import os
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import toylin as tl
from toylin._internal.errors import StoreError
from toylin.sweeps import _run, _store
from toylin.sweeps._chunks import Chunk
from toylin.sweeps._plan import Plan, make_plan
from toylin.sweeps._problem import NamedRule, Problem, Sizes, put

RECIPE = {
    "num_steps": 1,
    "record_every": 1,
    "loss": "exact",
    "test_tasks": 10,
    "learn_rule": False,
    "tolerance": 1e-6,
    "dtype": None,
}


def problem(tasks: tl.LinearRegression | None = None) -> Problem:
    sgd = tl.Optimizer("sgd", 0.1, {"momentum": 0.5})
    tasks = tasks or tl.LinearRegression(noise_std=0.2)
    return Problem(tasks, NamedRule("meta-kfo"), tl.DeepLinear(depth=1), sgd, Sizes())


def plan_of(base: Problem, seeds: int = 5) -> Plan:
    return make_plan({}, base, seeds, RECIPE)


def test_an_option_goes_into_the_part_that_has_it():
    changed = put(put(problem(), "optimizer", "momentum", 0.7), "rule", "psd", False)
    assert changed.optimizer.options == {"momentum": 0.7}
    assert changed.rule.options == {"psd": False}


def test_a_rule_by_name_may_take_no_step():
    assert NamedRule("meta-kfo", steps=0).make((np.ones((1, 2)),)).steps == 0
    with pytest.raises(ValueError, match="steps must be"):
        NamedRule("meta-kfo", steps=-1)


@pytest.mark.parametrize(("dim", "outputs"), [(1, 1), (2, 1), (1, 2), (2, 2), (3, 3)])
def test_shots_are_a_number_for_tasks_of_one_number_alone(dim, outputs):
    plan = plan_of(problem(tl.LinearRegression(dim=dim, outputs=outputs)))
    assert plan.tabulated == (dim == outputs == 1)


def test_a_loss_of_nothing_has_not_diverged():
    """From zero, one step of size 1 on a quadratic of curvature 1 is at its minimum, exactly."""
    shallow, tasks = tl.DeepLinear(depth=1, scale=0.0), tl.LinearRegression(noise_std=0.0)
    ds = tl.sweep(tasks, tl.MAML(1.0), over={}, model=shallow, num_steps=1)
    assert float(ds.final_loss) == float(ds.converged_at) == 0
    assert ds.diverged.dtype == bool
    assert not ds.diverged


@pytest.mark.parametrize(("devices", "want"), [(1, 5), (2, 6), (3, 6), (8, 8)])
def test_runs_are_filled_up_to_as_many_on_every_device(devices, want, monkeypatch):
    plan, found = plan_of(problem()), []
    monkeypatch.setattr(_run, "_place", lambda value, *_: value)
    monkeypatch.setattr(_run, "run_chunk", lambda inputs, *_, **__: found.append(inputs))
    mesh = SimpleNamespace(devices=np.empty(devices))
    _run.compute(plan, Chunk((0,), (5,)), (5,), mesh)
    assert found[0].seed.tolist() == [0, 1, 2, 3, 4, *[4] * (want - 5)]
    assert all(np.shape(leaf) in ((), (want,)) for leaf in jax.tree.leaves(found[0]))


def test_who_writes_is_named_and_who_wrote_is_not(tmp_path):
    (tmp_path / ".lock").write_text("process 12345678 on a machine of a long name", "utf-8")
    with _store._lock(tmp_path):
        here = f"process {os.getpid()} on {os.uname().nodename}"
        with pytest.raises(StoreError) as found:
            _store._lock(tmp_path)
    assert str(found.value).endswith(f"is being written by {here}")
