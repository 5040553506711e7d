"""Several processes, of which one is killed, cannot write, or never comes: a line on each."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time

import pytest

import toylin as tl

SETTINGS = ["--over", "step_size=0:1:40", "--set", "seeds=40", "--memory", "300kB"]


def start(store, port, process, *more):
    args = ["sweep", *SETTINGS, "--store", str(store), "--devices", "1", *more]
    args += ["--coordinator", f"localhost:{port}", "--num-processes", "2"]
    args += ["--process-id", str(process), "--timeout", "4"]
    return subprocess.Popen(
        [sys.executable, "-m", "toylin", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def own_line(process):
    """The one line that a process leaves besides its progress."""
    errors = process.communicate(timeout=60)[1]
    assert process.returncode != 0
    lines = re.split(r"[\r\n]", errors)
    said = [line for line in lines if line.strip() and not re.search(r"\d/\d+ \[", line)]
    assert len(said) == 1, errors
    return said[0]


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize("killed", [0, 1])
def test_one_is_killed(killed, tmp_path, port):
    store = tmp_path / "a.zarr"
    processes = [start(store, port, i, "--set", "num_steps=4000") for i in range(2)]
    while not list(store.glob(".checksums/*[0-9]")):  # not .partial: written, not yet named
        assert processes[0].poll() is None
        time.sleep(0.05)
    processes[killed].kill()
    begin = time.monotonic()
    assert "process" in own_line(processes[1 - killed])
    assert time.monotonic() - begin < 20
    assert 0 < float(tl.open_store(store, verify=True).computed.mean()) < 1
    processes[killed].communicate()


@pytest.mark.parametrize("process", [0, 1])
def test_one_never_comes(process, tmp_path, port):
    alone = start(tmp_path / "a.zarr", port, process)
    assert "did not come within 4 s (--timeout)" in own_line(alone)


def test_the_store_is_refused(tmp_path, port):
    (tmp_path / "thesis.tex").write_text("all of it")
    processes = [start(tmp_path, port, i, "--set", "num_steps=4") for i in range(2)]
    for process in processes:
        assert "store must be a new folder" in own_line(process)
