"""Change toylin on purpose, one place at a time, and see whether the tests notice.

    python tests/mutate.py                                   # all that computes a number
    python tests/mutate.py --sample 60 --seed 1              # drawn at random from it
    python tests/mutate.py toylin/limits/_bayes.py           # every place of one file

Each change (a sign, an operation, a comparison, a number, a transposition) is made in the memory of
a process, and the tests that run its line run there until the first failure, the cheapest first,
for at most ``--seconds`` of the processor. Which tests run which line is found first, by running
them all once (20 minutes of the processor), and again those that meet a text that was changed; it
is kept in ``--folder`` with what was tried, so that a run that was interrupted goes on. What no
test notices is printed, unless ``tests/survivors.txt`` says why it makes no difference; the exit
status is 1 where fewer than 95 % of the others are noticed. Run before a release, and on a file
whenever it was rewritten.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Iterator
from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any
from zlib import crc32

from mutation.changes import ROOT, Change, changes, explained
from mutation.reach import ELSEWHERE, Reach, Reached
from mutation.trial import attempt, prepare, record, side_by_side, stages

ENOUGH = 0.95
SECONDS = 1800.0  # on the clock: a change that makes tests wait for ever is noticed too
#: What computes a number.
ROOMS = (
    "quadrature",
    "models",
    "tasks",
    "rules",
    "autodiff",
    "closed_form",
    "training",
    "landscape",
    "limits",
    "depth",
    "symbolic",
    "sweeps",
)


def every_change(files: list[Path]) -> list[Change]:
    """All changes to the files, or to all that compute a number, that are not explained."""
    found = files or [
        path.relative_to(ROOT)
        for room in ROOMS
        for path in sorted((ROOT / "toylin" / room).rglob("*.py"))
        if path.stem != "_pictures"
    ]
    known = explained()
    return [change for path in found for change in changes(path) if change.name not in known]


def text_of(path: Path | str) -> str:
    """What tells whether a file was changed since."""
    return f"{crc32((ROOT / path).read_bytes()):08x}"


def key(change: Change) -> str:
    """Of a change in the record of what was tried: with the file's text, as it was then."""
    return f"{text_of(change.path)} {change.start} {change.name}"


def interval(share: float, count: int) -> tuple[float, float]:
    """Of a share of ``count`` drawn at random: Wilson's interval, at 95 %."""
    z2 = 1.96**2 / count
    middle, half = share + z2 / 2, sqrt(z2 * (share * (1 - share) + z2 / 4))
    return (middle - half) / (1 + z2), (middle + half) / (1 + z2)


def all_reached(folder: Path, workers: int) -> Reached:
    """Which tests run which lines: from the folder, or by running those that meet a new text."""
    files = [str(p.relative_to(ROOT)) for p in sorted((ROOT / "tests").rglob("test_*.py"))]
    kept = {
        file: folder / "reach" / f"{file.replace('/', '.')}.json"
        for file in [*(f for f in files if not f.startswith(ELSEWHERE)), "toylin"]
    }
    (folder / "reach").mkdir(exist_ok=True)
    jobs = ((file, partial(record, file), SECONDS) for file in kept if not holds(file, kept[file]))
    for file, part in side_by_side(jobs, workers, folder):
        if part.pop("status", "death") != 0:
            raise SystemExit(f"{file} fails without any change, or hangs: {part}")
        print(f"{file}: {sum(part['seconds'].values()):.0f} s", flush=True)
        texts = {path: text_of(path) for path in texts_behind(file, part["lines"])}
        kept[file].write_text(json.dumps({"texts": texts, "reach": part}))
    return Reached([Reach(**json.loads(path.read_text())["reach"]) for path in kept.values()])


def texts_behind(file: str, lines: dict[str, dict[str, list[str]]]) -> list[str]:
    """The file of tests, where it is one, and the files of toylin of which a test runs a line."""
    return [*[file] * file.endswith(".py"), *(f for f, of in lines.items() if any(of.values()))]


def holds(file: str, kept: Path) -> bool:
    """Whether what the file of tests reaches is on record, and of today's texts."""
    if not kept.exists():
        return False
    texts = json.loads(kept.read_text())["texts"].items()
    return all((ROOT / path).exists() and text_of(path) == text for path, text in texts)


def tried(folder: Path) -> dict[str, str]:
    """What was tried before: by its key, the test that noticed, or nothing."""
    kept = folder / "outcomes.txt"
    lines = kept.read_text().splitlines() if kept.exists() else []
    return dict(line.split("\t")[:2] for line in lines)


def main() -> int:
    """Try them, and say what was not noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--sample", type=int, help="how many, drawn at random; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=120, help="of tests, for one change")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=ROOT / ".mutation")
    parser.add_argument("--again", action="store_true", help="try what was not noticed before")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(exist_ok=True)
    every = every_change(options.files)
    if options.sample and options.sample < len(every):
        every = random.Random(options.seed).sample(every, options.sample)
    prepare(folder)
    reached = all_reached(folder, options.workers)
    before = {k: by for k, by in tried(folder).items() if by or not options.again}
    outcomes = {change: before[key(change)] for change in every if key(change) in before}
    left = [change for change in every if change not in outcomes]

    def jobs() -> Iterator[tuple[Change, Any, float]]:
        for change in left:
            tests = reached.tests(change)
            portions = stages(tests, reached.seconds, options.seconds)
            usual = sum(reached.seconds[test] for portion in portions for test in portion)
            yield change, partial(attempt, change, portions, 30 + 3 * usual), SECONDS

    with (folder / "outcomes.txt").open("a") as kept:
        for change, outcome in side_by_side(jobs(), options.workers, folder):
            by = outcomes[change] = outcome["by"]
            kept.write(f"{key(change)}\t{by}\t{outcome.get('seconds', 0):.1f}\n")
            kept.flush()
            said = f"noticed by {by}:" if by else "SURVIVED"
            print(f"{len(outcomes)}/{len(every)} {said} {change}", flush=True)
    return report(outcomes, sampled=len(every) if options.sample else 0)


def report(outcomes: dict[Change, str], sampled: int) -> int:
    """Print the share, room by room and in all, and what survived; 1 where it is too little."""
    for room in sorted({change.path.parts[1] for change in outcomes}):
        of_room = [bool(by) for change, by in outcomes.items() if change.path.parts[1] == room]
        print(f"{room}: {sum(of_room)} of {len(of_room)}")
    survivors = [change for change, by in outcomes.items() if not by]
    share = 1 - len(survivors) / max(len(outcomes), 1)
    print(f"{share:.1%} of {len(outcomes)} changes noticed")
    if sampled:
        low, high = interval(share, sampled)
        print(f"{low:.1%} to {high:.1%} of all, at 95 %")
    print(*map(str, survivors), sep="\n")
    return int(share < ENOUGH)


if __name__ == "__main__":
    sys.exit(main())
