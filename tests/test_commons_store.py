"""Finished data onto an object store: a local server that speaks S3 (``pip install 'moto[server]'``)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq
import pytest
from commons_data import made_up_run
from prefect_stack import free_port
from pyarrow import fs

from a4nn_core.commons import Commons
from a4nn_core.errors import BadInput
from a4nn_core.interchange.parquet import export_tables


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an S3 server with the bucket ``bucket``."""
    # not any that is on the path: old ones fail to complete an upload in parts
    command = Path(os.environ.get("A4NN_MOTO_SERVER") or Path(sys.executable).with_name("moto_server"))
    if not command.is_file():
        pytest.skip("needs moto_server 5.2 or newer, in this environment or named by A4NN_MOTO_SERVER")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    port = free_port()
    with subprocess.Popen(
        [command, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        address = f"127.0.0.1:{port}"
        for _ in range(100):
            try:
                request = urllib.request.Request(f"http://{address}/bucket", method="PUT")
                urllib.request.urlopen(request, timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
        process.terminate()


@pytest.mark.integration
def test_export_to_s3(server: str, tmp_path: Path) -> None:
    made_up_run(tmp_path / "c", networks=8)
    query = f"?endpoint_override=http://{server}&region=us-east-1"
    counts = export_tables(tmp_path / "c", f"s3://bucket/some/where{query}")
    store, path = fs.FileSystem.from_uri(f"s3://bucket/some/where{query}")
    for name in ("networks", "epochs", "front", "lineage"):
        found = pq.read_table(f"{path}/{name}.parquet", filesystem=store)
        assert found.num_rows == counts[name] > 0
    expected = [e.validation_accuracy_percent for e in Commons(tmp_path / "c").epochs("made-up")]
    table = pq.read_table(f"{path}/epochs.parquet", filesystem=store)
    assert table["validation_accuracy_percent"].to_pylist() == expected
    with pytest.raises(BadInput, match=r"cannot export to s3://absent/x: "):
        export_tables(tmp_path / "c", f"s3://absent/x{query}")


@pytest.mark.integration
def test_exports_of_several_sites_are_read_together_as_the_page_says(server: str, tmp_path: Path) -> None:
    query = f"endpoint_override=http://{server}&region=us-east-1"
    expected: dict[int, list[float]] = {}
    for site in ("a", "b"):
        commons = tmp_path / site
        made_up_run(commons, f"run-{site}", networks=5)
        export_tables(commons, f"s3://bucket/site-{site}/2026-11?{query}")
        completed = {n.network for n in Commons(commons).networks(f"run-{site}") if n.status == "completed"}
        for epoch in Commons(commons).epochs(f"run-{site}"):
            if epoch.network in completed:
                expected.setdefault(epoch.epoch, []).append(epoch.validation_accuracy_percent or 0.0)
    page = (Path(__file__).parents[1] / "docs/scale.md").read_text()
    program = page.partition('```python title="read_lake.py"\n')[2].partition("```")[0]
    assert "s3://lake?region=us-east-1" in program
    found: dict[str, Any] = {}
    exec(program.replace("s3://lake?region=us-east-1", f"s3://bucket?{query}"), found)
    answer = found["answer"].fetchall()
    assert [(epoch, count) for epoch, count, _ in answer] == [
        (e, len(v)) for e, v in sorted(expected.items())
    ]
    assert [mean for *_, mean in answer] == pytest.approx([fmean(v) for _, v in sorted(expected.items())])
