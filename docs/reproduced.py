"""The pages of published results: their code, what it finds, and the table of all of them.

``python docs/reproduced.py`` runs every page and writes the section's first page, unless that is
there and nothing it is made of has changed.
"""

from __future__ import annotations

import hashlib
import re
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "reproductions"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.stem != "index")
AT_ONCE = 2  # processes: a page each
INTRODUCTION = """# Published results

What papers on meta-learning and on deep linear models claim, computed by a few lines of toylin. A
page a paper: the claim, the equation, the lines, a picture, and assertions: where one fails, this
site is not built. The table was written by what ran when it was: nothing in its column *toylin* was
typed. What is *derived* follows from the paper's setting by the equations on the page, and is no
number that the paper prints. *Exact* is to rounding. Seconds are CPU seconds of a page, all in."""


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


def code(page: Path) -> str:
    """The cells of a page, as one program."""
    cells = r"^```\{code-cell\} python\n(.*?)^```$"
    return "\n".join(re.findall(cells, page.read_text(), flags=re.MULTILINE | re.DOTALL))


def run(source: str, name: str) -> list[Result]:
    """Run a program; the rows of the table that it leaves in ``reproduced``."""
    import matplotlib.pyplot as plt

    namespace: dict = {"__name__": name}
    exec(compile(source, name, "exec", dont_inherit=True), namespace)
    plt.close("all")
    return [Result(*row) for row in namespace["reproduced"]]


def timed(page: Path) -> tuple[list[Result], float]:
    """What a page finds, and the CPU seconds that it takes."""
    start = time.process_time()
    results = run(code(page), page.stem)
    return results, time.process_time() - start


def _begin() -> None:
    """A process that draws for no screen and compiles quickly."""
    import matplotlib as mpl

    from toylin._internal.compiling import compile_quickly

    mpl.use("Agg")
    compile_quickly()


def everything() -> list[tuple[list[Result], float]]:
    """Every page, run."""
    with ProcessPoolExecutor(AT_ONCE, get_context("spawn"), _begin) as pool:
        return list(pool.map(timed, PAGES))


def table(every: list[tuple[list[Result], float]]) -> str:
    """What was found: a row that names a page, below it a row a claim."""
    rows = ["| claim | published | toylin | exact or sampled | seconds |", "|---|---|---|---|---|"]
    for page, (results, seconds) in zip(PAGES, every, strict=True):
        subject = title(page).partition(" (")[0]
        rows.append(f"| **[{subject}]({page.name})**, {authors(page)} | | | | {seconds:.1f} |")
        rows += [f"| {' | '.join(result)} | |" for result in results]
    return "\n".join(rows)


def made_of() -> str:
    """A checksum of all that the table is made of: the pages, toylin, this file, versions."""
    import toylin

    code = sorted(Path(toylin.__path__[0]).rglob("*.py"))
    found = hashlib.sha256(" ".join(map(version, ("jax", "optax", "numpy"))).encode())
    for path in (*PAGES, *code, Path(__file__)):
        found.update(path.read_bytes())
    return found.hexdigest()


def main() -> None:
    """Write the first page of the section."""
    first, mark = FOLDER / "index.md", f"% made of {made_of()}"
    if first.exists() and first.read_text().endswith(f"{mark}\n"):
        return
    names = "\n".join(page.stem for page in PAGES)
    shown = (
        f"```{{table}}\n:class: reproduced\n:widths: 40 20 20 14 6\n\n{table(everything())}\n```"
    )
    parts = [INTRODUCTION, shown, f"```{{toctree}}\n:hidden:\n\n{names}\n```"]
    first.write_text("\n\n".join([*parts, mark]) + "\n")


if __name__ == "__main__":
    main()
