"""Maintenance of a commons on a schedule."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from a4nn_core.commons.check import Checked
from a4nn_core.commons.check import check as check_commons
from a4nn_core.commons.compact import compact as compact_commons
from a4nn_core.errors import A4NNError
from a4nn_core.printable import markdown


class DamagedCommons(A4NNError):
    """The check of a commons found damage."""


@flow(name="a4nn-maintain", validate_parameters=True)
def maintain(
    commons: Path = Path("commons"), check: bool = True, checkpoints: bool = True, compact: bool = True
) -> dict[str, object]:
    """Check a data commons, then move the records of finished networks into few files. Searches may run
    meanwhile. A damaged commons is left unchanged, and the flow fails with a list of the damage.

    Args:
        commons: folder of the data commons.
        check: read every file and compare every checksum first.
        checkpoints: also compare the checkpoints' checksums, which reads all of them.
        compact: move finished records into few files.

    Returns:
        what was found and done.
    """
    result: dict[str, object] = {"commons": str(commons)}
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


def _report(commons: Path, found: Checked) -> str:
    lines = [f"# {markdown(commons)}", f"{found.runs} runs, {found.networks} networks, {found.files} files."]
    for title, texts in (("Problems", found.problems), ("Notes", found.notes)):
        if texts:
            lines += [f"## {title}", "\n".join(f"- {markdown(text)}" for text in texts[:100])]
            if len(texts) > 100:
                lines.append(f"... and {len(texts) - 100} more")
    return "\n\n".join(lines)
