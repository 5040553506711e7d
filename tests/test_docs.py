"""The code in the documentation runs, and its assertions hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [
    page
    for page in sorted([*DOCS.glob("*.md"), *DOCS.glob("mathematics/*.md")])
    if "```python" in page.read_text()
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_in_the_docs_runs(page):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    code = compile("\n".join(blocks), str(page), "exec", dont_inherit=True)
    exec(code, {"__name__": __name__})
