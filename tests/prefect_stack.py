"""A Prefect server and worker of one's own, on SQLite or PostgreSQL, that can be killed and started again."""

from __future__ import annotations

import base64
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

ROOT = Path(__file__).parent.parent
DEPLOYMENTS = ROOT / "deployments"
PREFECT = [sys.executable, "-m", "prefect"]
SELDOM = 1.0
"""the pause in seconds between two questions to a server, for which an answer is work"""


def free_port() -> int:
    """A port for a server that is about to start. It is below those that connections get from the kernel, so
    that none of them takes it in the meantime."""
    for port in random.SystemRandom().sample(range(10_000, 30_000), 100):
        with suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port))
            return port
    raise AssertionError("this machine has no free port")


def until(
    what: Callable[[], Any], seconds: float, otherwise: Callable[[], str] = str, pause: float = 0.1
) -> Any:
    """The first true answer; fails after so long. Asked every ``pause`` seconds: see ``SELDOM``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = what()
        if answer:
            return answer
        time.sleep(pause)
    raise AssertionError(f"nothing in {seconds} s; {otherwise()}")


class Stack:
    """A server, and workers on its pool ``a4nn``.

    Args:
        home: folder of everything, logs included.
        database: URL of the database; SQLite in ``home`` if None.
        login: user and password, as USER:PASSWORD, that the server asks for; none if None.

    Attributes:
        home: as given.
        environment: in which the server is found.
    """

    def __init__(self, home: Path, database: str | None = None, login: str | None = None) -> None:
        self.home = home
        self.commons = home / "commons"
        self.port = free_port()
        self.environment = {
            **os.environ,
            "PREFECT_HOME": str(home / "prefect"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_SERVER_API_PORT": str(self.port),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "DO_NOT_TRACK": "1",
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "A4NN_COMMONS": str(self.commons),
            "COLUMNS": "200",
        }
        self.login = login
        if login:
            self.environment |= {"PREFECT_SERVER_API_AUTH_STRING": login, "PREFECT_API_AUTH_STRING": login}
        if database:
            self.environment["PREFECT_API_DATABASE_CONNECTION_URL"] = database
        self.server: subprocess.Popen[bytes] | None = None
        self.worker: subprocess.Popen[bytes] | None = None

    def _start(self, command: str) -> subprocess.Popen[bytes]:
        # a group of its own, so that a worker that is killed leaves its flows, as on a real machine
        return subprocess.Popen(
            ["sh", "-c", f"exec {command}"], env=self.environment, cwd=self.home, start_new_session=True
        )

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text()[-6000:]

    def start_server(self) -> None:
        """By the command of docs/operations.md, except that it stays in the foreground."""
        page = (ROOT / "docs/operations.md").read_text()
        command = re.search(r"^    nohup (prefect server start .*) &$", page, re.MULTILINE)
        assert command
        self.server = self._start(command[1])

        def healthy() -> bool:
            assert self.server
            assert self.server.poll() is None, self.log("server")
            try:
                urllib.request.urlopen(f"{self.environment['PREFECT_API_URL']}/health", timeout=5)
            except OSError:
                return False
            return True

        until(healthy, 180, lambda: self.log("server"))

    def start_worker(self) -> None:
        self.worker = self._start("prefect worker start --pool a4nn >> worker.log 2>&1")

    def prefect(self, *arguments: str) -> str:
        """Run a prefect command; returns its output."""
        return self._run(*PREFECT, "--no-prompt", *arguments)

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            words,
            env=self.environment,
            cwd=DEPLOYMENTS,  # as docs/operations.md says: Prefect imports what lies in the current folder
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, file: Path) -> None:
        """Make the pool and deploy everything in a file."""
        template = DEPLOYMENTS / "work-pools/process.json"
        options = ("--type", "process", "--base-job-template", str(template), "--overwrite")
        self.prefect("work-pool", "create", "a4nn", *options)
        self.redeploy(file)

    def redeploy(self, file: Path) -> list[str]:
        """Deploy everything in a file; returns what was said."""
        return self._run(sys.executable, "-m", "a4nn_flows.deploy", "--file", str(file)).splitlines()

    def run(self, deployment: str, **parameters: Any) -> str:
        """Start a flow run now; returns its id."""
        found = self.get(f"deployments/name/{deployment}")
        # the key makes it one flow run however often it is asked for
        body = {"parameters": parameters, "idempotency_key": uuid4().hex}
        return str(self.post(f"deployments/{found['id']}/create_flow_run", body)["id"])

    def _ask(self, request: urllib.request.Request) -> Any:
        """The server's answer; asked again while it says that it is busy, as Prefect's own client does."""

        def answer() -> bytes | None:
            try:
                return urllib.request.urlopen(request, timeout=60).read() or b"null"
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                return None

        return json.loads(until(answer, 60, lambda: self.log("server")))

    def _request(self, path: str, body: Any = None, method: str = "GET") -> urllib.request.Request:
        headers = {"Content-Type": "application/json"}
        if self.login:
            headers["Authorization"] = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        sent = None if body is None else json.dumps(body).encode()
        url = f"{self.environment['PREFECT_API_URL']}/{path}"
        return urllib.request.Request(url, sent, headers, method=method)

    def get(self, path: str) -> Any:
        return self._ask(self._request(path))

    def post(self, path: str, body: Any) -> Any:
        return self._ask(self._request(path, body, "POST"))

    def patch(self, path: str, body: Any) -> Any:
        return self._ask(self._request(path, body, "PATCH"))

    def ask(self, what: str, **filters: Any) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = self.post(f"{what}/filter", {"limit": 200, **filters})
        return answer

    def flow_run(self, which: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"flow_runs/{which}")
        return found

    def kill_server(self) -> None:
        """kill -9; what it had in its database stays."""
        kill_group(self.server)

    def kill_worker(self) -> None:
        """kill -9 of the worker alone: its flows go on without it."""
        if self.worker:
            self.worker.kill()
            self.worker.wait()
            self.worker = None

    def stop(self) -> None:
        for process in (self.worker, self.server):
            kill_group(process)
        for left in processes_with(f"PREFECT_API_URL={self.environment['PREFECT_API_URL']}"):
            kill(left, signal.SIGKILL)


def kill(pid: int, how: signal.Signals = signal.SIGKILL) -> bool:
    """Send a signal; returns whether the process existed."""
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return False
    return True


def kill_group(process: subprocess.Popen[bytes] | None) -> None:
    """kill -9 of a process and all that still is in its group."""
    if process:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def processes_with(*texts: str) -> list[int]:
    """Ids of the processes whose command or environment contains all of these texts."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
                gone = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if not gone and all(text.encode() in command for text in texts):
                found.append(int(entry.name))
    return found


class Postgres:
    """A PostgreSQL server of one's own. It refuses to be root, so it is the user postgres then.

    Raises:
        FileNotFoundError: this machine has no PostgreSQL; the message says what was looked for.
    """

    def __init__(self) -> None:
        places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
        for name in ("initdb", "pg_ctl"):
            if (path := shutil.which(name)) is not None:
                places.append(Path(path).parent)
        found = [p for p in places if (p / "initdb").exists() and (p / "pg_ctl").exists()]
        if not found:
            raise FileNotFoundError("no initdb and pg_ctl in /usr/lib/postgresql/*/bin or PATH")
        self._bin = found[0]
        # beside the folders of the tests, which only their owner may enter
        self.folder = Path(tempfile.mkdtemp(prefix="a4nn-postgres-"))
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                raise FileNotFoundError("no user postgres, and PostgreSQL does not run as root") from None
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._port = free_port()
        self.url = f"postgresql+asyncpg://prefect:secret@127.0.0.1:{self._port}/postgres"
        password = self.folder / "password"
        password.write_text("secret")
        password.chmod(0o644)
        self._do(
            "initdb",
            "--pgdata",
            str(self.folder / "data"),
            "--username=prefect",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
        )
        self.start()

    def start(self) -> None:
        settings = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._do("pg_ctl", "start", "-w", "-D", str(self.folder / "data"), "-o", settings, "-l", self._log)

    def kill(self) -> None:
        """kill -9 of all its processes."""
        first = psutil.Process(int((self.folder / "data/postmaster.pid").read_text().split()[0]))
        family = [first, *first.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)

    @property
    def _log(self) -> str:
        return str(self.folder / "log")

    def _do(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / name), *arguments],
            stdout=subprocess.DEVNULL,  # a pipe would be inherited by the server and never end
            stderr=subprocess.DEVNULL,
            cwd="/",
            timeout=120,
            **self._user,
        )
        if done.returncode:
            log = Path(self._log).read_text() if Path(self._log).exists() else ""
            raise AssertionError(f"{name} ended with {done.returncode}: {log}")

    def stop(self) -> None:
        self._do("pg_ctl", "stop", "-D", str(self.folder / "data"), "-m", "immediate")
        shutil.rmtree(self.folder)


@contextmanager
def serving(folder: Path) -> Iterator[Stack]:
    """A Prefect server on SQLite that asks everything for a password."""
    one = Stack(folder, login="a4nn:pass word")
    try:
        one.start_server()
        yield one
    finally:
        one.stop()
