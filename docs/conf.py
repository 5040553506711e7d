"""The site: ``sphinx-build -W -b html docs docs/_build``."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import stringify_signature

import toylin as tl
from toylin._internal.compiling import compile_quickly

sys.path.insert(0, str(Path(__file__).parent))
import executed
import formulas
import generate
import reproduced

compile_quickly()  # here, and in the notebooks' processes

project = "toylin"
author = "The toylin developers"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # MathJax and its fonts from a package: nothing from the network
]
exclude_patterns = ["_build", "jupyter_execute", ".jupyter_cache"]
nitpicky = True
# Types of other packages are not linked; names of toylin must resolve.
nitpick_ignore_regex = [("py:.*", r"(?!toylin\b).*|toylin\.\w+\._.*")]
maximum_signature_line_length = 80

myst_enable_extensions = ["dollarmath", "amsmath", "substitution", "colon_fence"]
myst_substitutions = {name: f"$$\n{f.latex()}\n$$" for name, f in formulas.FORMULAS.items()}
myst_heading_anchors = 3

nb_execution_mode = "cache"
nb_execution_raise_on_error = True
DOCS = Path(__file__).parent
nb_execution_cache_path = str(DOCS / ".jupyter_cache")
nb_code_prompt_show = "Solution"  # what is folded in the notebooks
nb_code_prompt_hide = "Fold the solution"

napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "toylin"
html_show_copyright = False
html_static_path = ["_static"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#b3201f", "color-brand-content": "#b3201f"},
    "dark_css_variables": {"color-brand-primary": "#ff8a80", "color-brand-content": "#ff8a80"},
}


def escape(_app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list) -> None:
    """Docstrings are plain text with ``literals``: a bar or star in a formula is no markup."""
    parts = re.split(r"((?s:``.*?``)|(?m:^ *(?:>>>|\.\.\.).*$))", "\n".join(lines))
    parts[::2] = [re.sub(r"([|*]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def signature(
    _app: Sphinx, _what: str, _name: str, obj: Any, _options: Any, sig: str | None, returns: Any
) -> tuple[str | None, Any] | None:
    """Annotations as they are written, with their shapes."""
    if sig is None or not callable(obj):
        return None
    found = inspect.signature(obj)
    parameters = list(found.parameters.values())
    if parameters and parameters[0].name == "self":
        parameters = parameters[1:]
    if inspect.isclass(obj):
        found = found.replace(return_annotation=found.empty)
    text = stringify_signature(found.replace(parameters=parameters))
    arguments, arrow, result = text.rpartition(" -> ")
    return (arguments, result) if arrow else (text, returns)


def skip(_app: Sphinx, _what: str, name: str, obj: Any, skipped: bool, _options: Any) -> bool:
    """A named tuple's fields are described in its docstring."""
    return skipped or type(obj).__name__ == "_tuplegetter"


def by_public_name(
    app: Sphinx, env: BuildEnvironment, node: nodes.Element, content: nodes.Node
) -> nodes.Node | None:
    """A link to toylin.tasks.LinearRegression leads to toylin.LinearRegression."""
    public = f"toylin.{node.get('reftarget', '').rpartition('.')[2]}"
    domain = env.domains.python_domain
    if node.get("refdomain") != "py" or public not in domain.objects:
        return None
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], public, node, content
    )


def on_site(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Links through the repository lead to the same on the site; functions named are linked."""
    text = re.sub(r"\(\.\./notebooks/(\w+\.ipynb)\)", r"(tutorials/\1)", source[0])
    text = re.sub(r"\(\.\./figures/(\w+)\.png\)", r"(#figure-\1)", text)
    text = text.replace("(../figures/README.md)", "(gallery/index.md)")
    if docname == "claims":
        text = re.sub(
            r"^- functions: .*$",
            lambda line: re.sub(r"`(\w+)`", r"{py:obj}`\1 <toylin.\1>`", line[0]),
            text,
            flags=re.MULTILINE,
        )
    source[0] = text


def setup(app: Sphinx) -> None:
    """Generate pages, and run those with code, before the sources are read."""
    generate.everything(DOCS, tl)
    notebooks = sorted((DOCS / "tutorials").glob("*.ipynb"))
    reproduced.write(Path(nb_execution_cache_path), notebooks, executed.execute)
    app.connect("source-read", on_site)
    app.connect("autodoc-process-docstring", escape, priority=400)
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-skip-member", skip)
    app.connect("missing-reference", by_public_name)
    app.add_css_file("site.css")
