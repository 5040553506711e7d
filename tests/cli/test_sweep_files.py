"""Whatever a sweep file says wrongly, at whatever key: one line, which names the key."""

from __future__ import annotations

import re

import pytest
from helpers import run_command

# What no key of a sweep file takes, alone or in a list.
NEVER = {
    "a date": "2020-01-01",
    "a time": "07:32:00",
    "a date and time": "1979-05-27T07:32:00Z",
    "a table": "{ a = 1 }",
    "tables": "[{ a = 1 }, { a = 2 }]",
    "a huge integer": "99999999999999999999999999",
    "lists of two lengths": "[[1, 2], [3]]",
    "a line break": '"a\\nb"',
    "a long word": '"' + "y" * 5000 + '"',
    "a huge range": '"0:1:99999999999999"',
    "a method": '"__init__"',
}
FORMS = ("{}", "[{}]", "[{}, 0.1]", "[1, {}]", "[[{}], [1.0]]")
ABOVE = "loss num_tasks num_queries num_steps record_every seeds test_tasks learn_rule tolerance"
TABLES = {
    "tasks": "kind dim theta_mean theta_cov x_cov noise_std shots outputs",
    "rule": "kind step_size steps first_order",
    "model": "depth width widths scale",
    "optimizer": "name learning_rate b1 nesterov",
    "over": "step_size depth shots theta_mean widths rule optimizer num_tasks b1 first_order",
    "over.schedule": "step_size depth",
}
KEYS = [("", key) for key in ABOVE.split()]
KEYS += [(table, key) for table, keys in TABLES.items() for key in keys.split()]


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_what_no_key_takes_is_one_line(table, key, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("toylin.cli.sweep._devices", lambda devices: None)
    axes = "" if table.startswith("over") else "[over]\nnoise_std = [0.1, 0.2]\n"
    file = tmp_path / "question.toml"
    for what, value in NEVER.items():
        for form in FORMS:
            file.write_text(f"{f'[{table}]' * bool(table)}\n{key} = {form.format(value)}\n{axes}")
            code, _, err = run_command(monkeypatch, capsys, "sweep", str(file), "--dry-run")
            assert code in (1, 2), (what, form)
            assert err.count("\n") == 1, (what, form, err)
            assert err.startswith("toylin: "), (what, form, err)
            assert len(err) < 1000, (what, form)
            assert re.search(rf"\b{key}\b", err), (what, form, err)


@pytest.mark.parametrize("entry", ["2020-01-01", "true", '"x"', "{ a = 1 }", "[1.0]"])
def test_of_a_list_the_entry_is_named(entry, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("toylin.cli.sweep._devices", lambda devices: None)
    file = tmp_path / "question.toml"
    said = {"true": "True", '"x"': "'x'", "{ a = 1 }": "{'a': 1}", "[1.0]": "(1,)"}
    for text in (f"[over]\nstep_size = [0.1, {entry}, 0.3]", f"[tasks]\nx_cov = [0.1, {entry}]"):
        file.write_text(f"{text}\n[over]\nscale = [1, 2]" if "tasks" in text else text)
        _, _, err = run_command(monkeypatch, capsys, "sweep", str(file), "--dry-run")
        assert said.get(entry, entry) in err
        assert "0.3" not in err
