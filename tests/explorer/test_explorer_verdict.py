"""What the explorer says of depth, against the package's floors over the range of its knobs."""

from __future__ import annotations

import itertools
import re

import jax.numpy as jnp
import numpy as np
import pytest
from chromium import load, text

import toylin as tl
from toylin.explorer import STEP_SIZES

ALPHA = "\N{GREEK SMALL LETTER ALPHA}"
pytestmark = pytest.mark.browser
ALL_SHOTS, NOISES, MEANS = (1, 2, 5, 20, None), (0.0, 0.5, 1.0), (0.0, 0.1, 0.5, 1.2, 2.0)
SIZES = (0.01, 0.1, 0.3, 0.7, 0.85, 1.0, 1.5, 2.6, 4.0)
SAY = """
return arguments[0].map((settings) => {
  const found = window.toylin.lowestLosses(settings);
  return { ...found, words: window.toylin.verdict(found, settings) };
});
"""


def say(browser, problems):
    return browser.execute_script(SAY, [settings(*problem) for problem in problems])


def settings(size, shots, noise, mean, depth=2):
    return {
        "stepSize": size, "shots": shots, "noiseStd": noise, "thetaMean": mean, "depth": depth,
    }  # fmt: skip


def law(shots, noise, mean):
    return tl.LinearRegression(theta_mean=mean, noise_std=noise, shots=shots)


def levels(size, shots, noise, mean):
    """One layer, two layers, and no step: by the package, to the digits that the page shows."""
    tasks = law(shots, noise, mean)
    start = (jnp.full((1, 1), mean),)
    losses = (
        tl.shallow_floor(tasks, tl.MAML(size)),
        tl.deep_floor(tasks, tl.MAML(size)),
        tl.closed_form.outer_loss(start, tasks, tl.MAML(size, steps=0)),
    )
    return [float(loss) for loss in losses]


def least_step(size, mean):
    """Of two layers that start as w = mean, by trying: how far their first step goes."""
    lower = np.geomspace(1e-2, 1e2, 200_001)
    return size * np.min(lower**2 + (mean / lower) ** 2)


@pytest.fixture(scope="module")
def scan(browser):
    load(browser)
    problems = list(itertools.product(SIZES, ALL_SHOTS, NOISES, MEANS))
    known = [levels(*problem) for problem in problems]
    return list(zip(problems, known, say(browser, problems), strict=True))


def test_the_lowest_losses_are_those_of_the_package(scan):
    for problem, known, said in scan:
        found = [said[name] for name in ("floor", "deepBest", "noStep")]
        np.testing.assert_allclose(found, known, rtol=2e-8, atol=1e-9, err_msg=str(problem))


def test_a_learned_step_is_the_best_of_all_steps(scan):
    """The floor is a parabola of the step size: its lowest point, from three others."""
    for (_, shots, noise, mean), _, said in scan[: len(scan) // len(SIZES)]:
        sizes = (0.0, 1.0, 2.0)
        floors = [float(tl.shallow_floor(law(shots, noise, mean), tl.MAML(a))) for a in sizes]
        a, b, c = np.polyfit(sizes, floors, 2)
        assert said["learnedStep"] == pytest.approx(c - b**2 / (4 * a), abs=1e-6)


def test_the_sentence_agrees_with_the_numbers(scan):
    seen = set()
    for problem, known, said in scan:
        size, shots, _, mean = problem
        one, two, none = (round(loss, 3) for loss in known)
        words, context = said["words"], (problem, known, said["words"])
        near = 2e-3  # of two numbers that are rounded
        gap = re.search(r"(?:get|gets) ([\d.]+) lower", words)
        if gap:
            assert float(gap[1]) == pytest.approx(abs(one - two), abs=near), context
        if words.startswith("Not taking the step"):
            kind = "none"
            assert none < min(one, two) + near, context
            assert max(levels(0.01, *problem[1:])[:2]) < known[2], context  # turned down
        elif words.startswith("Two layers get"):
            kind = "deep"
            assert two < one, context
            assert two <= none + near, context
            assert ("worse than without" in words) == (none < one), context
        elif words.startswith(f"This {ALPHA} suits one layer, too"):
            kind = "suits"
            assert abs(one - two) < near, context
            for other in (size / 2, size * 1.5):
                turned = levels(other, *problem[1:])
                assert turned[1] == pytest.approx(known[1], abs=1e-6), context
                assert turned[0] > turned[1] + near, context
        elif words.startswith(f"At this {ALPHA} one layer does as well"):
            kind = "equal"
            assert abs(one - two) < near, context
        else:
            kind = "shallow"
            assert words.startswith("One layer gets"), context
            assert one < two, context
            assert one <= none + near, context
            assert (mean > 0, shots is not None) == (True, True), context
            least = least_step(size, mean)
            stated = re.search(r"near μx their least step is (\d+\.\d+) of the way", words)
            if stated:
                kind = "long"
                assert float(stated[1]) == pytest.approx(least, abs=6e-3), context
                assert least > size, context
            else:
                assert f"an error in {ALPHA}²" in words, context
                assert least <= size * (1 + 1e-6), context
        seen.add(kind)
    assert seen >= {"none", "deep", "suits", "long", "shallow"}, seen


@pytest.mark.parametrize("depth", [3, 4])
def test_of_more_layers_it_says_the_least_step_on_the_plane_that_is_searched(browser, depth):
    load(browser)
    size, mean = 0.6, 1.2
    said = browser.execute_script(SAY, [settings(size, 5, 0.0, mean, depth)])[0]
    upper = np.geomspace(0.1, 10, 200_001)
    lower = mean / upper ** (depth - 1)
    beside = (
        lower * upper ** (depth - 2)
    ) ** 2  # of each upper weight, the others' product squared
    least = size * np.min(upper ** (2 * (depth - 1)) + (depth - 1) * beside)
    words = {3: "three", 4: "four"}[depth]
    assert said["floor"] < said["deepBest"]
    assert f"lower than {words} layers of equal upper weights" in said["words"]
    assert said["words"].endswith(f"is {least:.2f} of the way."), said["words"]


def test_the_page_shows_the_sentence_and_what_it_speaks_of(browser):
    load(browser)
    for said, numbers, words in (
        ("#mean=0.5&shots=5&alpha=0.7", ("0.143", "0.173", "0.500"), "One layer gets 0.030 lower"),
        ("#mean=2&shots=5&noise=1&alpha=1.5", ("1.300", "1.025", "1.000"), "Not taking the step"),
        ("#depth=4&alpha=0.02", ("0.480", "0.000", "0.500"), "Four layers get 0.480 lower"),
        ("#alpha=1&noise=0.4", ("0.080", "0.080", "0.580"), f"This {ALPHA} suits one layer, too."),
    ):
        browser.get(browser.address + said)
        browser.refresh()
        assert tuple(text(browser, n) for n in ("shallow-best", "deep-best", "no-step")) == numbers
        assert text(browser, "verdict").startswith(words)


def test_the_slider_of_the_step_size_has_round_numbers():
    assert set(STEP_SIZES) >= {0.01, 0.1, 0.25, 0.5, 1.0, 1.5, 4.0}
    assert set(STEP_SIZES) >= {round(0.1 + 0.02 * k, 2) for k in range(71)}  # earlier addresses
    assert list(STEP_SIZES) == sorted(STEP_SIZES)
