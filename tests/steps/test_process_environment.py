"""The environment of a step is made: the same names on every machine, and nothing of `tow`'s own."""

from __future__ import annotations

import pytest

from towpath.errors import LimitExceeded, Refused, TowpathError
from towpath.steps.processes import EnvironmentBase, environment, make_environment

BASE = EnvironmentBase(variables={"PATH": "/bin"})

HOSTS = [
    ({}, (), {"PATH": environment.SEARCH_PATH, "HOME": "/", "LANG": "C.UTF-8", "TMPDIR": "/tmp"}),
    (
        {
            "PATH": "/opt/bin",
            "HOME": "/home/u",
            "USER": "u",
            "TZ": "UTC",
            "TOKEN": "x",
            "TOW_SECRET_A": "x",
            "LANG": "de",
        },
        (),
        {"PATH": "/opt/bin", "HOME": "/home/u", "USER": "u", "TZ": "UTC", "LANG": "de", "TMPDIR": "/tmp"},
    ),
    (
        {"HTTPS_PROXY": "p", "OTHER": "x"},
        ("HTTPS_PROXY", "NOT_THERE"),
        {
            "PATH": environment.SEARCH_PATH,
            "HOME": "/",
            "LANG": "C.UTF-8",
            "TMPDIR": "/tmp",
            "HTTPS_PROXY": "p",
        },
    ),
]


@pytest.mark.parametrize(("environ", "let_through", "expected"), HOSTS)
def test_the_base_holds_what_programs_need(
    environ: dict[str, str], let_through: tuple[str, ...], expected: dict[str, str]
) -> None:
    """Of the host's environment a step gets a few names, and those that the operator lets through."""
    assert EnvironmentBase.of_host(environ, let_through=let_through).variables == expected


def test_later_layers_win() -> None:
    """What the workflow says stands above the base, and Towpath's facts above all."""
    made = make_environment(BASE, {"PATH": "/x", "A": "1"}, {"TOW_RUN": "7"})

    assert made == {"PATH": "/x", "A": "1", "TOW_RUN": "7"}


REFUSED = [
    (
        {"TOW_OUTPUT": "/etc/passwd"},
        Refused,
        "`env` sets TOW_OUTPUT, but names that begin with TOW_ are Towpath's own.",
    ),
    ({"A B": "1"}, Refused, "`A B` cannot be the name of an environment variable."),
    ({"": "1"}, Refused, "`` cannot be the name of an environment variable."),
    ({"A=B": "1"}, Refused, "`A=B` cannot be the name of an environment variable."),
    ({"A": "x\0y"}, Refused, "The value of A holds a NUL character, which no environment can carry."),
    ({"A": "x" * 200_000}, LimitExceeded, "The environment variable A is larger than 127 KiB."),
    (
        {f"A{number}": "x" * 120_000 for number in range(10)},
        LimitExceeded,
        "The environment of the step is larger than 1024 KiB.",
    ),
]


@pytest.mark.parametrize(("said", "kind", "message"), REFUSED)
def test_what_no_environment_can_hold_is_refused(
    said: dict[str, str], kind: type[TowpathError], message: str
) -> None:
    """Names and values that the system would refuse, or that are ours, are refused with clear words."""
    with pytest.raises(kind) as refused:
        make_environment(BASE, said)

    assert str(refused.value) == message
