"""One device, eight, and two processes agree to rounding; and memory stays flat."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import xarray

import toylin as tl

WORKER = Path(__file__).with_name("sweep_worker.py")
SIZE = ("step_sizes=25", "seeds=5", "chunk_runs=45")  # divides among no number of devices


def run(*args):
    return subprocess.Popen(
        [sys.executable, WORKER, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*processes):
    answers = [p.communicate(timeout=300) for p in processes]
    for process, (_, errors) in zip(processes, answers, strict=True):
        assert process.returncode == 0, errors
    return [int(out.splitlines()[-1]) for out, _ in answers]


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    store = tmp_path_factory.mktemp("one") / "store.zarr"
    finish(run(store, *SIZE))
    return tl.open_store(store).load()


def test_eight_devices(tmp_path, one_device):
    finish(run(tmp_path / "eight.zarr", *SIZE, "devices=8"))
    eight = tl.open_store(tmp_path / "eight.zarr").load()
    xarray.testing.assert_allclose(eight, one_device, rtol=1e-12)


def test_two_processes(tmp_path, one_device):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    settings = (*SIZE, "devices=2", "processes=2", f"port={port}")
    store = tmp_path / "two.zarr"
    finish(*(run(store, *settings, f"process={i}") for i in range(2)))
    xarray.testing.assert_allclose(tl.open_store(store).load(), one_device, rtol=1e-12)


def test_peak_memory_does_not_grow_with_the_number_of_runs(tmp_path):
    seeds = 10_000 if os.environ.get("TOYLIN_TESTS") == "thorough" else 2000
    settings = ("step_sizes=100", "num_steps=2", "chunk_runs=4096")
    (few,) = finish(run(tmp_path / "few.zarr", *settings, "seeds=100"))
    (many,) = finish(run(tmp_path / "many.zarr", *settings, f"seeds={seeds}"))
    assert many < few + 40 * 2**20
