"""Runs as files, and the command that writes them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner

import toylin as tl
from toylin.cli.train import RULES, command

PARAMS = (jnp.array([[0.5, -1.0], [0.2, 0.3]]), jnp.array([[1.0, 2.0]]))
SETTINGS = {"step_size": 0.1, "steps": 2, "psd": False, "adapt_transform": True, "seed": 3}


def equal(got, wanted):
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, got, wanted)


@pytest.mark.parametrize(
    "rule",
    [
        *(make(PARAMS, SETTINGS) for make in RULES.values()),
        tl.ANIL(0.1, layers=(0, -1)),
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


def test_what_cannot_be_saved_or_loaded_says_so(tmp_path):
    path = tmp_path / "run.npz"
    with pytest.raises(ValueError, match=r"rule must be one that a file can hold.*GBML"):
        tl.save_run(path, PARAMS, tl.GBML((), 0.1, lambda _, g: g), jnp.zeros(1), {})
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
    flags = f"--rule meta-kfo --depth 1 --dim 2 --iterations 60 --problem {problem} --seed 5"
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
        flags = ["--iterations", "40", *extra, "--out", str(out)]
        assert CliRunner().invoke(command, flags).exit_code == 0
        sizes.append(float(tl.load_run(out).rule.step_size))
    assert sizes[0] == pytest.approx(0.1)
    assert abs(sizes[1] - 0.1) > 0.01
