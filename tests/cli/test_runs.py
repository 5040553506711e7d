"""``toylin runs``: what it lists, what it skips, what it draws; and a page that is opened."""

from __future__ import annotations

import webbrowser

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from click.testing import CliRunner
from helpers import run_command
from matplotlib.colors import to_rgba

import toylin as tl
from toylin.cli.train import command as train
from toylin.limits import LEVELS, levels_reached, reference_losses
from toylin.training import differing_settings, load_runs, loss_ends, plot_together

SETTINGS = {
    "tasks": "regression", "dim": 1, "shots": 10, "noise_std": None, "rule": "maml", "depth": 1,
}  # fmt: skip


def save(path, loss, learned=None, depth=1, **settings):
    params = (jnp.zeros((1, 1)),) * depth
    about = SETTINGS | {"depth": depth} | settings
    return tl.save_run(path, params, learned or tl.MAML(0.1), np.asarray(loss), about)


def rows(out):
    """Each line as a list of columns, which two spaces part."""
    return [[part.strip() for part in line.split("  ") if part.strip()] for line in out.split("\n")]


def test_runs_are_listed_with_what_differs_and_what_they_reached(monkeypatch, capsys, tmp_path):
    # The floors at 10 shots, variance 1 and step 0.1, by hand: without adaptation E[theta^2] / 2;
    # of one layer E[(1 - 0.1 s)^2] / 2 with s the mean of 10 squares, E[s] = 1, Var[s] = 0.2.
    floor = (1 - 0.2 + 0.01 * 1.2) / 2
    falling = np.linspace(0.9, floor, 400)
    save(tmp_path / "a.npz", falling)
    save(tmp_path / "b.npz", [0.9] * 5 + [0.48] * 45, shots=None)
    save(tmp_path / "c.npz", np.full(50, 0.45), tl.Reptile(0.1), 2, rule="reptile")
    (tmp_path / "d.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:300])
    code, out, err = run_command(monkeypatch, capsys, "runs", str(tmp_path))
    assert code == 0
    head, *listed = rows(out)[:-1]
    assert head == ["run", "shots", "rule", "depth", "first loss", "last loss", "at or below"]
    assert listed[0][:4] == ["a", "10", "maml", "1"]
    ends = falling[:40].mean(), falling[-40:].mean()
    assert [float(x) for x in listed[0][4:6]] == pytest.approx(ends, rel=1e-3)
    assert listed[0][6] == "no adaptation"
    assert listed[1] == ["b", "population", "maml", "1", "0.9", "0.48", "no adaptation"]
    reached = "no adaptation (shallow floor, deep floor: n/a)"  # floors are MAML's
    assert listed[2] == ["c", "10", "reptile", "2", "0.45", "0.45", reached]
    assert err.count("\n") == 1
    assert "d.npz" in err


def test_a_level_that_a_run_cannot_be_held_against_is_not_missed_by_it(
    monkeypatch, capsys, tmp_path
):
    """In four dimensions two layers have no floor in closed form; with classes there is none."""
    floor = 4 * (1 - 0.2 + 0.01 * (1 + 5 / 10)) / 2
    save(tmp_path / "deep.npz", np.full(50, 0.9 * floor), depth=2, dim=4)
    save(tmp_path / "high.npz", np.full(50, 9.0), depth=2, dim=4)
    save(tmp_path / "other.npz", np.full(50, 0.3), tasks="classification", dim=4)
    _, out, _ = run_command(monkeypatch, capsys, "runs", str(tmp_path))
    last = [row[-1] for row in rows(out)[1:-1]]
    assert last == ["no adaptation, shallow floor (deep floor: n/a)", "none (deep floor: n/a)", "-"]


def test_a_run_that_was_stopped_shows_what_it_did(monkeypatch, capsys, tmp_path):
    stopped = {"num_steps": 300_000, "num_steps_done": 1}
    save(tmp_path / "a.npz", [0.02], **stopped)
    head, only = rows(run_command(monkeypatch, capsys, "runs", str(tmp_path))[1])[:2]
    assert head == ["run", "num_steps", "first loss", "last loss", "at or below"]
    assert only == ["a", "1 of 300000", "0.02", "0.02", "too few records"]
    save(tmp_path / "b.npz", [0.02], **stopped, seed=1)
    save(tmp_path / "c.npz", np.full(50, 0.45), num_steps=50, seed=2)
    save(tmp_path / "d.npz", np.full(49, 0.45), num_steps=49, seed=2)
    head, *listed = rows(run_command(monkeypatch, capsys, "runs", str(tmp_path))[1])[:-1]
    assert "num_steps_done" not in head
    column = head.index("num_steps")
    assert [row[column] for row in listed] == ["1 of 300000"] * 2 + ["50", "49"]
    few = "too few records"
    assert [row[-1] for row in listed] == [few, few, "no adaptation", few]
    drawn = []
    monkeypatch.setattr("toylin.cli.runs.plot_together", lambda runs, *_, **__: drawn.append(runs))
    run_command(monkeypatch, capsys, "runs", str(tmp_path), "--plot", str(tmp_path / "all.png"))
    assert next(iter(drawn[0])) == "a (num_steps 1 of 300000)"


def test_what_was_measured_on_unseen_tasks_is_listed(monkeypatch, capsys, tmp_path):
    run = (jnp.zeros((1, 1)),), tl.MAML(0.1), np.ones(3), SETTINGS
    measured = {"test_accuracy": 0.61254, "test_accuracy_stderr": 0.00421}
    tl.save_run(tmp_path / "a.npz", *run, results=measured)
    tl.save_run(tmp_path / "b.npz", *run)
    tl.save_run(tmp_path / "c.npz", *run, results={"test_accuracy": 0.5})
    code, out, _ = run_command(monkeypatch, capsys, "runs", str(tmp_path))
    assert code == 0
    head, *listed = rows(out)[:-1]
    column = head.index("test accuracy")
    assert [row[column] for row in listed] == ["0.6125 +- 0.0042", "-", "0.5"]
    assert "test loss" not in head


def test_a_level_is_reached_from_above():
    levels = {"no adaptation": 0.5, "shallow floor": 0.4, "Bayes": 0.0}
    for loss, wanted in ((0.51, 0), (0.504, 1), (0.406, 1), (0.404, 2), (0.006, 2), (0.004, 3)):
        assert levels_reached(loss, levels) == list(levels)[:wanted]
    assert levels_reached(0.51, levels, error=0.003) == ["no adaptation"]
    assert levels_reached(np.nan, levels) == []
    assert levels_reached(0.1, {}) == []


@pytest.mark.parametrize("step_size", [10.0, 1e200])
def test_a_floor_far_above_all_levels_brings_none_of_them_nearer(step_size):
    """One layer does worse by that step than by none: 90.5, or beyond floats."""
    levels = reference_losses(tl.LinearRegression(shots=2), tl.MAML(step_size))
    assert levels["shallow floor"] > 90
    assert levels_reached(0.504, levels) == ["shallow floor", "no adaptation"]


def test_the_ends_of_a_loss_and_their_error():
    rng = np.random.default_rng(0)
    loss = np.concatenate([np.full(900, 2.0), rng.normal(1.0, 0.3, 100)])
    ends = loss_ends(loss)
    assert ends.first == 2.0
    assert ends.last == pytest.approx(loss[900:].mean())
    assert ends.error == pytest.approx(0.3 / 10, rel=0.2)
    assert loss_ends([3.0]) == (3.0, 3.0, 0.0, 1)
    assert loss_ends(np.arange(20.0)) == (0.5, 18.5, 0.5, 2)
    assert ends.records == 100
    assert np.isnan(loss_ends([]).last)
    assert loss_ends([]).records == 0


def test_a_folder_without_runs_says_so(monkeypatch, capsys, tmp_path):
    for folder, words in ((tmp_path, "folder must hold a saved"), (tmp_path / "no", "be a folder")):
        code, out, err = run_command(monkeypatch, capsys, "runs", str(folder))
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert words in err
    assert load_runs(tmp_path) == ({}, {})
    assert differing_settings({}) == {}


def test_runs_are_drawn_together_and_told_apart(monkeypatch, capsys, tmp_path):
    for name, depth in (("one", 1), ("other", 1), ("two", 2), ("three", 3)):
        save(tmp_path / f"{name}.npz", np.geomspace(0.9, 0.3, 100), depth=depth)
    runs, damaged = load_runs(tmp_path)
    assert damaged == {}
    ax = plot_together(runs, references={"Bayes": 0.2})
    drawn = [line for line in ax.get_lines() if line.get_label() in runs]
    assert len({(to_rgba(line.get_color()), line.get_linestyle()) for line in drawn}) == 4
    assert sum(to_rgba(line.get_color()) == (0, 0, 0, 1) for line in drawn) == 2
    assert [text.get_text() for text in ax.texts] == ["Bayes"]
    plt.close(ax.figure)
    drawn = {}
    monkeypatch.setattr(
        "toylin.cli.runs.plot_together",
        lambda *args, **options: [plot_together(*args, **options), drawn.update(options)],
    )
    picture = tmp_path / "new" / "together.svg"
    code, out, _ = run_command(monkeypatch, capsys, "runs", str(tmp_path), "--plot", str(picture))
    assert code == 0
    assert f"wrote {picture}" in out
    words = picture.read_text()
    assert all(f">{n} (depth {len(run.params)})<" in words for n, run in runs.items())
    assert list(drawn["references"]) == list(LEVELS)
    code, _, err = run_command(monkeypatch, capsys, "runs", str(tmp_path), "--plot", "a.txt")
    assert code == 2
    assert "--plot must end in .png, .svg or .pdf, got 'a.txt'" in err


def test_a_curve_under_another_is_seen(tmp_path):
    """Of runs with one loss the later is drawn above the earlier, and is narrower."""
    for k in range(6):
        save(tmp_path / f"{k}.npz", np.geomspace(0.9, 0.3, 50), depth=2)
    lines = plot_together(load_runs(tmp_path)[0]).get_lines()
    widths = [line.get_linewidth() for line in lines]
    assert [line.get_label() for line in lines] == list("012345")
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 6
    plt.close("all")


def test_a_picture_has_the_floors_of_the_runs_that_have_them(monkeypatch, capsys, tmp_path):
    """They are MAML's: another rule beside it says nothing against them, another MAML does."""
    drawn = []
    monkeypatch.setattr(
        "toylin.cli.runs.plot_together",
        lambda runs, *args, references: drawn.append((list(runs), list(references))),
    )
    loss, learned = np.geomspace(0.9, 0.3, 20), tl.MetaSGD.identity((jnp.zeros((1, 1)),), 0.1)
    save(tmp_path / "maml-depth2.npz", loss, depth=2, seed=0, rate=0)
    save(tmp_path / "b.npz", loss, learned, rule="meta-sgd", seed=3, rate=1)
    flags = ("runs", str(tmp_path), "--plot", str(tmp_path / "a.png"))
    assert run_command(monkeypatch, capsys, *flags)[0] == 0
    labels, levels = drawn[-1]
    # One setting tells two runs apart, and what a name says is not said again.
    assert labels == ["b (meta-sgd)", "maml-depth2"]
    floors = ["shallow floor, MAML", "deep floor, MAML"]
    assert levels == ["no adaptation", *floors, "Bayes"]
    save(tmp_path / "c.npz", loss, tl.MAML(0.2), depth=2)
    assert run_command(monkeypatch, capsys, *flags)[0] == 0
    # The shallow floor has moved with the step; deep weights make up for it.
    assert drawn[-1][1] == ["no adaptation", "deep floor, MAML", "Bayes"]
    save(tmp_path / "d.npz", loss, tasks="classification")
    assert run_command(monkeypatch, capsys, *flags)[0] == 0
    assert drawn[-1][1] == []


def test_train_names_a_next_command_that_runs(monkeypatch, capsys, tmp_path):
    out = tmp_path / "my runs" / "run.npz"
    result = CliRunner().invoke(train, ["--num-steps", "20", "--out", str(out)])
    assert result.stdout.splitlines()[-1] == f"next: toylin runs '{out.parent}'"
    assert result.stderr == ""  # no terminal, no progress
    assert run_command(monkeypatch, capsys, "runs", str(out.parent))[0] == 0


@pytest.mark.parametrize("opens", [True, False, webbrowser.Error("none")])
def test_the_page_is_opened_or_its_address_told(monkeypatch, capsys, tmp_path, opens):
    asked = []

    def answer(address):
        asked.append(address)
        if isinstance(opens, Exception):
            raise opens
        return opens

    monkeypatch.setattr("webbrowser.open", answer)
    out = tmp_path / "a page.html"
    code, printed, err = run_command(monkeypatch, capsys, "explore", "--open", "--out", str(out))
    assert asked == [out.as_uri()]
    assert f"wrote {out}" in printed
    if opens is True:
        assert (code, err) == (0, "")
    else:
        assert code == 1
        assert err == f"toylin: no browser could be opened; open {out.as_uri()} in one\n"
