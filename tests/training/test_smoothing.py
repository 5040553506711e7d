"""Which losses are averaged for a picture: sampled ones that jump, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from toylin.training._smoothing import smoothing_window

RECORDS = np.arange(1000)


def sampled(jump, size=1.0):
    """Independent losses whose steps have this median size, as a share of their level.

    The difference of two normal numbers has a median size of 0.954 standard deviations of one.
    """
    rng = np.random.default_rng(0)
    return size * (1 + jump / 0.954 * rng.standard_normal((3, RECORDS.size)))


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_sampled_losses_are_averaged_where_their_jumps_are_seen(size):
    assert smoothing_window(sampled(0.1, size)) == 20
    assert smoothing_window(sampled(1.2e-3, size)) == 20
    assert smoothing_window(sampled(0.8e-3, size)) == 1


def test_curves_and_losses_that_flip_are_left_alone():
    assert smoothing_window(np.exp(-RECORDS / 100)[None]) == 1
    assert smoothing_window(1 + 0.5 * (-1.0) ** RECORDS[None]) == 1
    assert smoothing_window(1 + 0.5 * np.sin(RECORDS / 7)[None]) == 1


def test_what_decides_is_the_second_half():
    noisy = sampled(0.1)
    noisy[:, 500:] = np.exp(-RECORDS[500:] / 100)
    assert smoothing_window(noisy) == 1
    smooth = sampled(0.1)
    smooth[:, :500] += 10 * np.exp(-RECORDS[:500] / 100)
    assert smoothing_window(smooth) == 20
    late = sampled(0.1)  # 48 % of turns in the second half, 53 % from the first third on
    late[:, 860:] = np.exp(-RECORDS[860:] / 100)
    assert smoothing_window(late) == 1


def test_few_records_and_those_that_left_floats_are_left_alone():
    assert smoothing_window(sampled(0.1)[:, :99]) == 1
    assert smoothing_window(sampled(0.1)[:, :100]) == 2
    assert smoothing_window(np.full((1, 1000), np.nan)) == 1
    assert smoothing_window(np.full((1, 1000), np.inf)) == 1
