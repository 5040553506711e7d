"""``toylin check``: it agrees where the package is right, and notices where it is not."""

from __future__ import annotations

import json
import subprocess
import sys

import jax
import pytest

import toylin as tl
from toylin import cli
from toylin.checking import _differences
from toylin.cli import check


def run(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["toylin", "check", *arguments])
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_report_in_json(monkeypatch, capsys):
    flags = "--weights=0.7 --theta-mean=0.3 --noise-std=0.2 --shots=5 --json"
    code, out, _ = run(monkeypatch, capsys, *flags.split())
    found = json.loads(out)
    assert code == 0
    assert found["agree"] is True
    assert found["exact_fraction"] == "1538/3125"
    assert found["closed_form"] == pytest.approx(0.49216, rel=1e-14)
    assert found["finite_differences_grad"] == pytest.approx(found["exact_grad"], rel=1e-9)


def scaled(function):
    return lambda *args, **kw: jax.tree.map(lambda x: x * (1 + 1e-6), function(*args, **kw))


@pytest.mark.parametrize(
    ("module", "name", "route"),
    [
        (tl.closed_form, "outer_loss", "closed_form_error"),
        (tl.closed_form, "outer_grad", "closed_form_grad_error"),
        (tl.autodiff, "outer_loss", "autodiff_error"),
        (tl.autodiff, "outer_grad", "autodiff_grad_error"),
    ],
)
def test_a_broken_formula_is_noticed(monkeypatch, capsys, module, name, route):
    monkeypatch.setattr(module, name, scaled(getattr(module, name)))
    code, out, _ = run(monkeypatch, capsys, "--json")
    found = json.loads(out)
    assert code == check.DISAGREE
    assert found["agree"] is False
    assert 1e-7 < found[route] < 1e-5


def test_broken_finite_differences_are_noticed(monkeypatch, capsys):
    monkeypatch.setattr(_differences, "_STENCIL", (4 / 5, -1 / 5, 4 / 105, 1 / 280))
    code, out, _ = run(monkeypatch, capsys)
    assert code == check.DISAGREE
    assert "the routes do NOT agree" in out


def test_weights_of_very_different_size(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "--weights=1e-9,1e9")
    assert code == 0
    assert "all four agree" in out


def test_not_a_number_is_disagreement(monkeypatch, capsys):
    nan = tl.closed_form.outer_loss
    monkeypatch.setattr(tl.closed_form, "outer_loss", lambda *args: nan(*args) * float("nan"))
    code, out, _ = run(monkeypatch, capsys, "--json")
    assert code == check.DISAGREE
    assert json.loads(out)["closed_form_error"] is None


def test_as_a_command():
    main = "from toylin.cli import main; main()"
    command = [sys.executable, "-c", main, "check", "--weights", "0.5,1.5", "--shots", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "all four agree within 1e-10" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--weights 1,2,3 --steps 3 --shots 4", "degree 75 in theta and 93 in S"),
        ("--weights 1,x", "must be numbers separated by commas"),
        ("--tolerance nan", "'--tolerance': must be a finite number"),
        ("--tolerance 2", "--tolerance must be between 0 and 1"),
        ("--first-order", "--first-order"),
        ("--weights 3,3,3 --steps 2 --step-size 1e40", "beyond double precision"),
        ("--x-cov 0", "'--x-cov': must be a positive number"),
    ],
)
def test_bad_input_is_one_line(monkeypatch, capsys, arguments, message):
    code, out, err = run(monkeypatch, capsys, *arguments.split())
    assert code in (1, 2)
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
