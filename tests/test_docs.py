"""The code in the documentation runs, and its assertions hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parent.parent / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_in_the_docs_runs(page):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    assert blocks
    code = compile("\n".join(blocks), str(page), "exec", dont_inherit=True)
    exec(code, {"__name__": __name__})
