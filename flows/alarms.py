"""Install the automations that tell of failed, late and stuck flow runs; what an operator changed is kept.

    python -m a4nn_flows.alarms --url https://hooks.example.org/...

Each automation has a tag with the fingerprint of what was installed. If the one on the server has that
fingerprint still, nobody has changed it, and it becomes what the file says now; otherwise it stays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound
from pydantic import ValidationError

from a4nn_core.errors import BadInput

from .commands import carry_out
from .server import ask_server, check_server

BLOCK = "a4nn-alarms"
"""name of the block that ``--url`` makes"""
_TAG = "a4nn-installed-"


def install(
    file: Path, *, url: str | None = None, block: str | None = None, reset: bool = False
) -> list[str]:
    """Install the automations of a file.

    Args:
        file: automations as ``prefect automation create --from-file`` takes them.
        url: address that gets a POST with ``{"text": ...}`` for each message; a block is made of it.
        block: the notification block that sends the messages, as TYPE/NAME. Without either, the one of the
            automations that are installed.
        reset: whether automations that were changed on the server become those of the file.

    Returns:
        a sentence for everything that is new, was changed, or was kept although the file says otherwise.

    Raises:
        BadInput: the file cannot be read, there is no server, or no such block.
    """
    wanted = _read(file)
    check_server("installing automations")
    there = {one.name: one for one in ask_server(lambda client: client.read_automations(), 0)}
    if url is not None:
        chosen: UUID | None = _webhook(url)
    elif block is not None:
        chosen = ask_server(partial(_find, block=block), 0)
    else:
        chosen = None
    mine = [there[one.name] for one in wanted if one.name in there]
    sender = chosen or next((action.block_document_id for one in mine for action in _messages(one)), None)
    if sender is None:
        raise BadInput("say who is told: --url ADDRESS, or --block TYPE/NAME of a notification block")
    said = []
    for one in wanted:
        _tell(one, sender)
        said += ask_server(
            partial(_install, one=one, before=there.get(one.name), chosen=chosen, reset=reset), 0
        )
    return said


def _read(file: Path) -> list[AutomationCore]:
    try:
        return [AutomationCore.model_validate(one) for one in yaml.safe_load(file.read_text())["automations"]]
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from None
    except KeyError as error:
        raise BadInput(f"{file} lacks {error.args[0]!r}, a list of automations") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadInput(f"{file}: an automation is wrong at {place}: {first['msg']}") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise BadInput(f"{file} has no automations: {' '.join(str(error).split())}") from None


def _webhook(url: str) -> UUID:
    """The block that posts to an address, made or changed. Slack, Mattermost and others read its ``text``."""
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"--url {url!r} is not an address; it begins with http:// or https://")
    webhook = CustomWebhookNotificationBlock(
        name="A4NN",
        # whoever knows such an address can write there, so the web pages do not show it
        url="{{url}}",
        json_data={"text": "{{subject}}\n{{body}}"},
        secrets={"url": url},
    )
    return UUID(str(webhook.save(BLOCK, overwrite=True)))


def _find(client: SyncPrefectClient, block: str) -> UUID:
    kind, _, name = block.partition("/")
    try:
        found = client.read_block_document_by_name(name, kind)
    except ObjectNotFound:
        raise BadInput(
            f"--block {block!r}: there is no such block; `prefect block ls` lists them as TYPE/NAME"
        ) from None
    if "notify" not in (found.block_schema.capabilities if found.block_schema else []):
        raise BadInput(
            f"--block {block!r} sends no notifications; slack-webhook, custom-webhook and others do"
        )
    return found.id


def _install(
    client: SyncPrefectClient,
    one: AutomationCore,
    before: Automation | None,
    chosen: UUID | None,
    reset: bool,
) -> list[str]:
    mark = _TAG + _fingerprint(one)
    if before is None:
        client.create_automation(one.model_copy(update={"tags": [*one.tags, mark]}))
        return [f"{one.name} is new"]
    is_own = _TAG + _fingerprint(before) in before.tags
    if not is_own and not reset:
        return _keep(client, before, chosen)
    if _fingerprint(before) == _fingerprint(one) and is_own:
        return []
    tags = [tag for tag in before.tags if not tag.startswith(_TAG)]
    client.update_automation(
        before.id, one.model_copy(update={"tags": [*tags, mark], "enabled": before.enabled})
    )
    return [f"{one.name} is now as in the file"]


def _keep(client: SyncPrefectClient, before: Automation, chosen: UUID | None) -> list[str]:
    said = [f"{before.name} keeps what was changed on the server; --reset would take the file's"]
    if chosen and any(action.block_document_id != chosen for action in _messages(before)):
        # what a server takes back of what it says
        changed = AutomationCore.model_validate(before.model_dump(exclude={"id", "owner_resource"}))
        _tell(changed, chosen)
        client.update_automation(before.id, changed)
        said.append(f"{before.name} tells the chosen block")
    return said


def _messages(one: AutomationCore) -> Iterator[SendNotification]:
    return (action for action in one.actions if isinstance(action, SendNotification))


def _tell(one: AutomationCore, block: UUID) -> None:
    for action in _messages(one):
        action.block_document_id = block


def _fingerprint(one: AutomationCore) -> str:
    """Of what an automation does, whether it is enabled or not."""
    # without defaults, to which a newer Prefect may add
    held = one.model_dump(mode="json", include={"description", "trigger", "actions"}, exclude_defaults=True)
    text = json.dumps(_in_order(held), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _in_order(value: Any) -> Any:
    """The same whatever the order of what Prefect has in sets."""
    if isinstance(value, dict):
        return {key: _in_order(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((_in_order(inner) for inner in value), key=json.dumps)
    return value


def main(
    file: Annotated[Path, typer.Option(help="The automations.")] = Path("automations.yaml"),
    url: Annotated[
        str | None, typer.Option("--url", help="Address that gets the messages, such as a webhook of Slack.")
    ] = None,
    block: Annotated[
        str | None,
        typer.Option("--block", metavar="TYPE/NAME", help="Notification block that sends them instead."),
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Automations changed on the server become those of the file.")
    ] = False,
) -> None:
    """Install the automations that tell of failed, late and stuck flow runs."""
    carry_out(lambda: install(file, url=url, block=block, reset=reset), "installed")


if __name__ == "__main__":
    typer.run(main)
