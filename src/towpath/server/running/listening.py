"""Where a server listens, by which names it may be called, and the web server that does it."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import socket
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from towpath.errors import Refused
from towpath.settings import Serving

_LOG = logging.getLogger("towpath.server")
BACKLOG: Final = 2_048
"""Connections that the kernel keeps until they are taken up."""
STREAMS_END_SECONDS_MAX: Final = 10
"""How long answers that are on their way may take when the server stops."""
IDLE_SECONDS_MAX: Final = 75
"""How long a connection may be kept without a request."""
UNREAD_MILLISECONDS_MAX: Final = 90_000
"""How long what was sent may lie unread before the connection is ended: who does not read a stream is not waited for."""
LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")


def listen(serving: Serving) -> socket.socket:
    """The socket that others connect to; raises Refused where it cannot be had."""
    family = socket.AF_INET6 if ":" in serving.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # [::] is every address, those of IPv4 too.
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # every connection inherits it; Linux has it
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MILLISECONDS_MAX)
        taken.bind((serving.host, serving.port))
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        in_use = error.errno == errno.EADDRINUSE
        raise Refused(
            f"cannot listen on {serving.listen}: {error.strerror or error}",
            help="another program listens there: --listen 127.0.0.1:0 takes a free port" if in_use else "",
        ) from None
    return taken


def address_of(serving: Serving, taken: socket.socket) -> str:
    """Where a browser on this machine finds the server."""
    port = taken.getsockname()[1]
    host = serving.host
    if not host or _is_unspecified(host):
        host = socket.gethostname()
    return f"{serving.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def names_of(serving: Serving, address: str, base_url: str) -> tuple[str, ...]:
    """The names by which the server may be called: whoever uses another one was led here by somebody else's name."""
    known = {urlsplit(address).hostname, urlsplit(base_url).hostname, *serving.allowed_hosts}
    if serving.is_local or _is_unspecified(serving.host):
        known |= set(LOCAL_NAMES)
    return tuple(sorted(f"[{name}]" if ":" in name else name for name in known if name))


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == ""


class WebServer(uvicorn.Server):
    """uvicorn, with our signals instead of its own: the process has more to end than connections."""

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                proxy_headers=bool(serving.trusted_proxies),
                forwarded_allow_ips=list(serving.trusted_proxies),
                ssl_certfile=None if serving.tls_cert is None else str(serving.tls_cert),
                ssl_keyfile=None if serving.tls_key is None else str(serving.tls_key),
                timeout_keep_alive=IDLE_SECONDS_MAX,
                timeout_graceful_shutdown=STREAMS_END_SECONDS_MAX,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals alone."""
        yield

    def stop(self) -> None:
        """Takes no new connections, lets answers end, and then has `serve` return."""
        self.should_exit = True
