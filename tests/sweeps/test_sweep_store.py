"""A store survives being killed, refuses what it must, and says why."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import toylin as tl
from toylin.sweeps import _store
from toylin.sweeps._store import Store

WORKER = Path(__file__).with_name("sweep_worker.py")
THOROUGH = os.environ.get("TOYLIN_TESTS") == "thorough"


def small(**changes):
    settings = {
        "over": {"depth": [1, 2], "step_size": [0.1, 0.5, 0.9]},
        "num_steps": 4,
        "seeds": 2,
        "chunk_runs": 4,
    }
    return tl.sweep(tl.LinearRegression(), **(settings | changes))


def contents(store):
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(Path(store).rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def start(store, *settings):
    return subprocess.Popen([sys.executable, WORKER, store, *settings], stdout=subprocess.DEVNULL)


def test_what_is_stored_is_what_is_computed(tmp_path):
    memory, stored = small(), small(store=tmp_path / "a.zarr")
    assert bool(stored.computed.all())
    assert memory.equals(stored.drop_vars("computed").load())
    assert memory.attrs.items() <= stored.attrs.items()
    for name, variable in memory.variables.items():
        assert stored[name].attrs == variable.attrs


def test_coordinates_are_coordinates_on_disk_too(tmp_path):
    changes = {"over": {"both": {"step_size": [0.1, 0.5], "scale": [1.0, 2.0]}}, "seeds": None}
    memory, stored = small(**changes), small(**changes, store=tmp_path / "a.zarr")
    assert set(stored.coords) == set(memory.coords) == {
        "both", "step_size", "scale", "seed", "iteration", "input",
    }  # fmt: skip
    assert memory.equals(stored.drop_vars("computed").load())


def test_killed_at_any_moment_it_resumes_to_the_same_bytes(tmp_path):
    whole, killed = tmp_path / "whole.zarr", tmp_path / "killed.zarr"
    assert start(whole).wait() == 0
    rng = random.Random(7)
    kills, mid_run = (20 if THOROUGH else 3), 0
    done = killed / "computed"

    def finished():
        return len([f for f in done.glob("[0-9]*") if f.suffix != ".partial"])

    for _ in range(kills):
        before, process = finished(), start(killed)
        # Wait for something new to be written, so that kills fall where results are, then a bit.
        while process.poll() is None and finished() == before:
            time.sleep(0.001)
        time.sleep(rng.uniform(0.0, 0.03))
        process.send_signal(signal.SIGKILL)
        mid_run += process.wait() == -signal.SIGKILL
        if done.exists():
            # What is said to be done is readable and right, and was not lost.
            assert finished() >= before
            partial, full = tl.open_store(killed), tl.open_store(whole)
            mask = partial.computed.values
            for name in full.data_vars:
                np.testing.assert_array_equal(partial[name].values[mask], full[name].values[mask])
    assert mid_run >= min(kills, 3), "the sweep is too short to be killed"
    assert start(killed).wait() == 0
    assert contents(killed) == contents(whole)


def test_resuming_computes_only_what_is_missing(tmp_path, monkeypatch):
    store = tmp_path / "a.zarr"
    small(store=store)
    before = contents(store)
    (store / "computed" / "1.0.0").unlink()
    (store / ".checksums" / "1.0.0").unlink()
    written = []
    write = Store.write
    monkeypatch.setattr(
        Store, "write", lambda self, *args: (written.append(args[0]), write(self, *args))
    )
    small(store=store, memory="1GiB", chunk_runs=100)
    assert [chunk.start for chunk in written] == [(1, 0, 0)]
    assert contents(store) == before


def test_a_store_of_other_settings_is_refused_by_name(tmp_path):
    store = tmp_path / "a.zarr"
    small(store=store)
    with pytest.raises(ValueError, match=r"num_steps is 4 in the store and 8 in this sweep"):
        small(store=store, num_steps=8, record_every=1)
    with pytest.raises(ValueError, match=r"over.step_size.rule.step_size\[1\] is 0.5 .* 0.6"):
        small(store=store, over={"depth": [1, 2], "step_size": [0.1, 0.6, 0.9]})
    with pytest.raises(ValueError, match=r"optimizer.learning_rate is 0.01 .* 0.02"):
        small(store=store, optimizer=tl.Optimizer("adam", 0.02))
    with pytest.raises(ValueError, match=r"dtype is 'float64' .* 'float32'"):
        small(store=store, dtype="float32")


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(ValueError, match="store must be a new folder"):
        small(store=tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "all of it"
    with pytest.raises(ValueError, match="store must be a folder written by a sweep"):
        tl.open_store(tmp_path)


def test_a_second_writer_is_refused(tmp_path):
    store = tmp_path / "a.zarr"
    small(store=store)
    process = start(tmp_path / "b.zarr", "num_steps=20000")
    try:
        while not (tmp_path / "b.zarr" / ".lock").exists():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.5)
        second = subprocess.run(
            [sys.executable, WORKER, tmp_path / "b.zarr", "num_steps=20000"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode != 0
        assert f"is being written by process {process.pid}" in second.stderr
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "No space left.*finished chunks are safe"), (errno.EROFS, "Read-only")],
)
def test_a_failing_disk_is_one_clear_error(tmp_path, monkeypatch, number, words):
    store = tmp_path / "a.zarr"
    real, calls = _store.write_durably, []

    def fails(path, content):
        calls.append(path.parent.name)
        if calls.count("loss") == 4:  # description and attributes come first
            raise OSError(number, os.strerror(number))
        real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(_store, "write_durably", fails)
        with pytest.raises(tl.StoreError, match=words):
            small(store=store)
    assert tl.open_store(store).computed.values.sum() == 4
    assert bool(small(store=store).computed.all())


def test_a_full_disk_for_real(tmp_path):
    # A limit on the size of files is the full disk that needs no privileges.
    limited = f"ulimit -f 1; exec {sys.executable} {WORKER} {tmp_path / 'a.zarr'} num_steps=4000"
    process = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert "StoreError: cannot write to store" in process.stderr.splitlines()[-1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(tl.StoreError, match="choose a folder that can be written"):
        small(store=tmp_path / "a.zarr")


def test_a_place_that_cannot_hold_a_folder_is_said_to_be_one(tmp_path, monkeypatch):
    """A folder that could not be made "was moved or removed", with finished chunks to look for."""
    (tmp_path / "file").write_text("")
    with pytest.raises(tl.StoreError, match="a file stands where a folder must be"):
        tl.sweep(over={"depth": [1]}, num_steps=2, store=tmp_path / "file" / "a.zarr")

    def nowhere(*_, **__):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr("toylin.sweeps._store._create", nowhere)
    with pytest.raises(tl.StoreError, match=r"a\.zarr': No such file or directory$"):
        tl.sweep(over={"depth": [1]}, num_steps=2, store=tmp_path / "a.zarr")
