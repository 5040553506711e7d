"""The pages of published results: what their code finds, and the table of all of them."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "reproductions"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.stem != "index")
# Run after the cells of a page: what it found, and the CPU seconds that it took.
LAST_CELL = """import json as _json, time as _time
print(_json.dumps([reproduced, _time.process_time()]))"""
INTRODUCTION = """# Published results

What papers on meta-learning and on deep linear models claim, computed by a few lines of toylin. A
page a paper: the claim, the equation, the lines, a picture, and assertions: where one fails, this
site is not built. The table was written by what ran when it was: nothing in its column *toylin* was
typed. What is *derived* follows from the paper's setting by the equations on the page, and is no
number that the paper prints. *Exact* is to rounding, *apart by* a largest difference. Seconds
are CPU seconds of a page.
With `TOYLIN_TESTS=thorough` set the site samples more, minutes a page."""

# Of what is run, what is run after it, and the cache, to what the latter printed.
Execute = Callable[[list[Path], dict[Path, str], Path], dict[Path, str]]


class Result(NamedTuple):
    """A row of the table."""

    claim: str
    published: str
    found: str
    how: str


def title(page: Path) -> str:
    """The heading of a page."""
    found = re.search(r"^# (.*)$", page.read_text(), flags=re.MULTILINE)
    assert found, page
    return found[1]


def authors(page: Path) -> str:
    """Who and when, as short as a first column must be: from the heading's brackets."""
    found = re.search(r"\((.*) (\d{4})\)$", title(page))
    assert found, page
    first, *others = re.split(", | and ", found[1])
    return f"{first} et al. {found[2]}" if len(others) > 1 else f"{found[1]} {found[2]}"


def table(every: list[tuple[list[Result], float]]) -> str:
    """What was found: a row that names a page, below it a row a claim."""
    rows = ["| claim | published | toylin | exact or sampled |", "|---|---|---|---|"]
    for page, (results, seconds) in zip(PAGES, every, strict=True):
        subject = title(page).partition(" (")[0]
        rows.append(f"| **[{subject}]({page.name})**, {authors(page)} ({seconds:.1f} s) | | | |")
        rows += [f"| {' | '.join(result)} |" for result in results]
    return "\n".join(rows)


def made_of(pages: list[Path]) -> str:
    """A checksum of all that pages show: their code, toylin, this file, versions."""
    import toylin

    package = sorted(Path(toylin.__path__[0]).rglob("*.py"))
    found = hashlib.sha256(" ".join(map(version, ("jax", "optax", "numpy"))).encode())
    here = Path(__file__)
    for path in (*pages, *package, here, here.with_name("executed.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


def write(cache: Path, notebooks: list[Path], execute: Execute) -> None:
    """Run all pages and notebooks into a cache, once, and write the first page of the section.

    They are run anew where something that they are made of has changed since.
    """
    first, mark = FOLDER / "index.md", f"% made of {made_of([*PAGES, *notebooks])}\n"
    if cache.exists() and first.exists() and first.read_text().endswith(mark):
        return
    first.unlink(missing_ok=True)
    shutil.rmtree(cache, ignore_errors=True)
    printed = execute([*PAGES, *notebooks], dict.fromkeys(PAGES, LAST_CELL), cache)
    found = [json.loads(printed[page]) for page in PAGES]
    rows = table([([Result(*row) for row in results], seconds) for results, seconds in found])
    names = "\n".join(page.stem for page in PAGES)
    shown = f"```{{table}}\n:class: reproduced\n:widths: 40 22 22 16\n\n{rows}\n```"
    parts = [INTRODUCTION, shown, f"```{{toctree}}\n:hidden:\n\n{names}\n```", mark]
    first.write_text("\n\n".join(parts))
