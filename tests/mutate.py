"""Change toylin on purpose, one place at a time, and see whether the tests notice.

    python tests/mutate.py --sample 60 --seed 1            # over all that computes a number
    python tests/mutate.py toylin/limits/_bayes.py         # every place of one file

Each change (a sign, an operation, a comparison, a number, a transposition) is made in a copy of
the checkout, and the tests that concern the file run there until the first failure. What no test
notices is printed, unless ``tests/survivors.txt`` says why it makes no difference; the exit status
is 1 where fewer than 95 % of the others are noticed. Run before a release: an hour for a hundred.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SURVIVORS = Path(__file__).with_name("survivors.txt")
ENOUGH = 0.95
SECONDS = 900  # a change that makes tests hang is noticed too

# What computes a number, and the tests that hold it, the cheapest first.
TESTS = {
    "quadrature": ["tests/quadrature", "tests/closed_form", "tests/limits"],
    "models": ["tests/models", "tests/test_routes_agree.py"],
    "tasks": ["tests/tasks", "tests/quadrature", "tests/test_routes_agree.py", "tests/training"],
    "rules": ["tests/rules", "tests/closed_form/test_rule_closed_forms.py"],
    "autodiff": ["tests/closed_form/test_memory.py", "tests/test_routes_agree.py", "tests/rules"],
    "closed_form": ["tests/closed_form", "tests/test_routes_agree.py", "tests/test_overflow.py"],
    "training": ["tests/training", "tests/test_any_model.py", "tests/sweeps/test_sweeps.py"],
    "landscape": ["tests/landscape", "tests/limits/test_optima.py"],
    "limits": ["tests/limits", "tests/test_limiting_cases.py"],
    "depth": ["tests/depth", "tests/test_external_facts.py"],
    "symbolic": ["tests/symbolic"],
    "sweeps": ["tests/sweeps/test_sweeps.py", "tests/sweeps"],
}
_OPERATIONS = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.Pow: "*"}
_COMPARISONS = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
}


class Change(NamedTuple):
    """Bytes of a file to be replaced."""

    path: Path  # from the root
    line: int
    code: str  # of that line
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"

    @property
    def what(self) -> str:
        """The change, and the whole line that it is made to."""
        return f"{self.old} -> {self.new} in: {self.code}"

    @property
    def name(self) -> str:
        """As ``survivors.txt`` has it: a line keeps its name when it moves."""
        return f"{self.path}: {self.what}"


class _Places(ast.NodeVisitor):
    """The expressions of a file that a change can be made to: no types, messages or docstrings."""

    def __init__(self, text: str) -> None:
        self.text, self.found = text, list[tuple[ast.AST, str]]()

    def source(self, node: ast.AST) -> str:
        return ast.get_source_segment(self.text, node) or ""

    def add(self, node: ast.AST, new: str) -> None:
        self.found.append((node, new))

    def visit_Raise(self, node: ast.Raise) -> None: ...
    def visit_JoinedStr(self, node: ast.JoinedStr) -> None: ...
    def visit_Assert(self, node: ast.Assert) -> None: ...

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in _OPERATIONS and not isinstance(node.left, ast.JoinedStr):
            left, right = self.source(node.left), self.source(node.right)
            self.add(node, f"({left}) {_OPERATIONS[type(node.op)]} ({right})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub):
            self.add(node, f"({self.source(node.operand)})")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS:
            left, right = self.source(node.left), self.source(node.comparators[0])
            self.add(node, f"{left} {_COMPARISONS[type(node.ops[0])]} {right}")
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr == "T":
            self.add(node, self.source(node.value))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.add(node, str(not node.value))
        elif isinstance(node.value, int | float):
            more = node.value + 1 if isinstance(node.value, int) else 2 * node.value or 1.0
            self.add(node, repr(more))


def changes(path: Path) -> Iterator[Change]:
    """All changes to a file, in its order."""
    text = (ROOT / path).read_text()
    code = [line.strip() for line in text.splitlines()]
    lines = [0]
    for line in text.encode().splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    places = _Places(text)
    places.visit(ast.parse(text))
    for node, new in places.found:
        start = lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        old = " ".join(places.source(node).split())
        line = node.lineno  # type: ignore[attr-defined]
        yield Change(path, line, code[line - 1], start, end, old, " ".join(new.split()))


def tests_of(path: Path) -> list[str]:
    """The test of that name first, where there is one."""
    room = path.parts[1]
    mirror = f"tests/{room}/test_{path.stem.removeprefix('_')}.py"
    return [mirror, *TESTS[room]]


def noticed(change: Change, copy: Path) -> bool:
    """Whether a test fails with it."""
    file = copy / change.path
    before = file.read_bytes()
    file.write_bytes(before[: change.start] + change.new.encode() + before[change.end :])
    tests = [t for t in tests_of(change.path) if (copy / t).exists()]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS
        )
        return done.returncode != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        file.write_bytes(before)


def explained() -> set[str]:
    """The names of the changes that ``survivors.txt`` explains."""
    lines = SURVIVORS.read_text().splitlines()
    return {line.strip() for line in lines if line.startswith("toylin/")}


def main() -> int:
    """Try them, and say what was not noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--sample", type=int, help="how many, drawn at random; all by default")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    files = options.files or [
        p.relative_to(ROOT)
        for room in TESTS
        for p in sorted((ROOT / "toylin" / room).rglob("*.py"))
        if p.stem != "_pictures"
    ]
    every = [change for path in files for change in changes(path)]
    known = explained()
    every = [c for c in every if c.name not in known]
    if options.sample and options.sample < len(every):
        every = random.Random(options.seed).sample(every, options.sample)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "toylin"
        shutil.copytree(
            ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "_build", "*.npz")
        )
        survivors = []
        for i, change in enumerate(every):
            seen = noticed(change, copy)
            survivors += [] if seen else [change]
            print(f"{i + 1}/{len(every)} {'noticed' if seen else 'SURVIVED'} {change}", flush=True)
    share = 1 - len(survivors) / max(len(every), 1)
    print(f"{share:.1%} of {len(every)} changes noticed", *map(str, survivors), sep="\n")
    return int(share < ENOUGH)


if __name__ == "__main__":
    sys.exit(main())
