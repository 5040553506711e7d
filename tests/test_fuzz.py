"""Every public function and command, attacked from its signature: errors that name what is wrong.

A small share of all calls by default; all of them with ``TOYLIN_TESTS=thorough``.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import click
import fuzz_excuses
import fuzzing
import pytest
from helpers import run_command

from toylin.cli import COMMANDS, cli

THOROUGH = os.environ.get("TOYLIN_TESTS") == "thorough"
EVERY = 1 if THOROUGH else 80
EVERY_PAIR = 40 if THOROUGH else 8000


def chosen(call: str, every: int = EVERY) -> bool:
    """One call in so many, always the same ones."""
    return zlib.crc32(call.encode()) % every == 0


@pytest.mark.parametrize("name", fuzzing.names())
def test_bad_arguments_are_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls = [c for c in fuzzing.single(name) if chosen(fuzzing.label(name, c))]
    calls += [c for c in fuzzing.pairs(name) if chosen(fuzzing.label(name, c), EVERY_PAIR)]
    outcomes = [outcome for call in calls if (outcome := fuzzing.attack(name, call))]
    wrong = [o for o in outcomes if o.kind not in ("clear", "accepted")]
    assert not wrong, "\n".join(map(str, wrong))


# The table makes each argument by itself: what is explained is then of another figure.
@pytest.mark.filterwarnings("ignore:Adding colorbar to a different Figure")
def test_the_table_has_good_values(tmp_path, monkeypatch):
    """What is called good is: otherwise nothing is attacked but the table."""
    monkeypatch.chdir(tmp_path)
    for name in fuzzing.names():
        given = fuzzing.arguments(name)
        if THOROUGH or chosen(name):
            fuzzing.resolve(name)(**given)


def test_exceptions_are_of_what_there_is():
    """An exception that nothing needs would hide what takes its name next."""
    known = {
        f"{name}.{parameter}" for name in fuzzing.names() for parameter in fuzzing.arguments(name)
    }
    assert known >= fuzz_excuses.MAY_CHANGE_NOTHING | fuzz_excuses.ANY_SHAPE


WORDS = ["x", "nan", "inf", "-1", "1e400", "99999999999999999999", "", "0"]


def options() -> list[tuple[str, str, str]]:
    """Every option of every command with every word."""
    found = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.is_flag and parameter.opts:
                found += [(name, max(parameter.opts, key=len), word) for word in WORDS]
    return found


# What makes each command quick where the word is accepted.
QUICK = {
    "train": ["--num-steps", "2"],
    "loss": ["--weights", "0.5,0.5", "--num-tasks", "100"],
    "figure": ["nothing"],
    "explore": [],
    "teaser": ["--help"],
    "sweep": ["--dry-run", "--over", "step_size=0.1"],
}


def _is_progress(line: str) -> bool:
    return "iterations" in line and "|" in line


@pytest.mark.parametrize(
    ("command", "option", "word"),
    [o for o in options() if chosen(" ".join(o), 1 if THOROUGH else 20)],
)
def test_commands_answer_in_one_line(command, option, word, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    quick = QUICK.get(command, [])
    if option in quick:
        at = quick.index(option)
        quick = quick[:at] + quick[at + 2 :]
    code, _, err = run_command(monkeypatch, capsys, command, *quick, option, word)
    lines = [line for line in err.splitlines() if line.strip() and not _is_progress(line)]
    assert "Traceback" not in err
    if code:
        assert len(lines) == 1, err
        assert lines[0].startswith("toylin: ")
        assert not list(Path(tmp_path).rglob("*.npz"))
