"""Programs kept on disk: found again, harmless when damaged, full or forbidden, and turned off."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import jax
from toylin._internal.compiling import keep_programs
folder = keep_programs()
events = []
jax.monitoring.register_event_listener(lambda name, **_: events.append(name))
print(float(jax.jit(lambda x: 3 * x + 1)(2.0)))
print(folder is not None, events.count("/jax/compilation_cache/cache_hits"))
"""

# As the command sets it: XLA takes a processor for another one than itself by its tuning flags.
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}


def run(folder, **environment) -> list[str]:
    inherited = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=inherited | QUIET | {"TOYLIN_COMPILE_CACHE": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split()


def test_a_second_process_finds_the_programs_of_the_first(tmp_path):
    assert run(tmp_path) == ["7.0", "True", "0"]
    assert run(tmp_path) == ["7.0", "True", "1"]


def test_other_flags_are_another_folder(tmp_path):
    run(tmp_path)
    run(tmp_path, XLA_FLAGS="--xla_backend_optimization_level=1")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("word", ["off", "0", "no"])
def test_it_can_be_turned_off(word):
    assert run(word) == ["7.0", "False", "0"]


def test_damaged_programs_are_compiled_again(tmp_path):
    run(tmp_path)
    kept = [path for path in tmp_path.rglob("*-cache") if path.is_file()]
    assert kept
    for path in kept:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert run(tmp_path)[0] == "7.0"


def test_a_folder_that_cannot_be_made_costs_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert run(tmp_path / "file" / "cache") == ["7.0", "False", "0"]
