"""The lab's own server: marimo's app behind a token, for this machine's own addresses only.

A page on a loopback address is not private by itself: any page that the reader has open may ask
for it, and a name that is made to point at 127.0.0.1 (DNS rebinding) lets that page read the
answers. So a request must name this machine as its Host and come from no other page (Origin), and
carry the token of the address that was opened, or marimo's signed cookie that follows from it.

``launch.py`` runs it as ``python -m hierbayes.lab.serve``.
"""

import argparse
import secrets
import socket
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

APP = Path(__file__).with_name("app.py")
HOST = "127.0.0.1"
LOCAL_NAMES = (HOST, "localhost", "::1")
PORT = 2718  # where nothing else is there
TOKEN_BYTES = 24
PING, PATIENCE = 1, 60  # seconds between two questions whether the page is there, and for an answer
REFUSED = b"The lab answers on this machine's own address, and to its own page only.\n"


class LocalOnly:
    """An ASGI app that refuses requests for another host or from another page.

    Parameters
    ----------
    app : the ASGI app behind it
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan" or is_local(scope["headers"]):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": REFUSED})


def is_local(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether Host is this machine, said once, and Origin is the same page, if it is said."""
    hosts = [value.decode("latin1").lower() for name, value in headers if name == b"host"]
    origins = [value.decode("latin1").lower() for name, value in headers if name == b"origin"]
    if len(hosts) != 1:
        return False
    try:
        parts = urlsplit(f"//{hosts[0]}")
        names_us = parts.hostname in LOCAL_NAMES and parts.netloc == hosts[0]
    except ValueError:
        return False
    return names_us and "@" not in hosts[0] and all(o == f"http://{hosts[0]}" for o in origins)


def listening(port: int | None) -> socket.socket:
    """Return a socket of this machine that listens: on ``port``, or on any that is free.

    Raises
    ------
    OSError
        If the port is taken.
    """
    for wanted in (PORT, 0) if port is None else (port,):
        found = socket.socket(socket.AF_INET)
        try:
            if sys.platform != "win32":  # there it would share the port with another server
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((HOST, wanted))
            found.listen()
        except OSError:
            found.close()
            if wanted == 0 or port is not None:
                raise
        else:
            return found
    raise AssertionError("a free port is always found or refused")


def serve(*, port: int | None, browser: bool) -> None:
    """Serve the page until it is interrupted; its address, token included, is printed."""
    import marimo
    import uvicorn

    token = secrets.token_urlsafe(TOKEN_BYTES)
    app = marimo.create_asgi_app(quiet=True, token=token).with_app(path="", root=str(APP)).build()
    with listening(port) as door:
        address = f"http://{HOST}:{door.getsockname()[1]}/?access_token={token}"
        print(f"The shrinkage lab: {address}\nStop it with Ctrl-C.", flush=True)
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        settings = uvicorn.Config(
            LocalOnly(app),
            log_level="error",
            ws_ping_interval=PING,
            ws_ping_timeout=PATIENCE,
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(settings).run(sockets=[door])


def main() -> int:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(prog="hierbayes lab")
    parser.add_argument("--port", type=int)
    parser.add_argument("--headless", action="store_true")
    given = parser.parse_args()
    try:
        serve(port=given.port, browser=not given.headless)
    except KeyboardInterrupt:
        pass
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        print(f"The lab can't listen on port {given.port}: {reason}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
