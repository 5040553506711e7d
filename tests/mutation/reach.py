"""Which tests run which lines, and for how long: a change is tried on those alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .changes import ROOT, Change

#: Of all tests whose own work is not Python here: a browser, other processes, notebooks, texts.
ELSEWHERE = ("tests/explorer", "tests/cli", "tests/figures", "tests/docs", "tests/test_house.py")

#: Sees the values that the import gives to parameters.
DEFAULTS = "tests/test_defaults.py"


class Reach(NamedTuple):
    """What one file of tests runs."""

    seconds: dict[str, float]  # of the processor, of each test
    lines: dict[str, dict[int, list[str]]]  # by file, the tests that run a line


class Recorder:
    """A plugin of pytest: the lines of toylin that each test runs, by ``coverage``."""

    def __init__(self) -> None:
        import coverage

        source = [str(ROOT / "toylin")]
        self.coverage = coverage.Coverage(source=source, data_file=None, config_file=False)
        self.seconds: dict[str, float] = {}
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self.coverage.switch_context(item.nodeid)
        start = time.process_time()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.process_time() - start
            self.coverage.switch_context("")

    def reach(self) -> Reach:
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {
            str(Path(file).relative_to(ROOT)): {
                line: [test for test in tests if test]
                for line, tests in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        return Reach(self.seconds, lines)


class Reached:
    """The tests of a change, from what all files of tests run."""

    def __init__(self, parts: list[Reach]) -> None:
        self.seconds = {test: s for part in parts for test, s in part.seconds.items()}
        self.lines: dict[str, dict[int, set[str]]] = {}
        for part in parts:
            for file, lines in part.lines.items():
                of_file = self.lines.setdefault(file, {})
                for line, tests in lines.items():
                    of_file.setdefault(int(line), set()).update(tests)

    def tests(self, change: Change) -> list[str]:
        """The tests to try: cheap ones, those that run the change, those of its mirror first.

        What is run once, by the import or into a cache, is reached by all that run the file; what
        a test has compiled or computed for the next ones of its file, by all of that file.
        """
        lines = self.lines.get(str(change.path), {})
        found = set[str]().union(*(lines.get(line, set()) for line in change.lines))
        if change.imported or not found:
            found = set[str]().union(*lines.values())
        if change.imported:
            found |= {test for test in self.seconds if test.startswith(DEFAULTS)}
        files = {test.partition("::")[0] for test in found}
        others = {t for t in self.seconds if t.partition("::")[0] in files} - found
        mirror, room = change.path.stem.removeprefix("_"), change.path.parts[1]

        def cost(test: str) -> float:
            if change.imported and test.startswith(DEFAULTS):
                return 0.0
            file = Path(test.partition("::")[0])
            name = file.stem.removeprefix("test_")
            near = name.startswith(mirror) or mirror.startswith(name)
            here = file.parts[1] == room
            likely = (10.0 if near and here else 2.0 if here else 1.0) / (1 if test in found else 3)
            return (self.seconds[test] + 0.02) / likely

        return sorted(found | others, key=cost)
