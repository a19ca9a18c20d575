"""The servers that `tow login` knows, with their tokens: one file that only this user can read."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from towpath.cli.remote.wire import check_url
from towpath.errors import Refused

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
FILE_NAME: Final = "servers.json"


def servers_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the tokens are kept."""
    base = environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "towpath" / FILE_NAME


def token_for(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """The token for a server: of TOW_TOKEN, else as it was kept; raises Refused where there is none."""
    given = environ.get("TOW_TOKEN", "").strip()
    if given:
        return given
    kept = known(environ).get(check_url(url))
    if kept is None:
        raise Refused(
            f"no token for {check_url(url)} is known here",
            help=f"`tow login {check_url(url)}` keeps one; TOW_TOKEN gives one to a script",
        )
    return kept


def known(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Every server with its token; raises Refused where others could read them."""
    file = servers_file(environ)
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise Refused(f"others can read the tokens in {file}", help=f"chmod 600 {file}")
        told = json.loads(file.read_text(encoding="utf-8"))
        return {str(url): str(one["token"]) for url, one in told["servers"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{file} cannot be read: {error}", help="remove it, and log in again") from error


def keep(url: str, token: str | None, environ: Mapping[str, str] = os.environ) -> None:
    """Keeps the token of a server, or forgets it; the file is replaced as a whole."""
    servers = known(environ)
    if token is None:
        servers.pop(check_url(url), None)
    else:
        servers[check_url(url)] = token
    file = servers_file(environ)
    file.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    text = json.dumps({"servers": {one: {"token": servers[one]} for one in sorted(servers)}}, indent=2)
    descriptor, made = tempfile.mkstemp(dir=file.parent, prefix=f".{FILE_NAME}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), FILE_MODE)
        stream.write(text + "\n")
    Path(made).replace(file)
