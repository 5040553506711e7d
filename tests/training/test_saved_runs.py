"""Runs as files, and the command that writes them."""

from __future__ import annotations

import json
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner

import toylin as tl
from toylin.cli.train import command
from toylin.rules import RULES, make_rule

PARAMS = (jnp.array([[0.5, -1.0], [0.2, 0.3]]), jnp.array([[1.0, 2.0]]))
SETTINGS = {"step_size": 0.1, "steps": 2, "psd": False, "adapt_transform": True, "seed": 3}


def equal(got, wanted):
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, got, wanted)


@pytest.mark.parametrize(
    "rule",
    [
        *(make_rule(name, PARAMS, 0.1, 2) for name in RULES),
        make_rule("meta-kfo", PARAMS, 0.1, 2, psd=False, adapt_transform=True),
        tl.ANIL(0.1, layers=(0, -1)),
        tl.ANIL(rule=tl.MetaSGD.identity(PARAMS[-1:], 0.2)),
        tl.MAML(0.1, 3, first_order=True),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_a_saved_run_is_loaded_as_it_was(rule, tmp_path):
    rule = jax.tree.map(jnp.asarray, rule)
    path = tl.save_run(tmp_path / "new" / "run.npz", PARAMS, rule, jnp.arange(3.0), SETTINGS)
    run = tl.load_run(path)
    equal(run.params, PARAMS)
    equal(run.rule, rule)
    equal(run.loss, jnp.arange(3.0))
    assert run.settings == SETTINGS


class Layer(NamedTuple):
    w: jax.Array
    b: jax.Array


def test_parameters_may_be_any_tree_of_arrays(tmp_path):
    params = {
        "hidden": [Layer(jnp.ones((3, 2)), jnp.zeros(3)), (jnp.asarray(2.5),)],
        "out": {"w": jnp.arange(3, dtype=jnp.float32), "none": None, "0": ()},
    }
    path = tl.save_run(tmp_path / "run.npz", params, tl.MAML(0.1), jnp.zeros(2), {}, model=Layer)
    run = tl.load_run(path)
    wanted = {**params, "hidden": [params["hidden"][0]._asdict(), params["hidden"][1]]}
    equal(run.params, wanted)
    assert run.params["out"]["w"].dtype == jnp.float32
    assert run.model == "Layer"


@pytest.mark.parametrize("name", ["__init__", "GBML", "Rule", "make_rule", "os.system", "", None])
def test_a_file_names_no_rule_but_those_known(name, tmp_path):
    path = tl.save_run(tmp_path / "run.npz", PARAMS, tl.MAML(0.1), jnp.zeros(1), {})
    with np.load(path) as file:
        data = dict(file)
    about = json.loads(str(data["about"]))
    about["rule"]["kind"] = name
    np.savez(path, **(data | {"about": np.asarray(json.dumps(about))}))
    with pytest.raises(ValueError, match="path must be a run that save_run wrote"):
        tl.load_run(path)


def test_pickles_are_not_loaded(tmp_path):
    path = tmp_path / "run.npz"
    np.savez(path, about=np.array([{"rule": 1}], dtype=object))
    with pytest.raises(ValueError, match="path must be a run that save_run wrote"):
        tl.load_run(path)


def test_what_cannot_be_saved_or_loaded_says_so(tmp_path):
    path = tmp_path / "run.npz"
    with pytest.raises(ValueError, match=r"rule must be one that a file can hold.*GBML"):
        tl.save_run(path, PARAMS, tl.GBML((), 0.1, lambda _, g: g), jnp.zeros(1), {})
    for params in ({1: jnp.ones(2)}, (object(),), ("word",), {"a/b": jnp.ones(1), "a": {"b": 1.0}}):
        with pytest.raises(ValueError, match=r"params.* must"):
            tl.save_run(path, params, tl.MAML(0.1), jnp.zeros(1), {})
    with pytest.raises(ValueError, match="settings must be what JSON can hold"):
        tl.save_run(path, PARAMS, tl.MAML(0.1), jnp.zeros(1), {"key": object()})
    assert not path.exists()
    with pytest.raises(ValueError, match="path must be a run that save_run wrote"):
        tl.load_run(path)
    path.write_bytes(b"not a run")
    with pytest.raises(ValueError, match="path must be a run that save_run wrote"):
        tl.load_run(path)


@pytest.mark.parametrize("problem", ["regression", "classification"])
def test_train_learns_the_rule_and_writes_the_run(problem, tmp_path):
    out = tmp_path / "runs" / "kfo.npz"
    flags = f"--rule meta-kfo --depth 1 --dim 2 --num-steps 60 --tasks {problem} --seed 5"
    result = CliRunner().invoke(command, [*flags.split(), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert f"wrote {out}" in result.output
    assert out.with_suffix(".png").stat().st_size > 0
    run = tl.load_run(out)
    assert run.loss.shape == (60,)
    assert float(run.loss[-10:].mean()) < float(run.loss[:10].mean())
    assert run.settings["rule_learning_rate"] == run.settings["learning_rate"]
    assert float(jnp.abs(run.rule.factors[0][1] - jnp.eye(2)).max()) > 0.05


def test_maml_keeps_its_step_size_unless_asked(tmp_path):
    sizes = []
    for extra in ([], ["--rule-learning-rate", "0.05"]):
        out = tmp_path / f"maml{len(extra)}.npz"
        flags = ["--num-steps", "40", *extra, "--out", str(out)]
        assert CliRunner().invoke(command, flags).exit_code == 0
        sizes.append(float(tl.load_run(out).rule.step_size))
    assert sizes[0] == pytest.approx(0.1)
    assert abs(sizes[1] - 0.1) > 0.01
