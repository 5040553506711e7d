"""The changes that can be made to a file: a sign, an operation, a comparison, a number."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

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
    lines: range  # of the statement
    imported: bool  # whether it is run by the import, rather than by a call
    start: int
    end: int
    old: str
    new: str
    nth: int  # of those that read alike

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"

    @property
    def what(self) -> str:
        """The change, and the whole line that it is made to."""
        return f"{self.old} -> {self.new} in: {self.code}"

    @property
    def name(self) -> str:
        """As ``survivors.txt`` has it: a line keeps its name when it moves."""
        return f"{self.path}: {self.what}" + (f" ({self.nth})" if self.nth > 1 else "")

    @property
    def module(self) -> str:
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def changed(self, text: bytes) -> bytes:
        """The file's text with the change made."""
        return text[: self.start] + self.new.encode() + text[self.end :]


class _Places(ast.NodeVisitor):
    """The expressions of a file that a change can be made to: no types, messages or docstrings."""

    def __init__(self, text: str) -> None:
        self.text, self.found = text, list[tuple[ast.AST, str, range, bool]]()
        self.lines, self.imported = range(0), True

    def source(self, node: ast.AST) -> str:
        return ast.get_source_segment(self.text, node) or ""

    def add(self, node: ast.AST, new: str) -> None:
        self.found.append((node, new, self.lines, self.imported))

    def visit(self, node: ast.AST) -> None:
        """Keep the lines of the statement that is visited: its head, where it has a body."""
        before = self.lines
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno if body else (node.end_lineno or node.lineno) + 1
            self.lines = range(node.lineno, max(end, node.lineno + 1))
        super().visit(node)
        self.lines = before

    def visit_Raise(self, node: ast.Raise) -> None: ...
    def visit_JoinedStr(self, node: ast.JoinedStr) -> None: ...
    def visit_Assert(self, node: ast.Assert) -> None: ...

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        before, self.imported = self.imported, False
        for statement in node.body:
            self.visit(statement)
        self.imported = before

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg != "strict":  # of zip: a check of lengths
            self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        words = any(map(_is_text, (node.left, node.right)))
        if type(node.op) in _OPERATIONS and not words:
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


def _is_text(node: ast.expr) -> bool:
    """Whether it is text, which no number is made of."""
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    return isinstance(getattr(node, "value", None), str) or isinstance(node, ast.JoinedStr)


def changes(path: Path) -> Iterator[Change]:
    """All changes to a file, in its order."""
    text = (ROOT / path).read_text()
    code = [line.strip() for line in text.splitlines()]
    lines = [0]
    for line in text.encode().splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    places = _Places(text)
    places.visit(ast.parse(text))
    alike = Counter[tuple[str, str, str]]()
    for node, new, within, imported in places.found:
        start = lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        old = " ".join(places.source(node).split())
        line = node.lineno  # type: ignore[attr-defined]
        new = " ".join(new.split())
        read = (old, new, code[line - 1])
        alike[read] += 1
        yield Change(
            path, line, code[line - 1], within, imported, start, end, old, new, alike[read]
        )


def explained() -> set[str]:
    """The names of the changes that ``survivors.txt`` explains."""
    lines = (ROOT / "tests/survivors.txt").read_text().splitlines()
    return {line.strip() for line in lines if line.startswith("toylin/")}
