"""Notebooks run, two at a time, into the cache in which the site looks for what they show."""

from __future__ import annotations

import asyncio
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import read_myst_markdown_notebook
from nbclient import NotebookClient

AT_ONCE = 2
SECONDS = 300  # that a cell may take


def read(path: Path) -> nbformat.NotebookNode:
    """A notebook, or a page of Markdown with cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return nbformat.reads(text, as_version=4)
    return read_myst_markdown_notebook(text)


def execute(paths: list[Path], last_cells: dict[Path, str], cache: Path) -> dict[Path, str]:
    """Run every notebook in its folder and keep it in the cache; what the last cells printed.

    A last cell is run after those of its notebook, and is no part of it.
    """
    notebooks = {path: read(path) for path in paths}
    for path, cell in last_cells.items():
        notebooks[path].cells.append(nbformat.v4.new_code_cell(cell))
    asyncio.run(_run(notebooks))
    printed = {path: notebooks[path].cells.pop().outputs[0].text for path in last_cells}
    kept = get_cache(str(cache))
    for path, notebook in notebooks.items():
        kept.cache_notebook_bundle(CacheBundleIn(notebook, str(path)), check_validity=False)
    return printed


async def _run(notebooks: dict[Path, nbformat.NotebookNode]) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def run(path: Path, notebook: nbformat.NotebookNode) -> None:
        where = {"metadata": {"path": str(path.parent)}}
        async with turn:  # with times recorded in it, a notebook is not found in the cache
            client = NotebookClient(notebook, timeout=SECONDS, resources=where, record_timing=False)
            await client.async_execute()

    await asyncio.gather(*(run(*item) for item in notebooks.items()))
