"""Who may ask the explorer, and what its pages may do.

The server listens on this machine alone by default, but any page that is open in the same browser can send
requests there, and any user of the machine. So whoever asks must have the token, as a cookie that other sites
cannot send, under a name of this machine, so that no other name that was pointed at it (DNS rebinding)
counts. Cookies know no ports: another server on this machine to which the browser goes is sent it as well.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Plotly makes rules of its own
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""only our own code runs, whatever the records hold, and it asks nobody else"""


class Guard:
    """Lets through who has the token; everybody else gets a sentence.

    Args:
        app: what is guarded.
        token: the token.
        port: the port that is listened on, which the cookie is named after: cookies know no ports.
        names: further names of this machine, in lower case.
    """

    def __init__(self, app: ASGIApp, token: str, port: int, names: Collection[str] = ()) -> None:
        self.app = app
        self.token = token
        self.cookie = f"a4nn-explore-{port}"
        self.names = {"localhost", *names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", POLICY)
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
            await send(message)

        answer = self._refusal(scope)
        await (answer or self.app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            return PlainTextResponse("This is not a name of this machine.\n", 421)
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope.get('scheme', 'http')}://{host}":
            return PlainTextResponse("Pages of other sites may not ask this server.\n", 403)
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and scope["path"] != "/":
            return PlainTextResponse("Pages of other sites may not ask this server.\n", 403)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and self._is_token(given):
            # from here on the token is in no address, and so in no history and no screenshot
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path="/")
            return answer
        if self._is_token(cookie_parser(headers.get("cookie", "")).get(self.cookie, "")):
            return None
        return PlainTextResponse(
            "Open the address that a4nn explore printed: it has the token that this server asks for.\n", 401
        )

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self.token.encode())

    def _is_ours(self, host: str) -> bool:
        """Whether a name is of this machine. A number is nobody's to point elsewhere."""
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        name = name.strip("[]").lower()
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return True


def names_of_machine() -> set[str]:
    """The names by which others may know this machine, in lower case."""
    return {name.lower() for name in (socket.gethostname(), socket.getfqdn()) if name}
