"""What ships for running it as a service agrees with the program."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from towpath.cli import exit_codes
from towpath.cli.group import root
from towpath.server import serving

DEPLOY = Path(__file__).parents[3] / "deploy"
UNIT = (DEPLOY / "towpath.service").read_text(encoding="utf-8")
CONTAINER = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
SETTINGS = (DEPLOY.parent / "src" / "towpath" / "settings.py").read_text(encoding="utf-8")


def said(name: str) -> str:
    """What the unit says under a name."""
    (found,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(found)


def test_the_unit_starts_what_can_be_typed() -> None:
    """The unit's command line is one that `tow` takes."""
    program, *words = shlex.split(said("ExecStart"))
    at = words.index("up")
    context = root.make_context("tow", words[: at + 1])
    command = root.get_command(context, "up")
    assert command is not None
    told = command.make_context("up", words[at + 1 :], parent=context).params

    assert (program, said("Type"), told["log_format"]) == ("/usr/local/bin/tow", "notify", "json")
    assert (context.params["project"], context.params["data"]) == (
        Path("/srv/towpath"),
        Path("/var/lib/towpath"),
    )


def test_the_unit_tries_again_what_can_be_better_next_time() -> None:
    """A refusal and a wrong command line are not tried again; and there is more time to stop than the server takes."""
    never = {int(code) for code in said("RestartPreventExitStatus").split()}
    longest = serving.ENGINE_STOPS_SECONDS_MAX + 10

    assert never == {exit_codes.USAGE, exit_codes.REFUSED}
    assert int(said("TimeoutStopSec")) >= longest


def test_the_image_says_what_the_program_reads() -> None:
    """Every variable that the image sets is one that is read, nobody is root in it, and its health is what `/readyz` says."""
    named = set(re.findall(r"\b(TOW_[A-Z_]+)=", CONTAINER))

    assert named == {"TOW_DATA", "TOW_USER", "TOW_LISTEN", "TOW_LOG_FORMAT", "TOW_UNSAFE_PLAIN_HTTP"}
    assert [name for name in named if name not in SETTINGS] == []
    assert re.findall(r"^USER (\S+)$", CONTAINER, re.MULTILINE) == ["towpath"]
    assert "/readyz" in CONTAINER
