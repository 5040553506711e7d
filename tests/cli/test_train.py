"""``toylin train`` on toy tasks: where a run goes, and what of the settings it keeps."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import run_command

import toylin as tl
from toylin.cli._training_tasks import training_of
from toylin.tasks import LAWS


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def trained(monkeypatch, capsys):
    """Train for two iterations; the name of the file that the command says it wrote."""

    def trained(*flags):
        words = ["train", "--num-steps", "2", "--num-tasks", "2", *flags]
        code, out, err = run_command(monkeypatch, capsys, *words)
        assert code == 0, err
        return out.partition("wrote ")[2].partition("\n")[0]

    return trained


def test_by_default_no_run_is_lost(trained, monkeypatch, capsys):
    assert trained("--rule", "meta-kfo", "--depth", "1") == "runs/meta-kfo-depth1.npz"
    assert trained() == "runs/maml-depth2.npz"
    assert trained("--step-size", "0.3") == "runs/maml-depth2-2.npz"
    assert trained("--seed", "1") == "runs/maml-depth2-3.npz"
    flags = ("--tasks", "classification", "--model", "mlp", "--depth", "1")
    assert trained(*flags) == "runs/classification-mlp-maml-depth1.npz"
    sizes = [tl.load_run(f"runs/maml-depth2{n}.npz").settings["step_size"] for n in ("", "-2")]
    assert sizes == [0.1, 0.3]
    _, out, _ = run_command(monkeypatch, capsys, "runs", "runs")
    listed = [line.split()[0] for line in out.splitlines()[1:]]
    assert listed[-4:] == ["maml-depth2", "maml-depth2-2", "maml-depth2-3", "meta-kfo-depth1"]


def test_a_picture_of_ones_own_is_not_written_over(trained, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "maml-depth2.png").write_text("mine")
    assert trained() == "runs/maml-depth2-2.npz"
    assert (tmp_path / "runs" / "maml-depth2.png").read_text() == "mine"


def test_a_name_gets_the_suffix_by_which_it_is_found(trained, monkeypatch, capsys, tmp_path):
    for given in ("runs/a", "runs/lr0.1", "runs/b.txt", "runs/c.npz"):
        assert trained("--out", given) == given.removesuffix(".npz") + ".npz"
    _, out, _ = run_command(monkeypatch, capsys, "runs", "runs")
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["a", "b.txt", "c", "lr0.1"]
    assert (tmp_path / "runs" / "lr0.1.png").exists()
    assert trained("--out", "runs/a", "--seed", "3") == "runs/a.npz"  # named: replaced
    assert tl.load_run("runs/a.npz").settings["seed"] == 3
    assert trained("--out", "runs") == "runs/maml-depth2.npz"  # a folder: a new one in it
    words = ("train", "--num-steps", "2", "--json", "--out", "runs/d")
    assert json.loads(run_command(monkeypatch, capsys, *words)[1])["run"] == "runs/d.npz"


@pytest.fixture
def stopped(monkeypatch, capsys):
    """Train, and press Ctrl-C after three iterations; what is said on standard error."""

    def three(loss, start, optimizer, num_steps, key, **more):
        run = tl.meta_train(loss, start, optimizer, 3, key, **more)
        return dataclasses.replace(run, interrupted=True)

    def stopped(*flags):
        with monkeypatch.context() as patch:
            patch.setattr("toylin.cli.train.meta_train", three)
            words = ["train", "--num-steps", "40", "--num-tasks", "2", *flags]
            code, _, err = run_command(patch, capsys, *words)
        assert code == 130
        return err

    return stopped


def test_a_run_that_is_stopped_takes_no_finished_ones_place(trained, stopped):
    trained("--out", "lr0.1")
    files = {name: Path(name).read_bytes() for name in ("lr0.1.npz", "lr0.1.png")}
    for given, new in (("lr0.1", "lr0.1-interrupted"), ("lr0.1.npz", "lr0.1-interrupted-2")):
        said = f"stopped after 3 meta-iterations, which are saved in {new}.npz; "
        assert said + "lr0.1.npz is left as it was\n" in stopped("--out", given)
        assert len(tl.load_run(f"{new}.npz").loss) == 3
        assert Path(f"{new}.png").stat().st_size > 0
    assert {name: Path(name).read_bytes() for name in files} == files
    # Where nothing is there, and in a folder, it has the name that it would have had.
    assert "which are saved in new.npz\n" in stopped("--out", "new")
    assert "which are saved in maml-depth2.npz\n" in stopped("--out", ".")
    assert "which are saved in runs/maml-depth2.npz\n" in stopped()


def test_a_run_that_is_stopped_says_so_for_good(trained, stopped, monkeypatch, capsys):
    stopped()
    settings = tl.load_run("runs/maml-depth2.npz").settings
    assert (settings["num_steps"], settings["num_steps_done"]) == (40, 3)
    assert training_of(settings).tasks.shots == 10
    assert "num_steps_done" not in tl.load_run(trained("--seed", "1")).settings
    _, out, _ = run_command(monkeypatch, capsys, "runs", "runs")
    first, second = out.splitlines()[1:]
    assert ("3 of 40" in first, " of " in second) == (True, False)
    assert first.endswith("too few records")


@pytest.mark.parametrize(
    "stated", [{"theta_mean": 3.0}, {"theta_cov": 4.0, "x_cov": 0.5, "noise_std": 0.3}]
)
def test_regression_is_trained_on_kept_and_read_again(stated, trained, monkeypatch, capsys):
    """A start that is held has sampled losses around the exact one of the tasks stated."""
    said = [word for n, v in stated.items() for word in (f"--{n.replace('_', '-')}", str(v))]
    flags = ("--dim", "2", "--depth", "1", "--learning-rate", "0", *said)
    run = tl.load_run(trained(*flags, "--num-tasks", "200", "--num-steps", "40"))
    law = tl.LinearRegression(dim=2, shots=10, **stated)
    assert repr(training_of(run.settings).tasks) == repr(law)
    exact = tl.ExactLoss(law, tl.MAML(0.1))
    error = np.std(run.loss) / np.sqrt(len(run.loss))
    assert abs(np.mean(run.loss) - exact(run.params)) < 4 * error
    assert error < 0.05 * exact(run.params)
    trained("--dim", "2", "--depth", "1")
    _, out, _ = run_command(monkeypatch, capsys, "runs", "runs")
    head, first, second = out.splitlines()
    for name, value in stated.items():
        assert name in head
        assert (str(value) in first, str(value) in second.split()) == (True, False)


@pytest.mark.parametrize("name", list(LAWS))
def test_every_law_of_the_registry_is_trained_on(name, trained):
    run = tl.load_run(trained("--tasks", name, "--dim", "2", "--x-cov", "0.5"))
    want = LAWS[name](dim=2, x_cov=0.5, shots=10)
    assert repr(training_of(run.settings).tasks) == repr(want)
    assert run.params[-1].shape[0] == want.outputs
