"""Runs as files, and the command that writes them."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
import zipfile
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


def test_a_run_in_single_precision_is_used_as_it_was(tmp_path):
    """Its step size, a Python number, takes the type of the parameters; NumPy's keep their own."""
    start, tasks = jnp.ones((1, 1), jnp.float32), tl.LinearRegression(shots=2)
    for size in (0.1, np.float32(0.1)):
        rule = tl.MAML(size, np.int64(2))
        swapped = np.asarray(start).astype(">f4")
        run = tl.load_run(tl.save_run(tmp_path / "run.npz", (swapped,), rule, [1.0], {}))
        assert run.params[0].dtype == jnp.float32
        got = tl.closed_form.outer_loss(run.params, tasks, run.rule)
        assert got == tl.closed_form.outer_loss((start,), tasks, rule)
        assert got.dtype == jnp.float32
    with pytest.raises(ValueError, match="NUL"):
        tl.save_run(tmp_path / "run.npz", {"a\0b": start}, rule, [1.0], {})


def test_which_iterations_are_recorded_is_kept(tmp_path):
    which = np.arange(0, 30, 10)
    path = tl.save_run(tmp_path / "run.npz", PARAMS, tl.MAML(0.1), jnp.ones(3), {}, iteration=which)
    axes = tl.load_run(path).plot()
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), which)
    with pytest.raises(ValueError, match="iteration must hold an integer for each of 3 records"):
        tl.save_run(path, PARAMS, tl.MAML(0.1), jnp.ones(3), {}, iteration=which[:2])


def test_losses_of_a_run_that_diverged_are_kept(tmp_path):
    loss = np.array([1.0, np.inf, np.nan])
    path = tl.save_run(tmp_path / "run.npz", PARAMS, tl.MAML(0.1), loss, {})
    np.testing.assert_array_equal(tl.load_run(path).loss, loss)


def test_what_was_measured_is_kept(tmp_path):
    run = PARAMS, tl.MAML(0.1), jnp.ones(3), {}
    found = {"test_accuracy": jnp.float32(0.5), "seconds": 3}
    path = tl.save_run(tmp_path / "run.npz", *run, results=found)
    assert tl.load_run(path).results == {"test_accuracy": 0.5, "seconds": 3.0}
    assert tl.load_run(tl.save_run(tmp_path / "none.npz", *run)).results == {}
    for bad in ({"a": "b"}, {"a": [1.0]}, {"a": float("nan")}, 3, [("a", 1.0)]):
        with pytest.raises(ValueError, match="results"):
            tl.save_run(path, *run, results=bad)


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


def npz(path, **entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)


def header(shape, dtype="<f8"):
    file = io.BytesIO()
    about = {"shape": shape, "fortran_order": False, "descr": dtype}
    np.lib.format.write_array_header_1_0(file, about)
    return file.getvalue()


def check_refused(path, words):
    tracemalloc.start()
    with pytest.raises(ValueError, match="path must be a run that save_run wrote") as raised:
        tl.load_run(path)
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    tracemalloc.stop()
    assert str(path) in str(raised.value)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_is_read_no_further_than_it_is_large(tmp_path):
    path = tmp_path / "run.npz"
    npz(path, loss=header((2**40,)))  # claims 8 TB
    check_refused(path, "'loss' in it is damaged")
    npz(path, loss=header((2**25,)) + bytes(2**28))  # packed a thousandfold
    assert path.stat().st_size < 2**20
    check_refused(path, "it would unpack to 268,435,584 bytes")
    for dtype in ("|O", "<U0"):
        npz(path, loss=header((2**40,), dtype))
        check_refused(path, "'loss' in it is damaged")
    for text in ("[" * 100_000, "{", "{}", "3", '{"params": [], "rule": 1}'):
        npz_of_text = io.BytesIO()
        np.save(npz_of_text, np.asarray(text))
        npz(path, about=npz_of_text.getvalue())
        check_refused(path, "it says nothing")


def test_what_compresses_well_is_loaded_all_the_same(tmp_path):
    zeros = jnp.zeros(2**24, jnp.float32)  # as large as may be unpacked, and some more
    path = tl.save_run(tmp_path / "run.npz", zeros, tl.MAML(0.1), jnp.zeros(3), {})
    assert tl.load_run(path).params.shape == zeros.shape


def test_every_damage_of_a_run_is_named(tmp_path):
    path = tl.save_run(tmp_path / "run.npz", PARAMS, tl.MAML(0.1), jnp.arange(9.0), SETTINGS)
    whole = path.read_bytes()
    step = 1 if os.environ.get("TOYLIN_TESTS") == "thorough" else 37
    for place in range(0, len(whole), step):
        for damaged in (whole[:place], whole[:place] + b"\x00" + whole[place + 1 :]):
            path.write_bytes(damaged)
            try:
                run = tl.load_run(path)
            except ValueError as error:
                words = str(error)
            else:  # a time stamp, a version that nobody reads
                words = f"got {str(path)!r}"
                equal(run.params, PARAMS)
                equal(run.loss, jnp.arange(9.0))
            assert words.startswith("path must be") or words.startswith("got")
            assert "\n" not in words


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
