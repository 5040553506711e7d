"""Published results: every page runs, and each of its assertions fails when its claim is broken."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "reproduced", Path(__file__).parents[2] / "docs" / "reproduced.py"
)
reproduced = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(reproduced)
PAGES = {page.stem: page for page in reproduced.PAGES}
THOROUGH = os.environ.get("TOYLIN_TESTS") == "thorough"

# What a page computes, put wrong: (page, as it stands, broken).
BROKEN = [
    ("collins_landscape", "maml, none = tl.MAML(step_size=1.0)", "maml, none = tl.MAML(0.9)"),
    ("collins_landscape", "tl.MAML(step_size=0.0)", "tl.MAML(step_size=0.1)"),
    ("collins_landscape", "for a in (0.0, alpha)]", "for a in (0.1, alpha)]"),
    ("collins_landscape", "centre - spread], [centre + spread", "centre], [centre + 1.1 * spread"),
    ("fallah", "tl.FOMAML(step_size))", "tl.MAML(step_size))"),
    ("fallah", '"FOMAML", tl.FOMAML(alpha)', '"FOMAML", tl.MAML(alpha)'),
    (
        "gao_sener",
        "tl.shallow_fixed_point(batch, tl.MAML(alpha))\n\n",
        "tl.shallow_fixed_point(batch, tl.FOMAML(alpha))\n\n",
    ),
    ("gao_sener", "np.trace(Q @ Q) * Q", "np.trace(Q) * Q"),
    ("bernacchia", "nu**2 / p, noise_std=sigma, shots=n_r", "nu**2, noise_std=sigma, shots=n_r"),
    ("bernacchia", "X_v - back @ X_t", "X_v + back @ X_t"),
    ("arora", "(N - j) / N", "(N - j + 1) / N"),
    ("arora", "(depths - 1)", "depths"),
    ("saunshi", "theta_mean=theta, theta_cov=1e-300", "theta_mean=0.9 * theta, theta_cov=1e-300"),
    ("saunshi", "learned = trained(tasks, (body, 0 * head)).params", "learned = (body, 0 * head)"),
    ("saunshi", "trained(tasks, (body, head))", "trained(tasks, (body, 0 * head))"),
    ("yueksel", "tl.ANIL(alpha", "tl.ANIL(1.1 * alpha"),
    ("nichol", "product - large * hessian", "product - 0.9 * large * hessian"),
    ("nichol", "ours + H[:-1].sum(0) @ g[-1]", "ours"),
    ("nichol", "tl.Reptile(alpha, steps=k)", "tl.MAML(alpha, steps=k)"),
    ("nichol", "path[-1] - large", "path[-1] - 0.9 * large"),
    ("nichol", "-k * (k - 1) / 2", "-(k - 1)"),
    ("arnold", "deep = float(tl.deep_floor(tasks", "deep = float(tl.shallow_floor(tasks"),
    ("arnold", "tl.ANIL(alpha, layers=(1, 2))", "tl.ANIL(alpha)"),
    ("arnold", "(root, jnp", "(1.01 * root, jnp"),
    ("arnold", "tl.MetaKFO.identity(one, alpha)", "tl.MAML(alpha)"),
    ("arnold", "theta_mean=mean", "theta_mean=0.0 * mean"),
    ("collins_representations", "np.log1p(-beta * alpha * least)", "np.log1p(-beta * least)"),
    ("collins_representations", "replace(step_size=setting[0])", "replace(step_size=0.4)"),
    ("collins_representations", '"not diverse": (alpha, 0.0', '"not diverse": (alpha, 0.3'),
    ("collins_representations", '"no adaptation": (0.0', '"no adaptation": (alpha'),
    ("collins_representations", '"MAML": tl.MAML(alpha)', '"MAML": tl.ANIL(alpha)'),
    ("bai", "(1 + (d + 1) / n)", "(1 + d / n)"),
    ("bai", "rates(batch, tl.Proximal(s))", "rates(batch, tl.MAML(0.0 * s))"),
    ("bai", "tl.Batch(among(0, k), among(k, n))", "tl.Batch(among(0, n), among(0, n))"),
    ("bai", "(1 - c) * z**2", "c * z**2"),
    ("bai", "c**2 * z**4", "c * z**4"),
    ("tripuraneni", "(2 + sigma**2)", "(1 + sigma**2)"),
    ("tripuraneni", "(45 + 18", "(36 + 18"),
    ("tripuraneni", "optax.sgd(0.3)", "optax.sgd(0.0)"),
    ("pang", "2 * P / h**4) / h**0.5, P", "P / h**4) / h**0.5, P"),
    ("pang", "(rates[0] / h, rates[1]", "(rates[1] / h, rates[1]"),
    ("pang", "test_loss(r, T)", "test_loss(r, 1)"),
]


def code(page: Path) -> str:
    """The cells of a page, as one program."""
    cells = r"^```\{code-cell\} python\n(?::tags: [^\n]*\n)?(.*?)^```$"
    return "\n".join(re.findall(cells, page.read_text(), flags=re.MULTILINE | re.DOTALL))


def run(source: str, name: str) -> list[reproduced.Result]:
    """Run a program; the rows of the table that it leaves in ``reproduced``."""
    import matplotlib.pyplot as plt

    namespace: dict = {"__name__": name}
    exec(compile(source, name, "exec", dont_inherit=True), namespace)
    plt.close("all")
    return [reproduced.Result(*row) for row in namespace["reproduced"]]


@pytest.fixture(autouse=True)
def _without_a_screen(monkeypatch):
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)


# The site runs every page, and fails with it; here those that take seconds.
QUICK = ("collins_landscape", "fallah")


@pytest.mark.parametrize("name", PAGES if THOROUGH else QUICK)
def test_page_reproduces_what_it_says(name):
    source = code(PAGES[name])
    assert "assert" in source
    rows = run(source, name)
    assert rows
    assert not any("nan" in row.found or "|" in "".join(row) for row in rows)


@pytest.mark.skipif(not THOROUGH, reason="runs the pages again: TOYLIN_TESTS=thorough")
@pytest.mark.parametrize(("name", "right", "wrong"), BROKEN)
def test_page_fails_when_its_claim_is_broken(name, right, wrong):
    source = code(PAGES[name])
    assert right in source
    with pytest.raises(AssertionError):
        run(source.replace(right, wrong), name)


def test_every_page_is_shown_broken():
    assert {name for name, *_ in BROKEN} == set(PAGES)


def test_table_has_every_page_and_what_it_found():
    rows = [reproduced.Result("a claim", "1", "0.99", "exact")]
    lines = reproduced.table([(rows, 1.5)] * len(PAGES)).splitlines()
    assert len(lines) == 2 + 2 * len(PAGES)
    for named, found, page in zip(lines[2::2], lines[3::2], reproduced.PAGES, strict=True):
        assert f"]({page.name})**, " in named
        assert named.endswith(" (1.5 s) | | | |")
        assert found == "| a claim | 1 | 0.99 | exact |"


def test_pages_are_run_anew_where_something_has_changed(tmp_path, monkeypatch):
    cache, ran = tmp_path / "cache", []

    def execute(paths, last_cells, cache):
        ran.append(len(paths))
        cache.mkdir()
        return dict.fromkeys(last_cells, '[[["a claim", "1", "0.99", "exact"]], 1.5]')

    monkeypatch.setattr(reproduced, "FOLDER", tmp_path)
    notebook = tmp_path / "one.ipynb"
    notebook.write_text("{}")
    reproduced.write(cache, [notebook], execute)
    reproduced.write(cache, [notebook], execute)
    assert ran == [len(PAGES) + 1]
    assert "a claim" in (tmp_path / "index.md").read_text()
    page = tmp_path / "changed.md"
    page.write_text(reproduced.PAGES[0].read_text() + "\n")
    monkeypatch.setattr(reproduced, "PAGES", [page, *reproduced.PAGES[1:]])
    reproduced.write(cache, [notebook], execute)
    cache.rmdir()  # what is shown is gone, though the table is there
    reproduced.write(cache, [notebook], execute)
    assert len(ran) == 3
