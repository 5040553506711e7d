"""The command line: its numbers, its one-line errors, and files that survive a failure."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from helpers import run_command
from matplotlib.figure import Figure

import toylin as tl
from toylin.cli import cli
from toylin.figures import Plan

PROBLEM = [
    *("loss", "--weights", "0.7,-0.9", "--step-size", "0.1", "--steps", "1", "--theta-mean", "0.3"),
    *("--theta-cov", "1", "--x-cov", "1", "--noise-std", "0.2", "--shots", "5"),
]


def test_loss_prints_every_route_in_full_precision(monkeypatch, capsys):
    code, out, err = run_command(monkeypatch, capsys, *PROBLEM, "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["closed_form"] == pytest.approx(0.75743534058622645, rel=1e-12)
    assert answer["autodiff"] == pytest.approx(answer["closed_form"], rel=1e-12)
    assert answer["autodiff_grad"] == pytest.approx(answer["closed_form_grad"], rel=1e-12)
    assert 0 < answer["sampled_stderr"] < 0.01
    assert abs(answer["sampled"] - answer["closed_form"]) < 5 * answer["sampled_stderr"]
    for estimate, error, exact in zip(
        answer["sampled_grad"],
        answer["sampled_grad_stderr"],
        answer["closed_form_grad"],
        strict=True,
    ):
        assert abs(estimate - exact) < 5 * error
    assert not answer["tail_dominated"]
    assert answer["warning"] is None


def test_loss_warns_where_the_mean_is_carried_by_its_tail(monkeypatch, capsys):
    arguments = ["loss", "--weights", "0.7,-0.9,1.1", "--steps", "2", "--theta-mean", "0.3"]
    arguments += ["--noise-std", "0.2", "--shots", "5", "--num-tasks", "20000"]
    code, out, _ = run_command(monkeypatch, capsys, *arguments)
    assert code == 0
    assert "1050436.117320" in out
    assert "warning: the exact mean 1.05044e+06 is carried by rare outcomes" in out
    assert out.startswith(
        "f(x) = w3 w2 w1 x; tasks y = theta x + noise, theta ~ N(0.3, 1), x ~ N(0, 1), "
        "noise of std 0.2; 2 steps of 0.1 on 5 shots\n"
    )
    assert "done in" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "0.7,x"], "--weights.*separated by commas, got '0.7,x'"),
        (["--weights", "0.7,nan"], "--weights must be finite"),
        (["--weights", "0.7", "--shots", "-3"], "a positive integer or the word population"),
        (["--weights", "0.7", "--step-size", "inf"], "'--step-size': must be a finite number"),
        (["--weights", "0.7", "--theta-cov", "-1"], "'--theta-cov': must be a positive number"),
        (["--weights", "0.7", "--noise-std", "-1"], "noise_std must be a finite number of"),
        (["--weights", "0.7", "--steps", "-1"], "steps must be an integer of at least 0"),
        (["--weights", "1,1,1,1,1", "--steps", "5", "--shots", "3"], "needs 1.21e.09 nodes"),
        ([], "Missing option '--weights'"),
    ],
)  # fmt: skip
def test_a_bad_flag_is_one_readable_line(monkeypatch, capsys, arguments, message):
    code, out, err = run_command(monkeypatch, capsys, "loss", *arguments)
    assert code != 0
    assert out == ""
    assert err.count("\n") == 1
    assert re.search(message, err), err


COMMAS = "--weights must be numbers separated by commas"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train --alpha 0.5", "no option --alpha; did you mean --step-size? (see "),
        ("train --lr 0.5", "no option --lr; did you mean --learning-rate? (see "),
        ("loss --lr 0.5", "no option --lr; did you mean --step-size? (see "),
        ("train --stepsize=1", "no option --stepsize; did you mean --step-size? (see "),
        ("train --noise 1", "no option --noise; did you mean --noise-std? (see "),
        ("train --colour red", "no option --colour (see "),
        ("train -x", "no option -x (see "),
        ("trian", "no command 'trian'; did you mean train? (see "),
        ("quux", "no command 'quux' (see "),
        ("plot swep", "no command 'swep'; did you mean sweep? (see "),
        ("plot ./quux", "no command './quux' (see "),
        ("plot q.zarr", "no command 'q.zarr'; did you mean toylin plot sweep q.zarr? (see "),
        (
            "plot ./q.zarr --x depth",
            "no command './q.zarr'; did you mean toylin plot sweep ./q.zarr --x depth? (see ",
        ),
        ("loss --weights 0.7 -0.9", f"{COMMAS} alone, such as --weights 0.7,-0.9 (see "),
        ("loss --weights 0.7 -.9", f"{COMMAS} alone, such as"),
        ("check --weights 0.7, 0.9", "Invalid value for '--weights': must be numbers separated by"),
        ("check --weights 0.7 0.9 1", f"{COMMAS} alone, such as"),
        ("check --steps 2 two", "Got unexpected extra argument (two) (see "),
    ],
)
def test_a_mistake_is_told_what_was_meant(monkeypatch, capsys, command, said):
    code, out, err = run_command(monkeypatch, capsys, *command.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"toylin: {said}" in err


def test_arithmetic_that_fails_is_one_line(monkeypatch, capsys):
    """As where the index theorem finds that critical points are missing."""
    from toylin.landscape._solve import require_index_one

    def fail(*_):
        require_index_one([], growing=True)

    monkeypatch.setattr("toylin.cli.check.make_problem", fail)
    code, out, err = run_command(monkeypatch, capsys, "check")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("toylin: ArithmeticError: ")


def test_an_unwritable_folder_is_refused_before_any_work(monkeypatch, capsys, tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("mine")
    code, out, err = run_command(monkeypatch, capsys, "teaser", "--out", str(occupied))
    assert code == 1
    assert "--out must be a folder that can be written" in err
    assert err.count("\n") == 1
    assert out == ""
    assert occupied.read_text() == "mine"


@pytest.mark.parametrize(
    "command",
    [
        *("teaser --out", "figure basins --out", "train --out", "explore --out", "runs"),
        *("train --tasks omniglot --root", "figure omniglot --root"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(monkeypatch, capsys, tmp_path, command):
    """As an unset variable of a shell gives it."""
    monkeypatch.chdir(tmp_path)
    code, _, err = run_command(monkeypatch, capsys, *command.split(), "")
    assert code == 2
    assert "must be a path, got ''" in err
    assert not list(tmp_path.iterdir())


def test_figures_are_named_as_they_begin_and_say_what_they_show(monkeypatch, capsys, tmp_path):
    """Where no terminal shows a bar, too."""
    begun = []

    def fake(name, root=None, budget="small"):
        def compute(tick):
            if name == "basins":  # the first, before which nothing else is said
                begun.append(capsys.readouterr().out)
            return {"x": np.zeros(1)}

        figure = Figure()
        end = {"basins": ". ", "depth": ": "}[name]  # the heading's, as on the folder's page
        module = SimpleNamespace(draw=lambda data: figure, CAPTION=f"The {name}{end}more. Much.")
        return Plan(module, {}, 0, compute)

    monkeypatch.setattr("toylin.cli.figure.plan", fake)
    out = tmp_path / "figures"
    words = ("figure", "basins", "depth", "--out", str(out))
    code, printed, _ = run_command(monkeypatch, capsys, *words)
    assert code == 0
    assert begun == ["drawing basins, depth\n"]
    first, second, *rest = printed.splitlines()
    for line, name in ((first, "basins"), (second, "depth")):
        assert re.fullmatch(rf"{name}, \d+ s: The {name} \(caption: (.*)\)", line)[1] == (
            f"{out / name}.json"
        )
    assert all(line.startswith(("wrote ", "done in ")) for line in rest)


def test_help_names_every_command():
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    for command in ("teaser", "figure", "loss", "explore"):
        assert command in result.output
        assert CliRunner().invoke(cli, [command, "--help"]).exit_code == 0


@pytest.mark.parametrize("group", [(), ("plot",)])
def test_a_bare_name_prints_the_help_line_by_line(monkeypatch, capsys, group):
    code, out, err = run_command(monkeypatch, capsys, *group)
    assert (code, err) == (0, "")
    assert out == run_command(monkeypatch, capsys, *group, "--help")[1]
    assert out.startswith("Usage: ")
    assert out.count("\n") > 5


def test_the_installed_command_runs():
    command = [sys.executable, "-c", "from toylin.cli import main; main()", "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert tl.__version__ in answer.stdout


def test_the_help_loads_nothing_heavy():
    code = "import sys; from toylin.cli import cli; cli(['--help'], standalone_mode=False)"
    code += "; print(sorted({'jax', 'numpy', 'matplotlib'} & set(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "  loss     The post-adaptation loss of a scalar model" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "[]"


INTERRUPTED = """
import atexit, signal, time, weakref
from toylin import cli

def work(**_):
    thing = type("Thing", (), {})()
    watched = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    %s
    time.sleep(60)

cli.cli.main = work
atexit.register(signal.raise_signal, signal.SIGINT)  # once more, as it ends
cli.main()
"""


@pytest.mark.parametrize(
    "where", ["signal.raise_signal(signal.SIGINT)", "del thing", "import interrupting"]
)
def test_ctrl_c_twice_is_one_line(where, tmp_path):
    """In a callback Python printed it and went on; the second killed it, or left a traceback."""
    module = "import signal\ntry: signal.raise_signal(2)\nexcept BaseException: pass\n"
    (tmp_path / "interrupting.py").write_text(module)
    program = [sys.executable, "-c", INTERRUPTED % where]
    done = subprocess.run(
        program, capture_output=True, text=True, check=False, timeout=50, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (130, "toylin: stopped\n")
