"""The project and its server: whether all of it loads, secrets are there, people can be told, and the server answers."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from towpath.definition import model
from towpath.definition.problems import DefinitionProblems
from towpath.errors import NotFound, TowpathError
from towpath.observe import words
from towpath.server.examining.finding import Finding, bad, good, odd
from towpath.server.running.holding import holder_of
from towpath.triggers.contract import Listener
from towpath.triggers.matching import secret_of

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.definition import loader

ANSWER_SECONDS: Final = 5.0
NAMES_MAX: Final = 5
_SECRET: Final = re.compile(r"\bsecrets\.([A-Za-z_][A-Za-z0-9_]*)")
_READY: Final = 200


def examine(app: App) -> Iterator[Finding]:
    """Everything about the project."""
    try:
        project = app.project
    except TowpathError as error:
        yield bad(
            "towpath.yaml", error.message.splitlines()[0], do="tow lint shows every mistake with its line"
        )
        return
    yield good("project", str(app.settings.project))
    if not project.has_file:
        yield odd(
            "towpath.yaml",
            "there is none: nothing is known of people and environments",
            do="tow init writes one",
        )
    loaded, broken = _workflows(app)
    if broken:
        names = ", ".join(broken[:NAMES_MAX])
        yield bad(
            "workflows",
            f"{words.counted(len(broken), 'file')} with mistakes: {names}",
            do="tow lint shows every mistake with its line",
        )
    else:
        yield good("workflows", f"all {len(loaded)} load")
    yield _secrets(app, loaded)
    yield _channels(app, loaded)


def programs_of(app: App) -> Iterator[tuple[str, str]]:
    """The programs that the workflows name, each with the first workflow that does; nothing where the project does not load."""
    try:
        loaded, _ = _workflows(app)
    except TowpathError:
        return
    seen: set[str] = set()
    for one in loaded:
        for step in _steps(one.workflow):
            for program in _programs(step) - seen:
                seen.add(program)
                yield program, one.workflow.name


def server(app: App) -> Finding:
    """Whether the server of the data folder answers."""
    holder = holder_of(app.folder)
    if holder is None:
        return odd("server", "none serves this data folder: schedules and deliveries wait", do="tow up")
    import httpx2

    # It is asked whether it answers, and told nothing: whose certificate it shows does not matter here.
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    try:
        status = httpx2.get(f"{holder.address}/readyz", timeout=ANSWER_SECONDS, verify=anybody).status_code
    except httpx2.HTTPError as error:
        return bad(
            "server",
            f"process {holder.pid} does not answer at {holder.address}: {type(error).__name__}",
            do="look into its log; where a proxy stands before it, look there too",
        )
    if status != _READY:
        return bad(
            "server",
            f"process {holder.pid} takes no work ({status})",
            do="its log, and the page of health, say why",
        )
    return good("server", f"process {holder.pid} at {holder.address}")


def _workflows(app: App) -> tuple[list[loader.Loaded], list[str]]:
    loaded: list[loader.Loaded] = []
    broken: list[str] = []
    for path in app.project.workflow_files():
        try:
            loaded.append(app.find(str(path)))
        except (DefinitionProblems, TowpathError):
            broken.append(path.name)
    return loaded, broken


def _secrets(app: App, loaded: list[loader.Loaded]) -> Finding:
    """Whether every secret that something names has a value; the values themselves are let go of at once."""
    wanted = {name: one.workflow.name for one in loaded for name in _SECRET.findall(one.source.text)}
    for one in loaded:
        listener = Listener(workflow=one.workflow, names_secrets=False)
        wanted |= {name: one.workflow.name for name in map(secret_of, listener.triggers) if name}
    missing = [name for name in sorted(wanted) if not _has(app, name)]
    if missing:
        shown = ", ".join(f"{name} ({wanted[name]})" for name in missing[:NAMES_MAX])
        return bad(
            "secrets",
            f"without a value: {shown}",
            do=f"tow secrets set {missing[0]}, or give it through a provider of towpath.yaml",
        )
    return good(
        "secrets", f"{words.counted(len(wanted), 'name')}, all with a value" if wanted else "none is named"
    )


def _has(app: App, name: str) -> bool:
    try:
        app.secrets.get(name)
    except (NotFound, TowpathError):
        return False
    return True


def _channels(app: App, loaded: list[loader.Loaded]) -> Finding:
    file = app.project_file()
    asks = [one.workflow.name for one in loaded if any(_asks(step) for step in _steps(one.workflow))]
    if file.channels:
        return good("channels", ", ".join(sorted(file.channels)))
    if asks:
        return odd(
            "channels",
            f"there is none: nobody is told that {asks[0]} waits for them",
            do="name one under `channels:` in towpath.yaml; `tow inbox` lists what waits all the same",
        )
    return good("channels", "none, and no workflow asks anybody")


def _asks(step: model.Step) -> bool:
    return isinstance(step, model.ApproveStep | model.TaskStep)


def _steps(part: model.Workflow | model.Step) -> Iterator[model.Step]:
    for _, steps in part.children():
        for step in steps:
            yield step
            yield from _steps(step)


def _programs(step: model.Step) -> set[str]:
    found: set[str] = set()
    if isinstance(step, model.RunStep):
        shell = step.shell if isinstance(step.shell, str) else step.shell[0]
        found |= {{"python": "python3"}.get(shell, shell)} - {"bash"}
    return found
