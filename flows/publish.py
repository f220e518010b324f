"""Publishing as a Prefect flow: a draft of a search on a Dataverse server, for a person to release."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from prefect import State, flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.blocks.system import Secret
from prefect.cache_policies import NO_CACHE

from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.printable import code_span, markdown
from a4nn_core.publish.dataverse.client import Dataverse
from a4nn_core.publish.dataverse.upload import upload
from a4nn_core.publish.deposit.build import Settings, build
from a4nn_core.publish.deposit.metadata import read_metadata

from .artifacts import artifact_key
from .search import search

TOKEN_BLOCK = "dataverse-token"


@task(name="build deposit", cache_policy=NO_CACHE, persist_result=False)
def build_deposit(runs: list[str], commons: Path, out: Path, metadata: Path, settings: Settings) -> str:
    """Build the deposit; returns its UNF, empty if it has none."""
    return build(commons, runs, out, read_metadata(metadata), settings).unf or ""


def _may_pass(_task: object, _run: object, state: State[object]) -> bool:
    """Whether another attempt may succeed: not with a wrong token, a full quota or a missing block."""
    return not isinstance(state.result(raise_on_failure=False), BadInput)


@task(
    name="upload draft",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=60,
    retry_condition_fn=_may_pass,
)
def upload_draft(deposit: Path, server: str, dataverse: str, token_block: str, doi: str | None) -> str:
    """Upload the deposit as a draft; returns its persistent identifier. A retry resumes where it stopped.

    The token is loaded here, as the parameters of a task can be read in Prefect's pages.
    """
    try:
        token = str(Secret.load(token_block).get())  # type: ignore[union-attr]
    except ValueError:
        raise BadInput(
            f"Prefect has no Secret block {token_block!r} with the API token of {server}"
        ) from None
    with Dataverse(server, token) as api:
        return str(upload(deposit, api, dataverse, persistent_id=doi).persistent_id)


@flow(name="a4nn-publish", validate_parameters=True)
def publish(
    runs: list[str],
    out: Path,
    metadata: Path,
    server: str,
    dataverse: str,
    commons: Path = Path("commons"),
    token_block: str = TOKEN_BLOCK,
    doi: str | None = None,
    weights: str = "front",
    models: str = "front",
) -> dict[str, str]:
    """Build a deposit of finished runs and upload it as a draft. This flow never publishes it.

    Args:
        runs: ids of runs in the commons.
        out: new folder for the deposit.
        metadata: TOML file, see docs/publishing.md.
        server: address of the Dataverse server.
        dataverse: alias of the collection.
        commons: folder of the data commons.
        token_block: name of the Secret block that holds the API token.
        doi: existing data set whose draft is replaced by this deposit; None for a new data set.
        weights, models: as for ``a4nn publish``.

    Returns:
        ``persistent_id``, ``url`` and ``unf``.
    """
    chosen: Any = {"weights": weights, "models": models}
    unf = build_deposit(runs, commons, out, metadata, Settings(**chosen))
    name = upload_draft(out, server, dataverse, token_block, doi)
    url = f"{server.rstrip('/')}/dataset.xhtml?persistentId={quote(name, safe=':/')}"
    create_markdown_artifact(
        f"# Draft {markdown(name)}\n\nRuns: {', '.join(map(markdown, runs))}. "
        f"Review and release it: [{markdown(url)}](<{url}>)\n\n{code_span(unf)}",
        key=artifact_key("draft", runs[0]),
    )
    return {"persistent_id": name, "url": url, "unf": unf}


@flow(name="a4nn-search-and-publish", validate_parameters=True)
def search_and_publish(
    experiment: Experiment | str,
    run_id: str,
    out: Path,
    metadata: Path,
    server: str,
    dataverse: str,
    commons: Path = Path("commons"),
    token_block: str = TOKEN_BLOCK,
    weights: str = "front",
    models: str = "front",
) -> dict[str, str]:
    """Search, then upload the run as a draft; see ``search`` and ``publish``."""
    read_metadata(metadata)  # errors in it are reported before the search begins
    search(experiment, commons, run_id)
    return publish(
        [run_id],
        out,
        metadata,
        server,
        dataverse,
        commons=commons,
        token_block=token_block,
        weights=weights,
        models=models,
    )
