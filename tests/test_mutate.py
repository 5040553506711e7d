"""The program that breaks toylin on purpose: what it would change, and what is excused."""

from __future__ import annotations

from pathlib import Path

import mutate


def test_every_survivor_that_is_explained_is_a_change_that_would_be_made():
    """An explanation ends with the line that it is of, and excuses no other."""
    for name in mutate.explained():
        path = Path(name.partition(":")[0])
        assert name in {change.name for change in mutate.changes(path)}


def test_changes_are_what_they_say():
    path = Path("toylin/limits/_bayes.py")
    text = (mutate.ROOT / path).read_bytes()
    made = [*mutate.changes(path)]
    assert len(made) > 20
    for change in made:
        assert " ".join(text[change.start : change.end].decode().split()) == change.old
        assert change.new != change.old
        compile(text[: change.start] + change.new.encode() + text[change.end :], path, "exec")


def test_every_room_with_numbers_has_tests():
    for room, tests in mutate.TESTS.items():
        assert (mutate.ROOT / "toylin" / room).is_dir()
        assert all((mutate.ROOT / test).exists() for test in tests)
