"""Deploy what a prefect.yaml lists, again and again: what an operator changed on the server is kept, or what
becomes of it is said.

    python -m a4nn_flows.deploy

``prefect deploy --all`` alone makes the schedules of a deployment those of the file, resumes what was paused
and enables what was disabled.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint

from a4nn_core.errors import A4NNError, BadInput

from .commands import carry_out
from .server import ask_server, check_server

Entry = Mapping[str, Any]
"""a deployment as a prefect.yaml has it"""
_FACTS = {"description", "tags", "parameters", "job_variables", "paused", "work_pool_name", "work_queue_name"}


@dataclass(frozen=True)
class Deployed:
    """A deployment on the server.

    Attributes:
        facts: what an operator can change of it, by name.
        schedules: its schedules in words.
        enabled: whether its automations are enabled, by their names.
    """

    facts: Mapping[str, object]
    schedules: Sequence[str]
    enabled: Mapping[str, bool]


def deploy(file: Path, schedules: bool = False) -> list[str]:
    """Deploy everything in a file, in place of what is there.

    Args:
        file: a prefect.yaml.
        schedules: whether deployments that exist get the schedules of the file; if not, they keep theirs.

    Returns:
        a sentence for everything that is new, was changed, or was kept although the file says otherwise.

    Raises:
        BadInput: the file cannot be read, or there is no server.
        A4NNError: Prefect could not deploy it; the message is Prefect's.
    """
    tables, entries = _read(file)
    check_server("deploying")
    before = {name: ask_server(partial(_look, name=name), 0) for name in entries}
    again = {name: there for name, there in before.items() if there is not None}
    tables["deployments"] = [
        _kept(entry, again[name], schedules) if name in again else entry for name, entry in entries.items()
    ]
    _prefect_deploy(tables)
    said = []
    for name, entry in entries.items():
        now = ask_server(partial(_look, name=name), 0)
        if now is None:
            raise A4NNError(f"{name} was deployed and is not there")
        said += _changes(name, before[name], now)
        if name in again and not schedules:
            said += _differences(name, entry, now)
    return said


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Entry]]:
    """The tables of a prefect.yaml, and its deployments by full name."""
    try:
        tables = yaml.safe_load(file.read_text())
        entries = {f"{_flow_of(entry)}/{entry['name']}": entry for entry in tables["deployments"]}
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from None
    except KeyError as error:
        raise BadInput(
            f"{file} lacks {error.args[0]!r}; it lists deployments, each with name and entrypoint"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise BadInput(f"{file} is not a prefect.yaml: {' '.join(str(error).split())}") from None
    return tables, entries


def _flow_of(entry: Entry) -> str:
    return load_flow_from_entrypoint(entry["entrypoint"], use_placeholder_flow=False).name


def _look(client: SyncPrefectClient, name: str) -> Deployed | None:
    try:
        found: DeploymentResponse = client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None
    facts: dict[str, object] = {}
    for fact, value in found.model_dump(mode="json", include=_FACTS).items():
        inner = value if isinstance(value, dict) else None
        facts |= {fact: value} if inner is None else {f"{fact}.{key}": inner[key] for key in inner}
    automations = client.read_resource_related_automations(f"prefect.deployment.{found.id}")
    return Deployed(
        facts, [_in_words(one) for one in found.schedules], {a.name: a.enabled for a in automations}
    )


def _kept(entry: Entry, there: Deployed, schedules: bool) -> Entry:
    """A deployment of the file, with what is kept of the one on the server."""
    kept = {"paused": there.facts["paused"], **entry}
    if not schedules:
        kept.pop("schedules", None)  # Prefect leaves those alone of which it is told nothing
    if "triggers" in entry:
        kept["triggers"] = [
            {**trigger, "enabled": there.enabled.get(trigger.get("name"), trigger.get("enabled", True))}
            for trigger in entry["triggers"]
        ]
    return kept


def _prefect_deploy(tables: Mapping[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "prefect.yaml"
        file.write_text(yaml.safe_dump(dict(tables), sort_keys=False))
        words = [
            sys.executable,
            "-m",
            "prefect",
            "--no-prompt",
            "deploy",
            "--all",
            "--prefect-file",
            str(file),
        ]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise A4NNError(f"prefect deploy ended with {done.returncode}:\n{done.stdout}")


def _changes(name: str, before: Deployed | None, now: Deployed) -> list[str]:
    if before is None:
        return [f"{name} is new; schedules: {_listed(now.schedules)}"]
    said = []
    for fact in sorted({*before.facts, *now.facts}):
        old, new = before.facts.get(fact), now.facts.get(fact)
        if old != new:
            said.append(f"{name}: {fact} was {old!r} and is {new!r}")
    if sorted(before.schedules) != sorted(now.schedules):
        said.append(f"{name}: schedules were {_listed(before.schedules)} and are {_listed(now.schedules)}")
    return said


def _differences(name: str, entry: Entry, now: Deployed) -> list[str]:
    given = [_words_of_file(one) for one in entry.get("schedules") or []]
    if not given or sorted(given) == sorted(now.schedules):
        return []
    return [
        f"{name} keeps its schedules, {_listed(now.schedules)}; the file has {_listed(given)}, "
        "which --schedules would take"
    ]


def _in_words(one: DeploymentSchedule) -> str:
    match one.schedule:
        case CronSchedule():
            when = f"{one.schedule.cron} {one.schedule.timezone or 'UTC'}"
        case IntervalSchedule():
            when = f"every {one.schedule.interval.total_seconds():.15g} s"
        case RRuleSchedule():
            when = one.schedule.rrule
        case _:
            when = "never"
    return _words(one.slug, when, one.active)


def _words_of_file(one: Entry) -> str:
    cron, interval = one.get("cron"), one.get("interval")
    when = str(one.get("rrule"))
    if cron is not None:
        when = f"{cron} {one.get('timezone') or 'UTC'}"
    elif interval is not None:
        when = f"every {interval} s"
    return _words(one.get("slug"), when, one.get("active", True))


def _words(slug: str | None, when: str, active: bool) -> str:
    return f"{slug or 'a schedule without a slug'} ({when}{'' if active else ', inactive'})"


def _listed(schedules: Sequence[str]) -> str:
    return ", ".join(sorted(schedules)) or "none"


def main(
    file: Annotated[Path, typer.Option(help="What to deploy.")] = Path("prefect.yaml"),
    schedules: Annotated[
        bool,
        typer.Option(
            "--schedules",
            help="Deployments that exist get the schedules of the file; without this they keep theirs.",
        ),
    ] = False,
) -> None:
    """Deploy everything in a prefect.yaml. What was paused, disabled or scheduled on the server stays so;
    what is changed there is said."""
    carry_out(lambda: deploy(file, schedules), "deployed")


if __name__ == "__main__":
    typer.run(main)
