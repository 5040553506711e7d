"""The code in the documentation runs, and its assertions hold."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import toylin as tl

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    page
    for page in sorted([*DOCS.glob("*.md"), *DOCS.glob("mathematics/*.md")])
    if "```python" in page.read_text()
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_in_the_docs_runs(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where it may leave its pictures
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    code = compile("\n".join(blocks), str(page), "exec", dont_inherit=True)
    exec(code, {"__name__": __name__})


def test_the_explorer_is_in_the_navigation_and_opens():
    """A Markdown link to a file beside the pages becomes a download; raw HTML opens it."""
    index = (DOCS / "index.md").read_text()
    assert re.search(r"```\{toctree\}[^`]*^explorer$", index, flags=re.MULTILINE)
    assert '<a href="_static/explorer.html">' in (DOCS / "explorer.md").read_text()
    assert not any("](_static/" in page.read_text() for page in DOCS.glob("*.md"))


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_the_figures_is_that_of_their_captions(generate):
    folder = DOCS.parent / "figures"
    made = generate.figures_page(folder)
    assert made == (folder / "README.md").read_text(), "run: python docs/generate.py"
    shown = re.findall(r"\]\((\w+\.(?:png|svg|json))\)", made)
    assert len(shown) == 3 * len(set(folder.glob("*.png")))
    assert all((folder / name).exists() for name in shown)


def test_every_public_name_is_in_the_reference(tmp_path, generate):
    generate.api(tmp_path, tl)
    text = "\n".join(page.read_text() for page in tmp_path.glob("*.md"))
    index = (tmp_path / "index.md").read_text()
    public = [n for n in dir(tl) if not n.startswith("_")]
    modules = {n for n in public if inspect.ismodule(getattr(tl, n))}
    names = {n for n in public if getattr(getattr(tl, n), "__module__", "").startswith("toylin")}
    names -= modules
    assert len(names) > 50
    for module in ("autodiff", "closed_form"):
        names |= {f"{module}.{n}" for n in ("adapt", "inner_loss", "outer_loss", "task_losses")}
    for name in names:
        documented = rf"^\.\. auto\w+:: toylin\.{re.escape(name)}$"
        assert re.search(documented, text, flags=re.MULTILINE), name
        assert f"<toylin.{name}>`" in index, name


# What the README, the pages and the notebooks use most.
MOST_USED = (
    *("LinearRegression", "MAML", "init", "meta_train", "ExactLoss", "SampledLoss", "end_to_end"),
    *("closed_form.outer_loss", "closed_form.adapt", "autodiff.outer_loss", "Batch", "ANIL"),
    *("solve_critical_points", "surface", "sweep", "derive", "shallow_floor", "MetaKFO"),
    *("shallow_fixed_point", "induced_preconditioner", "BinaryClassification"),
)


@pytest.mark.parametrize("name", MOST_USED)
def test_names_used_most_have_an_example(name):
    """pytest runs it: --doctest-modules."""
    obj = tl
    for part in name.split("."):
        obj = getattr(obj, part)
    assert ">>> " in inspect.getdoc(obj)


def test_the_files_that_pages_name_are_there():
    root = DOCS.parent
    for page in (root / "CONTRIBUTING.md", root / "README.md", *DOCS.rglob("*.md")):
        for name in re.findall(r"`((?:toylin|tests|docs)/[a-z_/]+\.\w+)`", page.read_text()):
            assert (root / name).exists(), f"{page.name}: {name}"


def test_what_the_claims_page_names_is_there():
    text = (DOCS / "claims.md").read_text()
    root = DOCS.parent

    def named(what):
        found = re.findall(rf"^- {what}: (.*)$", text, flags=re.MULTILINE)
        assert len(found) == text.count("## ")
        return [name for line in found for name in re.findall(r"`([^`]+)`", line)]

    assert all((root / "figures" / f"{name}.png").exists() for name in named("figures"))
    assert all((root / "notebooks" / f"{name}.py").exists() for name in named("notebooks"))
    assert set(named("functions")) <= set(tl.__all__)
    for test in named("test"):
        file, _, function = test.partition("::")
        assert f"def {function}(" in (root / file).read_text()
