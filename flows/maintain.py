"""Maintenance on a schedule: of a commons, and of what the server keeps."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from a4nn_core.commons.check import Checked
from a4nn_core.commons.check import check as check_commons
from a4nn_core.commons.compact import compact as compact_commons
from a4nn_core.errors import A4NNError
from a4nn_core.printable import markdown

from .retention import Ages, Days, Removed, clear_server
from .server import ask_server


class DamagedCommons(A4NNError):
    """The check of a commons found damage."""


@flow(name="a4nn-maintain", validate_parameters=True)
def maintain(
    commons: Path = Path("commons"),
    check: bool = True,
    checkpoints: bool = True,
    compact: bool = True,
    flow_runs_days: Days | None = 90.0,
    sweeps_days: Days | None = 7.0,
    artifacts_days: Days | None = 30.0,
) -> dict[str, object]:
    """Remove from the server what is too old, check a data commons, then move the records of finished
    networks into few files. Searches may run meanwhile. A damaged commons is left unchanged, and the flow
    fails with a list of the damage.

    Args:
        commons: folder of the data commons.
        check: read every file and compare every checksum first.
        checkpoints: also compare the checkpoints' checksums, which reads all of them.
        compact: move finished records into few files.
        flow_runs_days: days after its end for which the server keeps a flow run, with its task runs, logs and
            artifacts; null for ever. Flow runs in progress are kept, and the commons keeps all records.
        sweeps_days: the same for flow runs of the sweeper, of which there are 288 a day.
        artifacts_days: days after the end of its flow run for which the server keeps an artifact.

    Returns:
        what was found and done.
    """
    removed = _clear(Ages(flow_runs_days, sweeps_days, artifacts_days))
    result: dict[str, object] = {"commons": str(commons), "removed": asdict(removed)}
    create_markdown_artifact("\n".join(f"- {line}" for line in removed.lines()), key="removed-from-server")
    if check:
        found = check_commons(commons, checkpoints=checkpoints)
        result["check"] = asdict(found)
        create_markdown_artifact(_report(commons, found), key="commons-check")
        if found.problems:
            count = len(found.problems)
            raise DamagedCommons(f"{commons}: {count} problem(s), left as it is; one: {found.problems[0]}")
    if compact:
        result["compact"] = asdict(compact_commons(commons))
    return result


def _clear(ages: Ages) -> Removed:
    log = get_run_logger()
    return ask_server(lambda client: clear_server(client, ages, log))


def _report(commons: Path, found: Checked) -> str:
    lines = [f"# {markdown(commons)}", f"{found.runs} runs, {found.networks} networks, {found.files} files."]
    for title, texts in (("Problems", found.problems), ("Notes", found.notes)):
        if texts:
            lines += [f"## {title}", "\n".join(f"- {markdown(text)}" for text in texts[:100])]
            if len(texts) > 100:
                lines.append(f"... and {len(texts) - 100} more")
    return "\n\n".join(lines)
