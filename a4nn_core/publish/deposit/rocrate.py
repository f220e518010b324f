"""RO-Crate 1.1 with the profile Process Run Crate 0.5: what was run, by which software, and what resulted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from a4nn_core.commons.records import Network, Run
from a4nn_core.publish.deposit.citation import schema_person
from a4nn_core.publish.deposit.files import DepositFile
from a4nn_core.publish.deposit.metadata import DepositMetadata
from a4nn_core.vocabulary import NetworkStatus, RunStatus

NAME = "ro-crate-metadata.json"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_HOME = "https://doi.org/10.1145/3605573.3605636"
_UNKNOWN = "unknown"  # version of what made an imported run
_ACTIONS = uuid.UUID("6a0c7c1e-8d2f-5c55-9f0a-0f4f6e3f0a44")  # of this namespace are the ids of actions


def ro_crate(
    metadata: DepositMetadata,
    files: Sequence[DepositFile],
    runs: Mapping[str, Run],
    networks: Mapping[str, Sequence[Network]],
    ends: Mapping[tuple[str, int], datetime],
    date: str,
) -> dict[str, object]:
    """The JSON-LD document ``ro-crate-metadata.json``.

    A search is one action, each network that was trained another. A network that its rule ended early was
    completed as intended; only one that went wrong failed.

    Args:
        metadata: what the author states about the deposit.
        files: the files of the deposit, with their descriptions.
        runs: the runs of the deposit, by id.
        networks: trained networks of each run, by id.
        ends: time of the last epoch of each network that has one, by run and number.
        date: when the data were made, YYYY-MM-DD.
    """
    people, places = _people(metadata)
    versions = sorted({(run.code_version or _UNKNOWN) for run in runs.values()})
    software = {version: f"{_HOME}#a4nn-{version}" for version in versions}
    actions: list[dict[str, object]] = []
    for name, run in runs.items():
        instrument = software[(run.code_version or _UNKNOWN)]
        actions.append(_search(name, run, instrument, str(people[0]["@id"]), files))
        for network in networks.get(name, ()):
            ended = ends.get((name, network.network)) or run.ended or run.started  # if it failed at once
            actions.append(_training(network, ended, instrument, str(people[0]["@id"])))
    root = {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": {"@id": _PROFILE},
        "name": metadata.title,
        "description": metadata.description,
        "datePublished": date,
        "license": {"@id": metadata.license_uri},
        "author": _one_or_all([{"@id": person["@id"]} for person in people]),
        **({"publisher": {"@id": places[0]["@id"]}} if places else {}),
        "keywords": ", ".join(metadata.keywords),
        "hasPart": [{"@id": file.path} for file in files],
        "mentions": [{"@id": action["@id"]} for action in actions],
    }
    license_ = {
        "@id": metadata.license_uri,
        "@type": "CreativeWork",
        "name": metadata.license_name,
        "description": f"{metadata.license_name}, SPDX {metadata.license}",
    }
    return {
        "@context": ["https://w3id.org/ro/crate/1.1/context", {"sha256": "http://schema.org/sha256"}],
        "@graph": [
            {
                "@id": NAME,
                "@type": "CreativeWork",
                "about": {"@id": "./"},
                "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            },
            {key: value for key, value in root.items() if value},
            {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
            license_,
            *people,
            *places,
            *(
                {
                    "@id": software[version],
                    "@type": "SoftwareApplication",
                    "name": "a4nn" if version != _UNKNOWN else "the software that made the imported runs",
                    "description": "neural architecture search",
                    "url": _HOME,
                    "version": version,
                }
                for version in versions
            ),
            *(
                {
                    "@id": file.path,
                    "@type": "File",
                    "name": file.path,
                    "description": file.description,
                    "contentSize": str(file.bytes),
                    "encodingFormat": file.media_type,
                    "sha256": file.sha256,
                }
                for file in files
            ),
            *actions,
        ],
    }


def _people(metadata: DepositMetadata) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The authors, and where they work."""
    people = []
    places: dict[str, dict[str, object]] = {}
    for number, person in enumerate(map(schema_person, metadata.authors), start=1):
        entity = {"@id": f"#author-{number}", **person}
        if name := person.get("affiliation"):
            new = {"@id": f"#place-{len(places) + 1}", "@type": "Organization", "name": name}
            entity["affiliation"] = {"@id": places.setdefault(str(name), new)["@id"]}
        people.append(entity)
    return people, list(places.values())


def _search(
    name: str, run: Run, instrument: str, agent: str, files: Sequence[DepositFile]
) -> dict[str, object]:
    results = [f.path for f in files if f.path.startswith("data/") or f.run == name]
    done = run.status is RunStatus.completed
    return {
        "@id": f"#{uuid.uuid5(_ACTIONS, name)}",
        "@type": "CreateAction",
        "name": f"search {name}",
        "description": f"Neural architecture search {name}: {run.status or _UNKNOWN}",
        "instrument": {"@id": instrument},
        "agent": {"@id": agent},
        **({"startTime": _iso(run.started)} if run.started else {}),
        **({"endTime": _iso(run.ended)} if run.ended else {}),
        "actionStatus": f"http://schema.org/{'Completed' if done else 'Failed'}ActionStatus",
        **({} if done else {"error": f"the search is {run.status or _UNKNOWN}"}),
        "result": [{"@id": path} for path in results],
    }


def _training(network: Network, ended: datetime | None, instrument: str, agent: str) -> dict[str, object]:
    failed = network.status is NetworkStatus.failed
    trained, budget = network.epochs_trained, network.epochs_budget
    return {
        "@id": f"#{uuid.uuid5(_ACTIONS, f'{network.run}/{network.network}')}",
        "@type": "CreateAction",
        "name": f"network {network.network} of {network.run}",
        "description": f"Training of network {network.network}, genome {network.genome or _UNKNOWN}: "
        f"{network.status or _UNKNOWN} after {_UNKNOWN if trained is None else trained} "
        f"of {_UNKNOWN if budget is None else budget} epochs",
        "instrument": {"@id": instrument},
        "agent": {"@id": agent},
        **({"endTime": _iso(ended)} if ended else {}),
        "actionStatus": f"http://schema.org/{'Failed' if failed else 'Completed'}ActionStatus",
        **({"error": network.error or _UNKNOWN} if failed else {}),
        "result": [{"@id": "data/networks.parquet"}, {"@id": "data/epochs.parquet"}],
    }


def _one_or_all(values: list[object]) -> object:
    """JSON-LD of RO-Crate writes a single value without a list."""
    return values[0] if len(values) == 1 else values


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
