"""What a command line that click refuses is told: in a line, and what may have been meant."""

from __future__ import annotations

import re

import click

from toylin._internal.meant import meant


def explained(error: click.UsageError) -> str:
    """The error in words, and where to read on."""
    context = error.ctx
    if context is None:
        return error.format_message()
    flags = {flag: option for option in context.command.params for flag in option.opts}
    if "--weights" in flags and _is_number_left_over(error):
        said = "--weights must be numbers separated by commas alone, such as --weights 0.7,-0.9"
    elif isinstance(error, click.NoSuchOption):
        said = f"no option {error.option_name}{meant(error.option_name, flags)}"
    else:
        said = error.format_message()
    return f"{said} (see {context.command_path} --help)"


def _is_number_left_over(error: click.UsageError) -> bool:
    """A number where no more words were expected, or one with a minus, taken for a flag."""
    flag = error.option_name if isinstance(error, click.NoSuchOption) else ""
    return bool(
        re.fullmatch(r"-[\d.]", flag)
        or re.search(r"unexpected extra arguments? \(-?[\d.]", error.message)
    )
