"""How much better restored images are than the best that no network makes, image by image.

    python benchmarks/restoration.py COMMONS RUN...

Of each run that restores images, the network with the best validation ratio is applied to all test images.
Shown are its ratio and Poisson deviance on them, what it gains over the mean expected training image (the
difference image by image, with its standard error: both see the same images), and the same of smoothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from a4nn_core.commons import Commons
from a4nn_core.data.base import DATA_SOURCES
from a4nn_core.jsonable import members
from a4nn_core.publish.models.restored import sample
from a4nn_core.training.goals import decibels, poisson_deviances, squared_errors

ALL = 2**31


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("commons", type=Path)
    parser.add_argument("runs", nargs="+")
    given = parser.parse_args()
    store = Commons(given.commons)
    print("| run | network | test PSNR, dB | gain over the mean image, dB | Poisson deviance of an image |")
    print("|---|---|---|---|---|")
    for run in given.runs:
        header = store.run(run)
        data = DATA_SOURCES.make(header.settings("data"), "[data]").load()
        assert data.train.expected is not None
        found = sample(store, run, ALL)
        expected = torch.from_numpy(found.expected)[:, None]
        mean = torch.from_numpy(data.train.expected.mean(axis=0)).expand(expected.shape)
        without = decibels(squared_errors(mean, expected), data.peak).numpy()
        deviances = poisson_deviances(torch.from_numpy(found.restored)[:, None], expected).numpy()
        print(
            f"| {run} | {found.network} | {_shown(found.decibels)} | {_shown(found.decibels - without)} | "
            f"{_shown(deviances)} |"
        )
        for one in map(members, header.details.get("baselines") or []):  # type: ignore[arg-type]
            test = members(one["test"])
            print(
                f"| | {one['name']} | {test['psnr_db']:.2f} ± {test['psnr_se_db']:.2f} | | "
                f"{test['poisson_deviance']:.1f} |"
            )


def _shown(values: NDArray[np.floating]) -> str:
    return f"{values.mean():.2f} ± {values.std(ddof=1) / len(values) ** 0.5:.2f}"


if __name__ == "__main__":
    main()
