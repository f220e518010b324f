"""Publishing after a search under Prefect: a draft, never more, and the token only in its block."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from dataverse_server import TOKEN, StandIn
from deposits import METADATA
from prefect_stack import Stack

pytestmark = pytest.mark.integration

CODE = """
import json, sys
from prefect.blocks.system import Secret
from a4nn_flows.publish import search_and_publish
from a4nn_core.experiment import load_experiment
url, token = sys.argv[1:]
Secret(value=token).save("dataverse-token")
small = load_experiment("digits", ["search.networks=2", "search.population=2", "search.offspring=2",
                                   "training.epochs=1", "space.channels=4", "termination=none"])
done = search_and_publish(small, "r", "deposit", "deposit.toml", url, "lab", models="none")
print(json.dumps(done))
try:
    search_and_publish(small, "r", "other", "deposit.toml", url, "lab", models="none", token_block="none")
except Exception as error:
    print(error)
"""


def test_a_search_and_its_draft(tmp_path: Path, stack: Stack) -> None:
    (tmp_path / "deposit.toml").write_text(METADATA, encoding="utf-8")
    server = StandIn()
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", CODE, server.url, TOKEN],
            cwd=tmp_path,
            env=stack.environment,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    finally:
        server.close()
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    told, refused = done.stdout.splitlines()[-2:]
    draft = json.loads(told)
    assert draft["url"] == f"{server.url}/dataset.xhtml?persistentId={draft['persistent_id']}"
    assert server.state.datasets[draft["persistent_id"]]["state"] == "DRAFT"
    assert "weights/r-01.tar" in server.holds(draft["persistent_id"])
    assert draft["unf"] == json.loads((tmp_path / "deposit/deposit.json").read_text())["unf"]
    assert "Prefect has no Secret block 'none'" in refused
    left = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert not [p for p in left if TOKEN.encode() in p.read_bytes()]
