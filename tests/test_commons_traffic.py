"""Sixteen writing processes, four readers and a compaction, all at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commons_data import EDGES, LAYERS, header, network_record

from a4nn_core.commons import Commons, RunWriter, predictions_of, read_epochs
from a4nn_core.commons.check import check
from a4nn_core.commons.compact import compact
from a4nn_core.vocabulary import RunStatus

HERE = Path(__file__).parent


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, HERE / "commons_traffic.py", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )


@pytest.mark.integration
def test_sixteen_writers_four_readers_and_compaction(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    with RunWriter.open(commons, "r", header()) as writer:
        workers = {number: start("worker", commons, "r", number) for number in range(16)}
        readers = [start("reader", commons, 3) for _ in range(4)]
        while workers:
            for number, process in list(workers.items()):
                if process.poll() is None:
                    continue
                assert process.returncode == 0, process.communicate()[1]
                process.communicate()
                del workers[number]
                records = read_epochs(writer.folder.journal(number))
                writer.record(
                    network_record(number, records),
                    epochs=records,
                    predictions=predictions_of(records),
                    layers=LAYERS,
                    edges=EDGES,
                )
                if number % 4 == 0:
                    compact(commons)
            time.sleep(0.02)
        writer.finish(RunStatus.completed)
    for process in readers:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        asked, seen = map(int, out.split())
        assert asked >= 3
        assert seen > 0
    compact(commons)
    found = Commons(commons)
    assert [n.network for n in found.networks("r")] == list(range(16))
    assert len(found.epochs("r")) == 16 * 25
    assert check(commons, checkpoints=False).problems == []
