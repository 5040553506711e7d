"""The program that breaks toylin on purpose: what it would change, tries, and excuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mutate
from mutation.changes import ROOT, Change, changes, explained
from mutation.reach import Reach, Reached
from mutation.trial import stages

BAYES = Path("toylin/limits/_bayes.py")


def test_every_survivor_that_is_explained_is_a_change_that_would_be_made():
    """An explanation ends with the line that it is of, and excuses no other."""
    for name in explained():
        path = Path(name.partition(":")[0])
        assert name in {change.name for change in changes(path)}


def test_changes_are_what_they_say():
    text = (ROOT / BAYES).read_bytes()
    made = [*changes(BAYES)]
    assert len(made) > 20
    for change in made:
        assert " ".join(text[change.start : change.end].decode().split()) == change.old
        assert change.new != change.old
        assert change.line in change.lines
        compile(change.changed(text), BAYES, "exec")


def test_an_explanation_excuses_one_place_alone():
    for path in sorted((ROOT / "toylin/closed_form").glob("*.py")):
        names = [change.name for change in changes(path.relative_to(ROOT))]
        assert len(names) == len(set(names)), path


def test_every_room_with_numbers_is_there():
    assert all((ROOT / "toylin" / room).is_dir() for room in mutate.ROOMS)
    assert all((ROOT / part).exists() for part in mutate.ELSEWHERE)


def _change(line: int, imported: bool = False) -> Change:
    return Change(BAYES, line, "", range(line, line + 2), imported, 0, 1, "0", "1", 1)


def test_cheap_tests_come_first_and_those_of_the_mirror_that_run_the_line():
    near, far, other, beside = (
        "tests/limits/test_bayes.py::near",
        "tests/rules/test_far.py::far",
        "tests/rules/test_far.py::other",
        "tests/rules/test_beside.py::beside",
    )
    seconds = {near: 2.0, far: 1.0, other: 0.1, beside: 0.1}
    lines = {str(BAYES): {7: [near, far], 9: [other]}, "toylin/x.py": {1: [beside]}}
    reached = Reached([Reach(seconds, lines)])
    assert reached.tests(_change(6)) == [near, other, far]  # the second line of the statement
    assert reached.tests(_change(9)) == [other, far]
    assert reached.tests(_change(1, imported=True)) == [other, near, far]
    assert reached.tests(_change(1)) == [other, near, far]  # run once, into a cache


def test_a_record_of_other_texts_does_not_hold(tmp_path):
    file, kept = "tests/limits/test_bayes.py", tmp_path / "bayes.json"
    lines = {str(BAYES): {"7": ["near"]}, "toylin/__init__.py": {"1": []}}
    behind = mutate.texts_behind("tests/test_house.py", lines)
    assert behind == ["tests/test_house.py", str(BAYES)]
    assert mutate.texts_behind("toylin", lines) == [str(BAYES)]
    assert not mutate.holds(file, kept)
    texts = {path: mutate.text_of(path) for path in behind}
    for path, text, good in [
        ("", "", True),
        (str(BAYES), "0", False),
        ("tests/gone.py", "0", False),
    ]:
        changed = texts | ({path: text} if path else {})
        kept.write_text(json.dumps({"texts": changed, "reach": {}}))
        assert mutate.holds(file, kept) == good


def test_tests_run_in_portions_until_their_time_is_over():
    seconds = dict.fromkeys("abcdef", 3.0)
    assert stages(["a", "b", "c"], seconds, 100) == [["a"], ["b", "c"]]
    assert stages(["a", "b", "c"], seconds, 7) == [["a"], ["b"]]
    assert stages(["a"], seconds, 1) == [["a"]]


def test_the_interval_of_a_share_covers_it_as_often_as_it_says():
    """Against the binomial distribution, summed."""
    from math import comb

    for truth, count in ((0.95, 60), (0.9, 200), (0.5, 40)):
        covered = 0.0
        for seen in range(count + 1):
            low, high = mutate.interval(seen / count, count)
            if low <= truth <= high:
                covered += comb(count, seen) * truth**seen * (1 - truth) ** (count - seen)
        assert 0.93 < covered < 0.98


_TRIAL = """
import sys
from functools import partial
from pathlib import Path

sys.path[:0] = ["tests"]
from mutation.changes import changes
from mutation.trial import attempt, prepare, side_by_side

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    prepare(folder)
    made = [c for c in changes(Path("toylin/_internal/showing.py")) if "==" in c.old]
    tests = [["toylin/_internal/showing.py", "tests/_internal/test_showing.py"]]
    jobs = [(str(c), partial(attempt, c, tests, 60), 120.0) for c in [None, *made]]
    print({key: outcome["by"] for key, outcome in side_by_side(jobs, 2, folder)})
"""


def test_a_change_is_noticed_and_no_change_is_not(tmp_path):
    (tmp_path / "trial.py").write_text(_TRIAL)
    command = [sys.executable, tmp_path / "trial.py", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    none, changed = eval(done.stdout).items()
    assert none == ("None", "")
    assert "!= 1" in changed[0]
    assert changed[1].startswith("tests/_internal/test_showing.py::")
