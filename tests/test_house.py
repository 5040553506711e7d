"""The house: a room imports only from floors below, and its contents page names what it offers."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import toylin as tl

ROOT = Path(tl.__file__).parent
# From the ground up; rooms on one floor do not know each other.
FLOORS = (
    ("_internal",),
    ("plotting",),
    ("quadrature",),
    ("models",),
    ("tasks",),
    ("rules", "images"),
    ("autodiff", "closed_form"),
    ("training",),
    ("landscape",),
    ("limits",),
    ("depth",),
    ("symbolic",),
    ("checking",),
    ("testing",),
    ("sweeps",),
    ("figures",),
    ("explorer",),
    ("cli",),
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
ROOMS = sorted(p.parent.name for p in ROOT.glob("*/__init__.py"))
FILES = sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The modules of toylin that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
            found |= set(names) if module == "toylin" else {module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            found |= {
                value.value
                for value in ast.walk(node)
                if isinstance(value, ast.Constant) and isinstance(value.value, str)
            }
    return {name for name in found if name.split(".")[0] == "toylin"}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_every_room_has_a_floor():
    assert sorted(FLOOR) == ROOMS


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downwards_only(path):
    here = path.relative_to(ROOT).parts[0]
    if here.endswith(".py"):  # the contents page and __main__, on top of all
        return
    for module in imports(path):
        there = room(module)
        assert there, f"{path} imports the contents page"
        assert there == here or FLOOR[there] < FLOOR[here], f"{path} imports {module}, upstairs"


@pytest.mark.parametrize("name", ROOMS)
def test_no_circle_inside_a_room(name):
    files = {p.stem: p for p in (ROOT / name).glob("*.py") if p.stem != "__init__"}
    arrows = {
        stem: {m.split(".")[2] for m in imports(path) if m.startswith(f"toylin.{name}.")} & {*files}
        for stem, path in files.items()
    }
    while arrows:
        ground = [stem for stem, below in arrows.items() if not below & set(arrows)]
        assert ground, f"{name} has a circle among {sorted(arrows)}"
        for stem in ground:
            del arrows[stem]


@pytest.mark.parametrize("name", [r for r in ROOMS if r not in ("_internal", "cli")])
def test_contents_pages_name_what_there_is(name):
    page = importlib.import_module(f"toylin.{name}")
    assert page.__all__ == sorted(page.__all__, key=str.lower) or set(page.__all__)
    for public in page.__all__:
        assert not public.startswith("_")
        assert getattr(page, public) is not None


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_can_be_held_in_the_head(path):
    text = path.read_text()
    assert text.count("\n") <= (150 if path.parent.name == "figures" else 300)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 40, f"{node.name} has {lines} lines"


def test_the_top_level_shows_public_names_only():
    assert dir(tl) == sorted(tl.__all__)
    assert all(not name.startswith("_") for name in tl.__all__)
    assert tl.__version__.count(".") == 2
    for name in tl.__all__:
        assert getattr(tl, name).__doc__


def test_a_public_name_leads_to_its_room():
    stub = ast.parse((ROOT / "__init__.pyi").read_text())
    for node in stub.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module[0] != "_":
            offered = importlib.import_module(f"toylin.{node.module}").__all__
            assert {alias.name for alias in node.names} <= set(offered)


def test_one_version_everywhere():
    citation = (ROOT.parent / "CITATION.cff").read_text()
    assert f"\nversion: {tl.__version__}\n" in citation
    assert f"\n## {tl.__version__}" in (ROOT.parent / "CHANGELOG.md").read_text()
