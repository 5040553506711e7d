"""A damaged store is noticed, named, and mended by resuming; a hostile one runs nothing."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pickle
import random
import re
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import toylin as tl
from toylin.cli import main
from toylin.sweeps._checksums import SKELETON, in_short, listing
from toylin.sweeps._layout import ATTRIBUTES, METADATA
from toylin.sweeps._store import Store

THOROUGH = os.environ.get("TOYLIN_TESTS") == "thorough"
OVER = {"step_size": [0.1, 0.5, 0.9], "theta_mean": [0.0, 0.3, 1.0]}


def small(store=None, over=OVER, **changes):
    settings = {"num_steps": 4, "chunk_runs": 5} | changes
    return tl.sweep(tl.LinearRegression(), over=over, store=store, **settings)


def test_of_many_faults_three_are_named():
    assert [in_short(list(found)) for found in ("a", "abc", "abcde")] == [
        *("a", "a, b, c", "a, b, c and 2 more")
    ]


def contents(store):
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(Path(store).rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished store of two chunks, and its numbers."""
    store = tmp_path_factory.mktemp("whole") / "a.zarr"
    return store, small(store).load()


def copied(whole, tmp_path):
    store = tmp_path / "copy.zarr"
    shutil.copytree(whole[0], store)
    return store


def removed(path):
    path.unlink()


def emptied(path):
    path.write_bytes(b"")


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[random.Random(path.name).randrange(len(content))] ^= 4
    path.write_bytes(bytes(content))


FAULTS = (removed, emptied, truncated, flipped)


def check_named(store, names):
    with pytest.raises(tl.StoreError, match="is damaged") as raised:
        tl.open_store(store, verify=True)
    assert any(name in str(raised.value) for name in names)
    assert "\n" not in str(raised.value)


def check_not_there(store, numbers):
    read = tl.open_store(store).load()
    done = read.computed.values
    assert not done.all()
    for name, values in read.data_vars.items():
        np.testing.assert_array_equal(values.values[done], numbers[name].values[done])


def check_noticed_and_mended(store, names, whole):
    """``names``: of the files that are damaged."""
    before, numbers = contents(whole[0]), whole[1]
    if re.fullmatch(r"\.checksums/[0-9.]+", names[0]) and not (store / names[0]).exists():
        check_not_there(store, numbers)  # without its list a chunk is not there
    else:
        check_named(store, names)
    with pytest.warns(UserWarning, match="is damaged") as said:
        resumed = small(store)
    assert any(name in str(w.message) for w in said for name in names)
    assert contents(store) == before
    assert resumed.load().equals(numbers)


def test_every_file_is_watched(whole, tmp_path):
    names = [*contents(whole[0])]
    assert len(names) > 50
    for number, name in enumerate(names):
        for fault in FAULTS if THOROUGH else FAULTS[number % 4 :][:1]:
            store = copied(whole, tmp_path)
            fault(store / name)
            check_noticed_and_mended(store, [name], whole)
            shutil.rmtree(store)


@pytest.mark.parametrize("name", ["loss/0.0.0", "computed/0.0", ".checksums/0.0", ".zattrs"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_noticed(name, fault, whole, tmp_path):
    store = copied(whole, tmp_path)
    fault(store / name)
    check_noticed_and_mended(store, [name], whole)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("loss/0.0.0", "loss/1.0.0"),
        ("loss/0.0.0", "grad_norm/0.0.0"),
        (".checksums/0.0", ".checksums/1.0"),
        ("step_size/0", "theta_mean/0"),
        ("loss/.zarray", "grad_norm/.zattrs"),
    ],
)
def test_swapped_files_are_noticed(one, two, whole, tmp_path):
    store = copied(whole, tmp_path)
    (store / one).rename(store / "between")
    (store / two).rename(store / one)
    (store / "between").rename(store / two)
    check_noticed_and_mended(store, [one, two], whole)


def test_folders_that_are_gone_are_noticed(whole, tmp_path):
    for name in ("loss", "step_size", "computed", ".checksums"):
        store = copied(whole, tmp_path)
        shutil.rmtree(store / name)
        check_noticed_and_mended(store, [name], whole)
        shutil.rmtree(store)


def test_damage_is_noticed_as_it_is_read(whole, tmp_path):
    store = copied(whole, tmp_path)
    flipped(store / "loss/1.0.0")
    ds = tl.open_store(store)
    assert ds.final_loss.load().equals(whole[1].final_loss)
    with pytest.raises(tl.StoreError, match=r"loss/1.0.0 does not match .*runs .* are lost"):
        ds.loss.load()
    with open(store / "loss/0.0.0", "ab") as file:  # is not read beyond what is described
        file.truncate(2**40)
    with pytest.raises(tl.StoreError, match=r"loss/0.0.0 does not match"):
        tl.open_store(store).loss[:1].load()


def test_a_command_says_so_in_one_line(whole, tmp_path, monkeypatch, capsys):
    store = copied(whole, tmp_path)
    emptied(store / "loss/1.0.0")
    argv = ["toylin", "plot", "sweep", str(store), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with pytest.raises(SystemExit, match="1"):
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("toylin: store ")
    assert "loss/1.0.0 does not match its checksum" in line
    warnings.showwarning(UserWarning("store 'a'\nis damaged"), UserWarning, "a.py", 1)
    assert capsys.readouterr().err == "toylin: store 'a' is damaged\n"


def test_what_says_which_sweep_it_is_stands_twice(whole, tmp_path):
    store = copied(whole, tmp_path)
    about = json.loads((store / ATTRIBUTES).read_text())
    about["block"] = [1, 1, 1]
    (store / ATTRIBUTES).write_text(json.dumps(about))
    check_noticed_and_mended(store, [ATTRIBUTES], whole)
    for name in (ATTRIBUTES, METADATA):
        (store / name).write_text("[" * 100_000)
    for call in (small, tl.open_store):
        with pytest.raises(tl.StoreError, match=r"\.zattrs is missing or has changed.*restore one"):
            call(store)


class Mark:
    """A pickle that leaves a mark when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


HOSTILE = [
    {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}]},
    {"dtype": "|O"},
    {"filters": [{"id": "pickle", "protocol": 5}]},
    {"compressor": {"id": "pickle", "protocol": 5}},
    {"compressor": {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1}},
    {"dtype": "<M8[ns]"},
    {"dtype": [["a", "<f8"]]},
    {"shape": [2**40, 3, 5]},
    {"shape": [3, 3, -5]},
    {"chunks": [0, 3, 5]},
    {"shape": 3},
    {"order": "F"},
    {"zarr_format": 3},
    {"more": 1},
]


def test_nothing_in_a_store_runs(whole, tmp_path):
    """Refused by what it says, before any of it is read; the checksums are right."""
    store, mark = copied(whole, tmp_path), tmp_path / "mark"
    metadata = json.loads((store / METADATA).read_text())
    plain = dict(metadata["metadata"]["loss/.zarray"])
    for change in HOSTILE:
        metadata["metadata"]["loss/.zarray"] = plain | change
        changed = json.dumps(plain | change).encode()
        files = contents(store) | {"loss/.zarray": changed, METADATA: json.dumps(metadata).encode()}
        files |= {f"loss/{i}.0.0": pickle.dumps(Mark(mark)) for i in (0, 1)}
        files = {name: content for name, content in files.items() if name != SKELETON}
        files[SKELETON] = listing(files)
        for i in (0, 1):
            files[f".checksums/{i}.0"] = listing(
                {name: content for name, content in files.items() if f"/{i}.0" in name}
            )
        for name, content in files.items():
            (store / name).write_bytes(content)
        with pytest.raises(ValueError, match="store must be as a sweep writes it"):
            tl.open_store(store)
    assert not mark.exists()
    with pytest.warns(UserWarning, match="loss/.zarray is missing or has changed"):
        small(store)
    assert not mark.exists()


@pytest.mark.parametrize("how", [lambda a, b: a.rename(b), lambda a, b: shutil.rmtree(a)])
def test_a_store_moved_while_it_is_written_is_noticed(how, tmp_path, monkeypatch):
    store, elsewhere = tmp_path / "a.zarr", tmp_path / "b.zarr"
    write = Store.write

    def then_move(self, *args):
        write(self, *args)
        how(store, elsewhere)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", then_move)
        with pytest.raises(tl.StoreError, match="it was moved or removed while it was written"):
            small(store)
    assert not store.exists()
    if elsewhere.exists():
        assert 0 < float(tl.open_store(elsewhere).computed.mean()) < 1
        with warnings.catch_warnings(action="error"):
            small(elsewhere)


def test_another_version_is_said_and_recorded(whole, tmp_path, monkeypatch):
    store = copied(whole, tmp_path)
    began = importlib.metadata.version("jax")
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "99.0" if name == "jax" else version(name)
    )
    for _ in range(2):
        with pytest.warns(UserWarning, match=rf"begun with .*{began}.* goes on with .*99\.0"):
            ds = small(store)
        (later,) = ds.attrs["resumed_with"]
        assert json.loads(later)["jax"] == "99.0"
        assert json.loads(ds.attrs["versions"])["jax"] == began
        assert tl.open_store(store, verify=True).load().equals(whole[1])


def test_the_order_of_axes_is_part_of_a_store(whole, tmp_path):
    store = copied(whole, tmp_path)
    with pytest.raises(ValueError, match=r"axes\[0\] is 'step_size' in .* and 'theta_mean' in"):
        small(store, over=dict(reversed(OVER.items())))


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "", "loss", "computed", "a\\b"])
def test_axes_are_named_like_files(name):
    with pytest.raises(ValueError, match="over must not name"):
        small(over={name: {"step_size": [0.1]}})
