"""The commands of the README, as a reader would run them: print a block, or run what is shown.

    readme.py block NAME     the code block marked <!-- NAME -->
readme.py commands       every `toylin ...` of the tables and the text, each run in turn
readme.py python         the Python block, run
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def block(name: str) -> str:
    """The code block that stands under the comment ``<!-- name -->``."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```", README, flags=re.DOTALL)
    if found is None:
        raise SystemExit(f"README has no block marked {name}")
    return found[1]


def commands() -> list[list[str]]:
    """Every command in single backticks that begins with ``toylin``."""
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    found = [shlex.split(line) for line in re.findall(r"`(toylin [^`]*)`", text)]
    if len(found) < 5:
        raise SystemExit(f"README shows few commands: {found}")
    return found


def run(command: list[str], folder: str) -> None:
    """Run one in an empty folder; it must succeed."""
    print("+", shlex.join(command), flush=True)
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Do what the arguments ask."""
    match sys.argv[1:]:
        case ["block", name]:
            print(block(name), end="")
        case ["commands"]:
            with tempfile.TemporaryDirectory() as folder:
                for command in commands():
                    run(command, folder)
        case ["python"]:
            with tempfile.TemporaryDirectory() as folder:
                run([sys.executable, "-c", block("python")], folder)
        case other:
            raise SystemExit(f"{__doc__}\ngot {other}")


if __name__ == "__main__":
    main()
