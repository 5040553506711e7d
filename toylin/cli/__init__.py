"""The command ``toylin``: its commands, a file each, and how any of them fails: in one line."""

from __future__ import annotations

import ast
import os
import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from toylin._internal.compiling import collect_rarely
from toylin._internal.interrupt import interrupted_once
from toylin.cli._group import Group
from toylin.cli._mistakes import explained

COMMANDS = {
    "teaser": "toylin.cli.teaser",
    "figure": "toylin.cli.figure",
    "loss": "toylin.cli.loss",
    "train": "toylin.cli.train",
    "runs": "toylin.cli.runs",
    "check": "toylin.cli.check",
    "derive": "toylin.cli.derive",
    "sweep": "toylin.cli.sweep",
    "plot": "toylin.cli.plot",
    "explore": "toylin.cli.explore",
}


_LONGEST = 800  # characters of an error


class _Commands(Group):
    """Commands found by name: ``command`` in the module that ``COMMANDS`` names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What each does, read from its file: importing them all would take seconds."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_line(module)) for name, module in COMMANDS.items()])


def _first_line(module: str) -> str:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == "command":
            return (ast.get_docstring(node) or "").partition("\n")[0]
    raise AssertionError(f"{module} has no command")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="toylin")
def cli() -> None:
    """A workbench for gradient-based meta-learning on shallow and deep linear models.

    \b
    Start here:
      toylin teaser             redraw the paper's point: three figures, into drawn/
      toylin loss --help        one number by every route: formula, autodiff, sampling
      toylin check              four routes to one number, and whether they agree
      toylin derive             the formula itself, derived step by step
      toylin sweep depth        thousands of runs: depth against inner step size
      toylin explore            a page for the browser: turn the knobs, rotate the surface
    """


def main() -> None:
    """Run the command line; an error is one line on stderr and a non-zero exit."""
    # What XLA has to say of its own compiling is not for the person who asked.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.showwarning = _warn
    collect_rarely()
    try:
        with interrupted_once(_leave):
            # Outside standalone mode click returns the code of an Exit instead of raising it.
            if code := cli.main(standalone_mode=False):
                sys.exit(code)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped", 130)
    except click.UsageError as error:
        _fail(explained(error), 2)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except (ValueError, OSError) as error:
        _fail(str(error), 1)
    except (MemoryError, RuntimeError, ArithmeticError) as error:
        # What was not foreseen: an allocation that fails, or what XLA refuses.
        _fail(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}", 1)


def _leave() -> None:
    os.write(2, b"toylin: stopped\n")
    os._exit(130)


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"toylin: {' '.join(str(message).split())}", err=True)


def _fail(message: str, code: int) -> None:
    line = " ".join(message.split())
    if len(line) > _LONGEST:  # a value is quoted in it, a long one
        line = f"{line[: _LONGEST - 100]} ... {line[-100:]}"
    click.echo(f"toylin: {line}", err=True)
    sys.exit(code)
