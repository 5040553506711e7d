"""Tests with one line of toylin changed: not on the disk, so that trials run side by side."""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .changes import ROOT, Change
from .reach import Recorder

#: Processor seconds of tests after which a trial looks at what has failed: most changes are
#: noticed by the first, and a file of tests takes long to collect.
STAGES = (4.0, 30.0)


class _Loader(importlib.machinery.SourceFileLoader):
    """Of a module whose text is another than its file's."""

    def __init__(self, name: str, path: str, text: bytes) -> None:
        super().__init__(name, path)
        self.text = text

    def get_code(self, fullname: str) -> Any:
        return compile(self.text, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Of the changed module; a plugin of pytest, whose own finder takes the files that are named.

    Those are the modules with doctests, which it would read from the disk, unchanged.
    """

    def __init__(self, change: Change) -> None:
        self.module, self.path = change.module, ROOT / change.path
        self.text = change.changed(self.path.read_bytes())

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self.module:
            return None
        loader = _Loader(fullname, str(self.path), self.text)
        return importlib.util.spec_from_file_location(fullname, self.path, loader=loader)

    def pytest_sessionstart(self) -> None:
        sys.meta_path[:] = [self, *(finder for finder in sys.meta_path if finder is not self)]


class _FirstFailure:
    """A plugin of pytest."""

    name = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.name:
            self.name = f"collecting {report.nodeid}"


def _pytest(tests: Iterable[str], *plugins: Any) -> int:
    without = ("cacheprovider", "unraisableexception", "threadexception")
    options = ["-q", "-x", "-n0", *(f"-pno:{name}" for name in without)]
    return int(pytest.main([*options, *tests], plugins=[*plugins]))


def prepare(folder: Path) -> None:
    """Import, for all trials at once, what is not toylin; and keep what they compile."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    import hypothesis
    import jax
    import mpmath
    import numpy
    import optax
    import scipy.optimize
    import scipy.special
    import sympy

    # pytest's plugins, too: it takes as long as most trials to find them.
    with redirect_stdout(StringIO()):
        pytest.main(["-q", "-n0", "--collect-only", "-c", os.devnull, str(folder)])
    gc.freeze()  # a child need not go through what all share
    del hypothesis, mpmath, numpy, optax, scipy, sympy
    jax.config.update("jax_compilation_cache_dir", str(folder / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def record(file: str) -> dict[str, Any]:
    """What a file of tests reaches."""
    recorder = Recorder()
    status = _pytest([file], recorder)
    return {"status": status, **recorder.reach()._asdict()}


def stages(tests: list[str], seconds: dict[str, float], most: float) -> list[list[str]]:
    """Tests in their order, in portions that end at the times of ``STAGES`` and at ``most``."""
    ends, spent, portions = [*STAGES, most], 0.0, [list[str]()]
    for test in tests:
        spent += seconds[test]
        if spent > most and any(portions):
            break
        while len(portions) < len(ends) and spent > ends[len(portions) - 1]:
            portions.append([])
        portions[-1].append(test)
    return [portion for portion in portions if portion]


def attempt(change: Change | None, portions: list[list[str]], seconds: float) -> dict[str, Any]:
    """Run the tests with the change, or without any, and name the first that fails.

    Beyond ``seconds`` of the processor the process dies: a change may make a loop endless.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    plugins: list[Any] = [first := _FirstFailure()]
    if change is not None:
        plugins.append(finder := _Finder(change))
        sys.meta_path.insert(0, finder)
    start, by = time.process_time(), ""
    for portion in portions:
        status = _pytest(portion, *plugins)
        if status:
            by = first.name or f"status {status}"
            break
    return {"by": by, "seconds": time.process_time() - start}


class _Child(NamedTuple):
    key: Any
    result: Path
    deadline: float


def side_by_side(
    jobs: Iterable[tuple[Any, Callable[[], dict[str, Any]], float]], workers: int, folder: Path
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Run jobs, each in a process of its own that has all imports but toylin behind it.

    A job is a key, a function that returns what JSON holds, and the seconds after which it hangs.
    """
    running: dict[int, _Child] = {}
    waiting = iter(jobs)
    number = 0
    more = True
    while more or running:
        while more and len(running) < workers:
            job = next(waiting, None)
            if job is None:
                more = False
                break
            key, work, limit = job
            number += 1
            result = folder / f"result-{number}.json"
            running[_fork(work, result)] = _Child(key, result, time.monotonic() + limit)
        time.sleep(0.02)
        for pid, child in [*running.items()]:
            late = time.monotonic() > child.deadline
            if late:
                os.killpg(pid, signal.SIGKILL)
            if os.waitpid(pid, 0 if late else os.WNOHANG)[0]:
                del running[pid]
                text = child.result.read_text() if child.result.exists() and not late else ""
                child.result.unlink(missing_ok=True)
                yield child.key, json.loads(text) if text else {"by": "a hang" if late else "death"}


def _fork(work: Callable[[], dict[str, Any]], result: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        Path("/proc/self/oom_score_adj").write_text("1000")  # a change may ask for all memory
        out = os.open(result.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        text = json.dumps(work())
        result.write_text(text)
        result.with_suffix(".log").unlink()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)
