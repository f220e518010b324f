"""The hypervolume, beside shapes whose area is known and beside pymoo's."""

from __future__ import annotations

import numpy as np
import pytest
from pymoo.indicators.hv import HV

from a4nn_core.hypervolume import hypervolume


def test_known_shapes() -> None:
    assert hypervolume([[0.0, 0.0]], (1, 1)) == 1.0
    assert hypervolume([[0.5, 0.5]], (1, 1)) == 0.25
    # two boxes of 0.25 x 0.75 and 0.75 x 0.25 that share 0.25 x 0.25
    assert hypervolume([[0.75, 0.25], [0.25, 0.75], [0.8, 0.8]], (1, 1)) == pytest.approx(0.3125)
    assert hypervolume([[0.5, 0.5, 0.5]], (1, 1, 1)) == pytest.approx(0.125)
    assert hypervolume([[3.0], [4.0]], (10,)) == 7.0
    assert hypervolume([], (1, 1)) == 0.0
    assert hypervolume([[2.0, 0.5], [0.5, 1.0]], (1, 1)) == 0.0, "beyond the corner"


@pytest.mark.parametrize("objectives", [2, 3])
def test_what_pymoo_says(objectives: int) -> None:
    rng = np.random.default_rng(1)
    corner = rng.uniform(0.5, 1.0, objectives)
    for count in (1, 2, 10, 100):
        points = np.round(rng.uniform(0, 1, (count, objectives)), 1)  # with ties
        assert hypervolume(points, corner.tolist()) == pytest.approx(float(HV(ref_point=corner)(points)))
