"""Every setting, with its unit, its default and its limit, as one frozen value.

A setting comes from the command line, else from the environment (`TOW_…`), else from towpath.yaml, else from here.
"""

from __future__ import annotations

import dataclasses
import getpass
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from towpath.errors import Refused

DATA_FOLDER = ".towpath"
PERFORMING_DEFAULT = 64
PERFORMING_MAX = 1_000
LISTEN_DEFAULT = "127.0.0.1:8420"
PORT_MAX = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator can set."""

    project: Path
    """The folder of the project."""
    data: Path
    """The data folder: journal, logs, artifacts, keys. `--data`, `TOW_DATA`; `.towpath` in the project's folder."""
    user: str
    """Who is at the keyboard. `--by`, `TOW_USER`; the name that the machine knows."""
    performing_max: int = PERFORMING_DEFAULT
    """Steps that this process performs at the same time. `TOW_PERFORMING_MAX`; from 1 to 1,000."""
    base_url: str = ""
    """Where people find the pages, such as https://tow.example.org; empty without a server. `--base-url` of `tow up`, `TOW_BASE_URL`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How the server of `tow up` is reached."""

    listen: str = LISTEN_DEFAULT
    """The address and port on which it listens; port 0 takes a free one. `--listen`, `TOW_LISTEN`."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which it may be called besides those that it knows itself. `--allow-host`, `TOW_ALLOW_HOSTS` with commas."""
    tls_cert: Path | None = None
    """The certificate, with those that lead to its issuer (PEM). `--tls-cert`, `TOW_TLS_CERT`."""
    tls_key: Path | None = None
    """The key of the certificate (PEM). `--tls-key`, `TOW_TLS_KEY`."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count. `--trust-proxy`, `TOW_TRUST_PROXIES` with commas."""
    unsafe_plain_http: bool = False
    """Whether other machines may reach it without TLS. `--unsafe-plain-http`, `TOW_UNSAFE_PLAIN_HTTP=1`."""
    log_format: Literal["text", "json"] = "text"
    """How it writes its log. `--log-format`, `TOW_LOG_FORMAT`."""
    git: str = ""
    """The repository whose project it serves, instead of the folder. `--git`, `TOW_GIT`."""
    ref: str = "main"
    """The branch or tag of that repository. `--ref`, `TOW_GIT_REF`."""
    git_seconds: float = 30.0
    """How often that repository is looked at; in seconds, at least 1. `--interval`, `TOW_GIT_INTERVAL`."""

    @property
    def host(self) -> str:
        """The address without its port; empty for every address of this machine."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port."""
        return int(self.listen.rpartition(":")[2])

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return "http" if self.tls_cert is None else "https"


def load_serving(environ: Mapping[str, str] | None = None, **said: object) -> Serving:
    """How the server is reached; *said* is what the command line says. Raises Refused for what cannot be, or would be careless."""
    env = os.environ if environ is None else environ
    from_environment: dict[str, object] = {
        "listen": env.get("TOW_LISTEN") or LISTEN_DEFAULT,
        "allowed_hosts": _several(env.get("TOW_ALLOW_HOSTS", "")),
        "tls_cert": Path(env["TOW_TLS_CERT"]) if env.get("TOW_TLS_CERT") else None,
        "tls_key": Path(env["TOW_TLS_KEY"]) if env.get("TOW_TLS_KEY") else None,
        "trusted_proxies": _several(env.get("TOW_TRUST_PROXIES", "")),
        "unsafe_plain_http": env.get("TOW_UNSAFE_PLAIN_HTTP", "") == "1",
        "log_format": env.get("TOW_LOG_FORMAT") or "text",
        "git": env.get("TOW_GIT", ""),
        "ref": env.get("TOW_GIT_REF") or "main",
        "git_seconds": load_seconds(env.get("TOW_GIT_INTERVAL") or "30s", "TOW_GIT_INTERVAL"),
    }
    given = {name: value for name, value in said.items() if value not in (None, (), False)}
    serving = dataclasses.replace(Serving(), **{**from_environment, **given})  # type: ignore[arg-type] # checked below
    _check(serving)
    return serving


def load_base_url(text: str) -> str:
    """The address that people use for the server, without a slash at its end; raises Refused."""
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/") or url.query:
        raise Refused(
            f"the base URL has to be an address such as https://tow.example.org, not {text!r}",
            help="it stands for the whole server: there is no path in it",
        )
    return f"{url.scheme}://{url.netloc}"


def load_seconds(text: str, name: str) -> float:
    """The seconds of a duration that *name* says, at least one; raises Refused."""
    from towpath.definition.model import parse_duration

    try:
        seconds = float(parse_duration(text))
    except (TypeError, ValueError):
        seconds = 0.0
    if seconds < 1:
        raise Refused(f"{name} has to be a duration such as 30s or 5m, of at least a second, not {text!r}")
    return seconds


def _check(serving: Serving) -> None:
    _, colon, port = serving.listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > PORT_MAX:
        raise Refused(
            f"{serving.listen!r} is not an address to listen on", help="write 127.0.0.1:8420, or [::]:8420"
        )
    if (serving.tls_cert is None) != (serving.tls_key is None):
        raise Refused("a certificate and its key belong together: --tls-cert and --tls-key")
    for file in (serving.tls_cert, serving.tls_key):
        if file is not None and not os.access(file, os.R_OK):
            raise Refused(f"{file} cannot be read by this user", help="name a PEM file that can")
    if serving.log_format not in ("text", "json"):
        raise Refused(f"a log is written as text or as json, not as {serving.log_format!r}")
    for proxy in serving.trusted_proxies:
        _check_network(proxy)
    is_covered = serving.is_local or serving.tls_cert is not None or serving.trusted_proxies
    if not is_covered and not serving.unsafe_plain_http:
        raise Refused(
            f"on {serving.listen} other machines could read every password and token on its way",
            help="give --tls-cert and --tls-key, or --trust-proxy with the address of a proxy that does TLS; "
            "or say --unsafe-plain-http",
        )


def _check_network(text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Refused(f"a trusted proxy is an address or a network, not {text!r}") from None


def _several(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (one.strip() for one in text.split(","))))


def load(
    start: Path,
    *,
    project: Path | None = None,
    data: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings for a process that begins in *start*; raises Refused for a value that cannot be.

    Args:
        start: the current folder, or the workflow file that was named.
        project: the project's folder, where it was named.
        data: the data folder, where it was named.
        environ: the environment of the process.

    """
    from towpath.definition import projects

    env = os.environ if environ is None else environ
    folder = (project or projects.find_project_folder(start)).absolute()
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder", help="name the project's folder with --project")
    named = data or (Path(env["TOW_DATA"]) if env.get("TOW_DATA") else None)
    return Settings(
        project=folder,
        data=(named or folder / DATA_FOLDER).absolute(),
        user=env.get("TOW_USER") or _user(),
        performing_max=_number(env, "TOW_PERFORMING_MAX", default=PERFORMING_DEFAULT, most=PERFORMING_MAX),
        base_url=env.get("TOW_BASE_URL", "").rstrip("/"),
    )


def _number(env: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    text = env.get(name)
    if not text:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise Refused(f"{name} has to be a number from 1 to {most:,}, not {text!r}")
    return int(text)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid{os.getuid()}"
