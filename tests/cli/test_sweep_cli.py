"""The commands ``toylin sweep`` and ``toylin plot sweep``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from helpers import run_command

import toylin as tl
from toylin.cli import cli
from toylin.sweeps import _config as config

CONFIG = """
num_steps = 10
seeds = 2
[tasks]
kind = "regression"
noise_std = 0.1
[rule]
step_size = 0.2
[optimizer]
name = "sgd"
learning_rate = 0.05
momentum = 0.5
[over]
depth = [1, 2]
shots = [5, "population"]
[over.schedule]
theta_mean = "0:1:3"
scale = "0.1:10:3:log"
"""


def toylin(*args, **kwargs):
    program = [sys.executable, "-c", "from toylin.cli import main; main()", *map(str, args)]
    return subprocess.run(program, capture_output=True, text=True, check=False, **kwargs)


def test_a_file_and_flags_say_what_python_says(tmp_path):
    (tmp_path / "question.toml").write_text(CONFIG)
    store = tmp_path / "runs.zarr"
    done = toylin(
        "sweep", tmp_path / "question.toml", "--set", "num_steps=20", "--set", "noise_std=0.3",
        "--over", "step_size=0.1,0.4", "--store", store,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"wrote {store}" in done.stdout
    assert done.stdout.splitlines()[-1] == f"next: toylin plot sweep {store}"
    assert "48/48" in done.stderr
    want = tl.sweep(
        tl.LinearRegression(noise_std=0.3),
        tl.MAML(0.2),
        optimizer=tl.Optimizer("sgd", 0.05, {"momentum": 0.5}),
        over={
            "depth": [1, 2],
            "shots": [5, None],
            "schedule": {"theta_mean": [0.0, 0.5, 1.0], "scale": [0.1, 1.0, 10.0]},
            "step_size": [0.1, 0.4],
        },
        num_steps=20,
        seeds=2,
    )
    got = tl.open_store(store)
    assert got.final_loss.dims == want.final_loss.dims
    np.testing.assert_allclose(got.final_loss, want.final_loss, rtol=1e-9)
    plotted = CliRunner().invoke(cli, ["plot", "sweep", str(store), "--out", str(tmp_path)])
    assert plotted.exit_code == 0, plotted.output
    store = store.rename(tmp_path / "of another name")
    astray = CliRunner().invoke(cli, ["plot", str(store)])
    assert f"did you mean toylin plot sweep '{store}'?" in astray.output
    with np.load(tmp_path / "sweep.npz") as file:
        data = dict(file)
    assert data["final_loss"].shape == (2, 2)
    np.testing.assert_array_equal(data["x"], [0.1, 0.4])
    assert bool(want.diverged.any())
    final = want.final_loss.where(~want.diverged, np.inf).median(["shots", "schedule", "seed"])
    final = final.transpose("depth", "step_size")
    np.testing.assert_allclose(data["final_loss"], final, rtol=5e-8)  # eight digits are stored


def test_dry_run_writes_nothing(tmp_path):
    store = tmp_path / "runs.zarr"
    done = toylin(
        "sweep", "--over", "step_size=0:1:50", "--set", "seeds=20", "--store", store, "--dry-run"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1,000 runs in 1 chunks")
    assert not store.exists()


def test_ctrl_c_stops_after_the_chunk_and_resumes(tmp_path):
    store = tmp_path / "runs.zarr"
    args = ["sweep", "--over", "step_size=0:1:64", "--set", "seeds=64", "--set", "num_steps=400"]
    args += ["--store", str(store), "--memory", "600kB"]
    program = [sys.executable, "-c", "from toylin.cli import main; main()", *args]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    while not list(store.glob(".checksums/*[0-9]")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    errors = ""
    while f"the same command resumes in {store}" not in errors:
        errors += process.stderr.readline()
    process.send_signal(signal.SIGINT)  # as it ends, once more: it crashed
    errors += process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in errors
    share = float(tl.open_store(store).computed.mean())
    assert 0 < share < 1
    assert not list(store.rglob("*.partial"))
    assert toylin(*args).returncode == 0
    assert bool(tl.open_store(store).computed.all())


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["sweep"], "nothing to sweep"),
        (["sweep", "missing.toml"], "config must be a file, got 'missing.toml'"),
        (
            ["sweep", "deepth"],
            "config must be a TOML file, or the word depth, got 'deepth'; did",
        ),
        (["sweep", "--over", "depth=1", "--set", "num_step=2"], "did you mean num_steps?"),
        (["sweep", "--over", "tasks.noise=1", "--store", "a"], "did you mean noise_std?"),
        (["sweep", "--over", "step_size"], "--over must be NAME=VALUE"),
        (["sweep", "--over", "step_size=0:1"], "step_size must be values 'a,b,c' or a range"),
        (["sweep", "--over", "depth=1", "--set", "colour=red"], "a setting must be one of"),
        (["sweep", "--over", "depth=1"], "give --store"),
        (["sweep", "depth", "--dry-run"], "takes no settings"),
        (["plot", "sweep", "nowhere"], "store must be a folder written by a sweep"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, args, words):
    from toylin.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["toylin", *args])
    monkeypatch.setattr("toylin.cli.sweep._devices", lambda devices: None)
    errors: list[str] = []
    monkeypatch.setattr("click.echo", lambda text, err=False: errors.append(text))
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code in (1, 2)
    assert len(errors) == 1
    assert words in errors[0]
    assert "\n" not in errors[0]
    assert not os.listdir(tmp_path)


def test_a_store_may_have_the_name_of_a_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / ".zgroup").touch()
    _, _, err = run_command(monkeypatch, capsys, "plot", "sweep", "nowhere")
    assert "store must be a folder written by a sweep" in err


def test_values():
    assert config.parse_values("step_size", "1,2.5,population,20-20-1,true,word") == [
        1, 2.5, None, (20, 20, 1), True, "word",
    ]  # fmt: skip
    np.testing.assert_allclose(
        config.parse_values("step_size", "0.01:100:5:log"), 10.0 ** np.arange(-2, 3)
    )
    assert config.parse_values("step_size", "-1:1:3").tolist() == [-1.0, 0.0, 1.0]
    assert config.parse_value("seeds", 2**63 - 1) == 2**63 - 1
    with pytest.raises(ValueError, match=r"seeds must hold integers below 2\*\*63"):
        config.parse_value("seeds", 2**63)


def test_rules_go_by_the_names_of_the_registry():
    tables = {"rule": {"kind": "meta-kfo", "step_size": "0.2"}, "over": {"depth": "1,2"}}
    config.put_setting(tables, "psd", "false")
    config.put_setting(tables, "model.widths", "2-3-1")
    asked = config.arguments(tables)
    params = (jnp.ones((1, 2)),)
    got, want = asked["rule"].make(params), tl.MetaKFO.identity(params, 0.2, psd=False)
    assert jax.tree.structure(got) == jax.tree.structure(want)
    jax.tree.map(np.testing.assert_array_equal, got, want)
    assert asked["model"].widths == (2, 3, 1)
    assert config.arguments({"model": {"widths": [2, 3, 1]}})["model"].widths == (2, 3, 1)
    unsaid = config.arguments({})["rule"]
    assert (unsaid.name, unsaid.step_size, unsaid.steps) == ("maml", 0.1, 1)  # as of tl.sweep


def test_laws_go_by_the_names_of_the_registry():
    tables = {"tasks": {"kind": "classification", "classes": 4}}
    config.put_setting(tables, "mean_std", "0.5")
    law = config.arguments(tables)["tasks"]
    assert repr(law) == repr(tl.Classification(classes=4, mean_std=0.5))
    assert repr(config.arguments({})["tasks"]) == repr(tl.LinearRegression())


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"rule": {"kind": "MetaKFO"}}, r"kind in \[rule\] must be one of maml, .*got 'MetaKFO'"),
        ({"rule": {"kind": "maml", "psd": True}}, r"\[rule\] must hold kind, .*got 'psd'"),
        ({"rule": "maml"}, r"config must hold rule as a table, \[rule\], got 'maml'"),
        ({"over": "x"}, r"config must hold over as a table"),
        (
            {"tasks": {"kind": "LinearRegression"}},
            r"kind in \[tasks\] must be one of regression, .*got 'LinearRegression'",
        ),
        ({"tasks": {"kind": "classification", "noise_std": 0.1}}, r"\[tasks\] must hold kind, dim"),
        ({"optimizer": 3}, r"config must hold optimizer as a table"),
        ({"model": {"widths": -1}}, r"widths must be"),
        ({"colour": 1}, r"got 'colour'"),
    ],
)
def test_what_a_file_may_not_say(tables, words):
    with pytest.raises(ValueError, match=words):
        config.arguments(tables)
