"""Dataverse's native API: one call at a time, retried where that is safe, the token kept out of messages.

A call that changes something and whose answer was lost is not simply sent again: it raises ``Uncertain``, and
whoever made it looks at the server first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.retry import doubling, retry

TOKEN_VARIABLE = "DATAVERSE_API_TOKEN"
_ATTEMPTS = 7
_BACK_OFF = (0.5, 60.0)
"""seconds: the first pause, and the longest"""
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_TIMEOUT = httpx.Timeout(60, read=900, write=900)


class Refused(BadInput):
    """The server answered and refused; asking again changes nothing."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Uncertain(A4NNError):
    """A call that changes something failed in a way that leaves open whether it was carried out."""


class Unreachable(A4NNError):
    """The server did not answer, however often it was asked."""


def token_from_environment() -> str:
    """The API token.

    Raises:
        BadInput: the variable is not set.
    """
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise BadInput(f"there is no API token: set the environment variable {TOKEN_VARIABLE}")
    return token


class Dataverse:
    """A server.

    Args:
        server: its address, https unless it is on this machine.
        token: of the user; None to read what is public.
        sleep: waits so many seconds; tests pass one that does not.

    Raises:
        BadInput: the address is not valid, or would send the token unencrypted.
    """

    def __init__(self, server: str, token: str | None, sleep: Callable[[float], None] = time.sleep) -> None:
        parts = urlsplit(server)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise BadInput(
                f"--server {_without_credentials(server)!r} is not an address such as https://dataverse.harvard.edu"
            )
        if token and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise BadInput(f"--server {server!r} would send the token unencrypted; use https")
        self.server = server.rstrip("/")
        self.sleep = sleep
        self._token = token
        # a redirect would carry the token's header to another host
        self._http = httpx.Client(timeout=_TIMEOUT, follow_redirects=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Dataverse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def clean(self, text: str) -> str:
        """A text on one line, without the token."""
        flat = " ".join(text.split())
        return flat.replace(self._token, "***") if self._token else flat

    def get(self, path: str, **params: Any) -> Any:
        """The ``data`` of an answer.

        Raises:
            Refused: the server will not give it.
            Unreachable: it does not answer.
        """
        return self._again(lambda: self._call("GET", path, params=params), path)

    def put(self, path: str, body: Any, **params: Any) -> Any:
        """Change something in a way that may be done twice; see ``get``."""
        return self._again(lambda: self._call("PUT", path, params=params, json=body), path)

    def delete(self, path: str) -> None:
        """Delete something; that it is already gone is not an error."""
        try:
            self._again(lambda: self._call("DELETE", path), path)
        except Refused as error:
            if error.status != 404:
                raise

    def post(self, path: str, *, params: Mapping[str, Any] | None = None, **content: Any) -> Any:
        """Change something that must not be done twice. It is sent once.

        Raises:
            Refused: the server will not do it.
            Uncertain: it is unknown whether it was done.
        """
        try:
            return self._call("POST", path, params=dict(params or {}), **content)
        except httpx.ConnectError as error:
            raise Uncertain(self.clean(f"{self.server} cannot be reached: {error}")) from None
        except _Passing as error:
            raise Uncertain(str(error)) from None
        except httpx.HTTPError as error:
            raise Uncertain(
                self.clean(f"the connection to {self.server} was lost: {error or type(error).__name__}")
            ) from None

    def store(self, url: str, data: Iterable[bytes], size: int, headers: Mapping[str, str]) -> str:
        """Put bytes where an upload address says; returns the entity tag. The token does not go there.

        Raises:
            httpx.HTTPError: it failed; the address can be used again.
        """
        answer = self._http.put(url, content=data, headers={**headers, "Content-Length": str(size)})
        answer.raise_for_status()
        return str(answer.headers.get("ETag", ""))

    def download(self, path: str, write: Callable[[Iterable[bytes]], None], **params: Any) -> None:
        """Stream a file; ``write`` is called again for each attempt."""

        def once() -> None:
            url, headers = f"{self.server}{path}", self._headers()
            query: dict[str, Any] | None = params
            for _ in range(5):
                with self._http.stream("GET", url, params=query, headers=headers) as answer:
                    if answer.is_redirect:
                        url = str(answer.next_request.url if answer.next_request else "")
                        headers, query = {}, None  # a store elsewhere has its own signature in the address
                        continue
                    if answer.status_code >= 400:
                        answer.read()
                        self._check(answer)
                    write(answer.iter_bytes(1 << 20))
                    return
            raise Refused(f"{self.server}{path} redirects in circles", 508)

        self._again(once, path)

    def wait(self, attempt: int) -> None:
        """Back off: half a second, then twice as long each time, a minute at most."""
        first, longest = _BACK_OFF
        self.sleep(min(longest, first * 2**attempt))

    def _headers(self) -> dict[str, str]:
        return {"X-Dataverse-key": self._token} if self._token else {}

    def _again(self, call: Callable[[], Any], path: str) -> Any:
        passing = (_Passing, httpx.HTTPError)
        pauses = doubling(*_BACK_OFF, _ATTEMPTS - 1)
        try:
            return retry(call, lambda error: isinstance(error, passing), pauses, self.sleep)
        except passing as error:
            last_error = self.clean(str(error) or type(error).__name__)
        raise Unreachable(
            f"{self.server} did not answer {path.split('?')[0]} in {_ATTEMPTS} attempts: {last_error}"
        )

    def _call(self, method: str, path: str, **content: Any) -> Any:
        answer = self._http.request(method, f"{self.server}{path}", headers=self._headers(), **content)
        return self._check(answer)

    def _check(self, answer: httpx.Response) -> Any:
        try:
            document = answer.json()
        except ValueError:
            document = {}
        if not isinstance(document, dict):
            document = {}
        status = answer.status_code
        reason = self.clean(str(document.get("message") or answer.reason_phrase or "no reason given"))[:400]
        if status in _PASSING or status == 409:
            raise _Passing(f"{self.server} answered {status}: {reason}", status)
        if status == 401 or (status == 403 and "key" in reason.lower()):
            raise Refused(
                f"{self.server} refuses the API token: {reason}; set {TOKEN_VARIABLE} again", status
            )
        if status == 403:
            raise Refused(f"{self.server} does not permit this to the user of the token: {reason}", status)
        if status == 413 or "quota" in reason.lower() or "exceeds" in reason.lower():
            raise Refused(f"{self.server} has no room for it: {reason}", status)
        if answer.is_redirect:
            target = urlsplit(answer.headers.get("location", ""))
            raise Refused(
                f"{self.server} redirects to {target.scheme}://{target.netloc}; give that as --server", status
            )
        if status >= 400:
            raise Refused(f"{self.server} refuses: {reason} ({status})", status)
        if not document:
            raise _Passing(f"{self.server} answered with something that is not JSON", status)
        return document.get("data", document)


class _Passing(Exception):
    """Whether a later attempt may be answered differently: overload, a lock, a proxy's error page."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _without_credentials(url: str) -> str:
    """An address without user and password."""
    scheme, sign, rest = url.partition("://")
    return f"{scheme}{sign}{rest.rpartition('@')[2]}"
