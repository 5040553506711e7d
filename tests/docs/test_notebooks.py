"""Each notebook runs from a clean kernel, matches the text beside it, and holds no output."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import jupytext
import matplotlib.pyplot as plt
import nbclient
import nbformat
import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
THOROUGH = os.environ.get("TOYLIN_TESTS") == "thorough"
FATAL = 'import warnings\nwarnings.simplefilter("error")'
OVER = 'warnings.simplefilter("default")'  # the kernel's own, when it stops, are not the notebook's
REMEDY = "run: python -m jupytext --to ipynb notebooks/*.py"


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def test_every_notebook_has_a_text_and_every_text_a_notebook():
    assert len(NAMES) == 6
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_notebook_and_text_are_in_step(name):
    def cells(notebook):
        return [(c.cell_type, c.source, c.metadata.get("tags")) for c in notebook.cells]

    text = jupytext.read(FOLDER / f"{name}.py")
    assert cells(read(name)) == cells(text), REMEDY
    assert read(name).metadata.jupytext.formats == "ipynb,py:percent"


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_stripped(name):
    code = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), REMEDY


@pytest.mark.parametrize("name", NAMES)
def test_claims_are_checked(name):
    """The first cell of code sets 64 bits, and there is a check for about every picture."""
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    code = [cell.source for cell in cells if "tags" not in cell.metadata]  # without the solutions
    assert 'jax.config.update("jax_enable_x64", True)' in code[0]
    checks = sum("assert" in source for source in code)
    assert checks >= sum("plt.show()" in source for source in code) - 2


@pytest.mark.parametrize("name", NAMES)
def test_says_what_one_learns_and_has_three_exercises_with_folded_solutions(name):
    """Folded in Jupyter (source_hidden) and on the site (hide-cell); each checks itself."""
    cells = read(name).cells
    assert re.match(
        r"\*\*What you will be able to do\*\* \(\d\d minutes, .*\):\n\n- ", cells[1].source
    )
    asked = [k for k, c in enumerate(cells) if c.source.startswith("**Exercise ")]
    assert [cells[k].source[: len("**Exercise 1.**")] for k in asked] == [
        f"**Exercise {n}.**" for n in (1, 2, 3)
    ]
    for solution in (cells[k + 1] for k in asked):
        assert solution.metadata["tags"] == ["hide-cell"]
        assert solution.metadata["jupyter"] == {"source_hidden": True}
        assert re.search("assert|check_outer_loss", solution.source)


@pytest.mark.parametrize("name", NAMES if THOROUGH else NAMES[:1])
def test_runs_from_a_clean_kernel(name):
    """The site runs each, and does not build where one fails; here its warnings are fatal, too."""
    notebook = read(name)
    fatal, over = nbformat.v4.new_code_cell(FATAL), nbformat.v4.new_code_cell(OVER)
    notebook.cells = [fatal, *notebook.cells, over]
    resources = {"metadata": {"path": str(FOLDER)}}
    # A kernel can stop answering on a busy machine; that, and no failing cell, is worth a new one.
    for attempt in range(3):
        client = nbclient.NotebookClient(notebook, timeout=150, resources=resources)
        try:
            client.execute()
            break
        except (nbclient.exceptions.CellTimeoutError, nbclient.exceptions.DeadKernelError):
            if attempt == 2:
                raise
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        assert not any(output.get("name") == "stderr" for output in outputs)
        if "plt.show()" in cell.source and "ipywidgets" not in cell.source:
            assert sum("image/png" in output.get("data", {}) for output in outputs) == 1


def test_the_first_notebook_follows_its_step_size(monkeypatch):
    """What its "Try it" asks for: every check holds at alpha = 1, too."""
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: plt.close("all"))
    cells = [c.source for c in read("01_why_maml_fails").cells if c.cell_type == "code"]
    code = "\n".join(cell for cell in cells if "binary" not in cell and "logr" not in cell)
    tried = code.replace("alpha = 0.1\n", "alpha = 1.0\n", 1)
    assert tried != code
    exec(compile(tried, "01_why_maml_fails", "exec", dont_inherit=True), {})


def test_notebook_6_on_omniglot(tmp_path, monkeypatch):
    """The cell for those who have it: briefly, on drawings of a bar each; no name is taken over."""
    rng = np.random.default_rng(0)
    for part in ("images_background", "images_evaluation"):
        for c in range(6):
            folder = tmp_path / part / "Alphabet" / f"character{c:02d}"
            folder.mkdir(parents=True)
            for n in range(15):
                pixels = rng.integers(0, 2, (28, 28), dtype=np.uint8) * np.uint8(255)
                pixels[4 * c : 4 * c + 4] = 0
                Image.fromarray(pixels).save(folder / f"{n}.png")
    digits = rng.uniform(0, 16, (100, 64)), np.arange(100) % 10  # not those of a package
    for name in ("sklearn", "sklearn.datasets"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(load_digits=lambda **_: digits))
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: plt.close("all"))
    cells = [c.source for c in read("06_real_images").cells if c.cell_type == "code"]
    (last,) = [k for k, cell in enumerate(cells) if cell.startswith("if OMNIGLOT is not None")]
    # Not what the digits' long training takes and shows.
    code = "\n".join(cell.split("\n\nfound = {")[0] for cell in cells[: last - 2]) + "\n"
    code += cells[last].replace("> reached[1] + 0.1", "> 0.2")
    for old, new in {"OMNIGLOT = None": f"OMNIGLOT = {str(tmp_path)!r}", "400,": "20,"}.items():
        assert old in code
        code = code.replace(old, new)
    found = {}
    exec(compile(code, "06_real_images", "exec", dont_inherit=True), found)
    assert found["tasks"].ways == found["test_tasks"].ways == 3


@pytest.fixture
def sliders():
    """The cell that makes the sliders of the surface."""
    (source,) = [c.source for c in read("02_loss_surface").cells if "ipywidgets" in c.source]
    return source


def test_without_ipywidgets_the_sliders_say_what_to_install(sliders, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    exec(sliders, {})
    assert "pip install ipywidgets" in capsys.readouterr().out


def test_sliders_redraw(sliders):
    drawn = []
    plt = SimpleNamespace(subplots=lambda **_: (None, None), show=lambda: None)
    namespace = {"np": np, "plt": plt, "draw": lambda ax, *setting: drawn.append(setting)}
    exec(sliders, namespace)
    alpha, shots, noise = namespace["sliders"].children[:3]
    alpha.value, shots.value, noise.value = 0.5, 5, 0.2
    assert drawn[-3:] == [(0.5, None, 0.0), (0.5, 5, 0.0), (0.5, 5, 0.2)]
