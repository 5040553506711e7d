"""The pages that are made from the package: API reference, commands, gallery, derivations."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

DERIVED = (
    (1, 1, None, "One layer, the population"),
    (1, 1, "K", "One layer, K shots"),
    (2, 1, None, "Two layers, the population"),
    (2, 1, "K", "Two layers, K shots"),
    (3, 1, None, "Three layers, the population"),
)


def everything(docs: Path, tl: ModuleType) -> None:
    """Write all generated pages below ``docs``."""
    gallery(docs / "gallery", docs.parent)
    tutorials(docs / "tutorials", docs.parent / "notebooks")
    api(docs / "api", tl)
    commands(docs / "api" / "commands.md")
    derivations(docs / "mathematics" / "derivations.md", tl)
    closed_forms(docs / "closed-forms.md", tl)
    explorer(docs / "_static" / "explorer.html")


def write(path: Path, text: str) -> None:
    """Write only what changed, so that unchanged pages are not built again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def gallery(folder: Path, root: Path) -> None:
    """Show each figure with its caption: as the repository has it, or else drawn now."""
    from toylin.figures import FIGURES

    folder.mkdir(parents=True, exist_ok=True)
    for file in (root / "figures").glob("*.*"):
        if file.suffix != ".md":
            shutil.copy2(file, folder)
    if missing := [name for name in FIGURES if not (folder / f"{name}.png").exists()]:
        draw = [sys.executable, "-c", "from toylin.cli import main; main()", "figure", *missing]
        subprocess.run([*draw, "--out", str(folder)], check=True, cwd=root)
    parts = [
        "# Gallery\n\nEvery figure of the package. `toylin figure "
        "NAME` draws one, with the data behind it (NAME.npz) and its settings (NAME.json)."
    ]
    for name, title, caption, command in described(folder):
        parts.append(
            f"(figure-{name})=\n## {title}\n\n"
            f"```{{figure}} {name}.png\n:alt: {title}\n\n{caption}\n```\n\n"
            f"`{command}` · {{download}}`vector graphics <{name}.pdf>` · "
            f"{{download}}`data <{name}.npz>`"
        )
    write(folder / "index.md", "\n\n".join(parts) + "\n")


def described(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Of each figure its name, its heading, the rest of its caption, and what draws it."""
    from toylin.figures import FIGURES, ON_IMAGES, headed

    for name in FIGURES:
        title, rest = headed(json.loads((folder / f"{name}.json").read_text())["caption"])
        root = " --root DIR" if name in ON_IMAGES else ""
        yield name, plain(title), plain(rest[0].upper() + rest[1:]), f"toylin figure {name}{root}"


def figures_page(folder: Path) -> str:
    """What whoever opens the folder of figures in a browser reads: each with its caption."""
    parts = ["# Figures\n\nMade by `toylin figure NAME`; this page by `python docs/generate.py`."]
    for name, title, caption, command in described(folder):
        parts.append(
            f"## {title}\n\n![{title}]({name}.png)\n\n{caption}\n\n`{command}` · "
            f"[vector graphics]({name}.svg) · [settings]({name}.json)"
        )
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([*_$<\[\]`])", r"\\\1", text)


def tutorials(folder: Path, notebooks: Path) -> None:
    """The notebooks, in the order of their names."""
    found = sorted(notebooks.glob("*.ipynb"))
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.ipynb"):
        if stale.name not in {path.name for path in found}:
            stale.unlink()
    for path in found:
        write(folder / path.name, path.read_text())
    text = (
        "# Tutorials\n\nNotebooks, run when this page was built; every claim in them ends in a "
        "cell that checks it."
    )
    if found:
        names = "\n".join(path.stem for path in found)
        text += f"\n\n```{{toctree}}\n:maxdepth: 1\n\n{names}\n```"
    else:
        text += "\n\nThis build has none: the folder `notebooks` is missing."
    write(folder / "index.md", text + "\n")


def topics(tl: ModuleType) -> dict[str, list[str]]:
    """The groups of names in ``toylin/__init__.pyi``, under their comments."""
    assert tl.__file__ is not None
    groups: dict[str, list[str]] = {}
    for block in re.split(r"^# ", Path(tl.__file__).with_suffix(".pyi").read_text(), flags=re.M)[
        1:
    ]:
        title, _, imports = block.partition("\n")
        groups[title] = re.findall(r" as (\w+)$", imports, flags=re.MULTILINE)
    return groups


def api(folder: Path, tl: ModuleType) -> None:
    """A page for every topic, and an index with the first line of every docstring."""
    index = [
        "# API reference\n\nEvery public name of `import toylin as tl`, by topic. Arrays are "
        'described by jaxtyping: `Float[Array, "tasks dim"]` has two axes of those names, '
        '`Float[Array, ""]` is a scalar. Losses are in units of y², half the mean squared error, '
        "or in nats for classification; step sizes multiply the gradient of that loss. Bad input "
        "raises `ValueError`, and a combination without a closed form `NoClosedFormError`."
    ]
    pages = []
    for title, names in topics(tl).items():
        page = re.sub(r"\W+", "-", re.split(",| and how", title)[0].lower())
        pages.append(page)
        rows, body = [], []
        for name in names:
            obj = getattr(tl, name)
            members = module_names(obj) if inspect.ismodule(obj) else [(name, obj)]
            if inspect.ismodule(obj):
                body.append(
                    f"## toylin.{name}\n\n```{{eval-rst}}\n.. automodule:: toylin.{name}\n```"
                )
            for full, member in members:
                rows.append(f"| {{py:obj}}`{full} <toylin.{full}>` | {summary(member)} |")
                body.append(documented(full, member))
        table = "\n".join(["| name | what it is |", "|---|---|", *rows])
        index.append(f"## [{title}]({page}.md)\n\n{table}")
        write(folder / f"{page}.md", f"# {title}\n\n" + "\n\n".join(body) + "\n")
    entries = "\n".join([*pages, "commands"])
    for stale in folder.glob("*.md"):
        if stale.stem not in {*pages, "commands", "index"}:
            stale.unlink()
    index.append(f"```{{toctree}}\n:hidden:\n\n{entries}\n```")
    write(folder / "index.md", "\n\n".join(index) + "\n")


def module_names(module: ModuleType) -> list[tuple[str, Any]]:
    """The functions and classes that a public submodule defines or re-exports from within."""
    short = module.__name__.removeprefix("toylin.")
    return [
        (f"{short}.{name}", obj)
        for name, obj in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(obj) or inspect.isclass(obj))
        and obj.__module__.startswith(module.__name__)
        and not hasattr(sys.modules["toylin"], name)  # documented at the top, where they are
    ]


def summary(obj: Any) -> str:
    """The first paragraph of the docstring, in one line."""
    first = " ".join(inspect.getdoc(obj).split("\n\n")[0].split())  # type: ignore[union-attr]
    pieces = re.split(r"``(.*?)``", first)
    pieces[::2] = [plain(piece).replace("|", r"\|") for piece in pieces[::2]]
    pieces[1::2] = [f"`{piece}`" for piece in pieces[1::2]]
    return "".join(pieces)


def documented(name: str, obj: Any) -> str:
    """The directive that documents one object."""
    kind, options = "function", ""
    if inspect.isclass(obj):
        kind = "exception" if issubclass(obj, BaseException) else "class"
        options = "\n   :members:" if kind == "class" else ""
    heading = f"## {name}\n\n" if "." not in name else f"### {name.rpartition('.')[2]}\n\n"
    return f"{heading}```{{eval-rst}}\n.. auto{kind}:: toylin.{name}{options}\n```"


def commands(path: Path) -> None:
    """What every command says of itself."""
    import click

    from toylin.cli import COMMANDS, cli

    def text(command: click.Command, name: str) -> str:
        context = click.Context(command, info_name=name, max_content_width=100)
        return f"```text\n{command.get_help(context)}\n```"

    parts = ["# Commands", text(cli, "toylin")]
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        parts.append(f"## toylin {name}\n\n{text(command, f'toylin {name}')}")
    write(path, "\n\n".join(parts) + "\n")


def derivations(path: Path, tl: ModuleType) -> None:
    """What ``derive`` prints, for the cases that fit a page."""
    parts = [
        "# Derivations\n\nWhat `toylin.derive(depth, steps, shots)` finds, as it prints itself: "
        "nothing on this page was typed. $p$ is the product of the weights, primes mark adapted "
        "ones. The range of validity is that of the [scalar problem](scalar.md): any weights, step "
        "size, mean and spreads."
    ]
    for depth, steps, shots, title in DERIVED:
        latex = tl.derive(depth, steps, shots).format("latex").strip()
        parts.append(f"## {title}\n\n{latex}")
    write(path, "\n\n".join(parts) + "\n")


def closed_forms(path: Path, tl: ModuleType) -> None:
    """The table of routes."""
    rows = [
        f"| {plain(r.name)} | {plain(r.description)} | {plain(r.accuracy)} |"
        for r in tl.closed_form.ROUTES
    ]
    parts = [
        "# What has a closed form\n\nThe expected outer loss and its gradient, for the deep linear "
        "model, by `toylin.closed_form.outer_loss`, `outer_grad` and "
        "`outer_value_and_grad`. Of the routes that serve a call the first in this table is taken; "
        "`toylin.closed_form.route(params, tasks, rule)` says which. A linear rule is one whose "
        "update is one linear map of the gradient, the same at every step: MAML, FOMAML, ANIL, "
        "Reptile, Meta-SGD, Meta-Curvature, and Meta-KFO whose factors do not adapt.",
        "\n".join(["| route | serves | accuracy |", "|---|---|---|", *rows]),
        "On one task's data, points or moments of regression or of a binary task, "
        "`inner_loss`, `inner_grad` and `adapt` are formulas for any depth and widths.",
        "Nothing falls back to sampling in silence: all else raises `NoClosedFormError`, whose "
        "message names what serves it. That is `toylin.autodiff` on sampled tasks, for any model, "
        "data and rule, or `toylin.estimate`, which averages the exact inner loop over drawn tasks "
        "and returns a standard error.",
    ]
    write(path, "\n\n".join(parts) + "\n")


def explorer(path: Path) -> None:
    """The interactive page."""
    from toylin.explorer import page

    write(path, page())


if __name__ == "__main__":
    here = Path(__file__).parents[1] / "figures"
    write(here / "README.md", figures_page(here))
