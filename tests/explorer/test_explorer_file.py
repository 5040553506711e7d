"""``toylin explore``: the file it writes."""

from __future__ import annotations

import os
import re

import pytest
from helpers import run_command

from toylin.explorer import page


def test_the_page_is_one_file_that_needs_nothing_else(monkeypatch, capsys, tmp_path):
    out = tmp_path / "new" / "explorer.html"
    code, printed, err = run_command(monkeypatch, capsys, "explore", "--out", str(out))
    assert (code, err) == (0, "")
    assert f"wrote {out}" in printed
    text = out.read_text(encoding="utf-8")
    assert text == page()
    assert len(text.encode()) < 150_000
    assert "default-src 'none'" in text  # the browser itself refuses any other resource
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:)|https?://|@import|\bfetch\(", text)
    assert [p.name for p in out.parent.iterdir()] == ["explorer.html"]


def test_an_earlier_page_is_replaced_in_one_step(monkeypatch, capsys, tmp_path):
    out = tmp_path / "explorer.html"
    out.write_text("old")

    def broken(*_, **__):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", broken)
        code, _, err = run_command(patch, capsys, "explore", "--out", str(out))
    assert (code, err) == (1, "toylin: disk full\n")
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]
    assert run_command(monkeypatch, capsys, "explore", "--out", str(out))[0] == 0
    assert out.read_text(encoding="utf-8") == page()


def test_an_unwritable_file_is_refused_before_any_work(monkeypatch, capsys, tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr("toylin.explorer.page", lambda: pytest.fail("worked"))
    for out, why in (
        (occupied / "explorer.html", "Not a directory|File exists"),
        (tmp_path, "it is not a regular file"),
        (tmp_path / "pipe", "it is not a regular file"),
    ):
        code, printed, err = run_command(monkeypatch, capsys, "explore", "--out", str(out))
        assert (code, printed, err.count("\n")) == (1, "", 1)
        assert re.search(rf"--out must be a file that can be written, got '.*': ({why})", err), err
    assert occupied.read_text() == "mine"
