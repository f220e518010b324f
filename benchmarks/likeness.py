"""How long all pairs of many genomes take: Hamming, aligned matching subsequence, longest common substring.

python benchmarks/likeness.py [--networks 10000] [--positions 21]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from a4nn_core.archaeology.genomes import Genomes, write_table
from a4nn_core.commons.records import Network
from a4nn_core.jsonable import JsonText


def networks(count: int, positions: int) -> list[Network]:
    """Networks with random bits, seed 0."""
    bits = np.random.default_rng(0).integers(0, 2, (count, positions))
    return [Network(network=i, genome=JsonText(json.dumps([row.tolist()]))) for i, row in enumerate(bits)]


def main() -> None:
    """Measure, and print seconds of the clock and of the processor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", type=int, default=10_000)
    parser.add_argument("--positions", type=int, default=21)
    parser.add_argument("--parquet", action="store_true", help="write the pairs into a file, too")
    settings = parser.parse_args()
    made = networks(settings.networks, settings.positions)
    clock, processor = time.perf_counter(), time.process_time()
    if settings.parquet:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pairs.parquet"
            pairs = write_table(made, path)
            size = path.stat().st_size
    else:
        pairs = sum(block.common.size for block in Genomes.of(made).blocks())
        size = 0
    print(
        f"{settings.networks} genomes of {settings.positions} positions, {pairs} pairs: "
        f"{time.perf_counter() - clock:.1f} s, {time.process_time() - processor:.1f} s of one core"
        + (f", {size / 1e6:.0f} MB of Parquet" if size else "")
    )


if __name__ == "__main__":
    main()
