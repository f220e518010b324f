"""The explorer of a commons, served in a thread of this process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import uvicorn

from a4nn_core.explore.app import Explorer, application
from a4nn_core.explore.catalogue import Catalogue
from a4nn_core.explore.guard import Guard
from a4nn_core.explore.serving import listen

TOKEN = "a-token-of-the-tests"


@dataclass(frozen=True)
class Served:
    """An explorer that answers.

    Attributes:
        catalogue: what it knows.
        port: where it listens.
        client: has the token.
    """

    catalogue: Catalogue
    port: int
    client: httpx.Client

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, **body: Any) -> Any:
        """The answer to what the page would ask."""
        looked = path in ("runs", "changes")
        answer = self.client.get(f"/api/{path}") if looked else self.client.post(f"/api/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path: str, **body: Any) -> str:
        """The sentence with which it is refused."""
        answer = self.client.post(f"/api/{path}", json=body)
        assert answer.status_code in (422, 503), answer.text
        return str(answer.json()["error"])


@contextmanager
def served(commons: Path, folder: Path) -> Iterator[Served]:
    """Serve a commons; files are made in a folder."""
    catalogue = Catalogue(commons)
    catalogue.refresh()
    folder.mkdir(exist_ok=True)
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        guarded = Guard(application(Explorer(catalogue, folder)), TOKEN, port)
        config = uvicorn.Config(
            guarded, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        cookies = {f"a4nn-explore-{port}": TOKEN}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies=cookies, timeout=120) as client:
            yield Served(catalogue, port, client)
        server.should_exit = True
        thread.join(10)
