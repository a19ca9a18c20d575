"""`tow versions`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.cli.remote.wire import Wire
    from towpath.editions.history import Version

LIMIT_DEFAULT = 20
LIMIT_MAX = 200

Object = dict[str, Any]  # JSON: the shapes of `server.shapes.versions`


@click.command()
@click.argument("words", nargs=-1, metavar="[promote|abort] [WORKFLOW]")
@click.option("--diff", is_flag=True, help="Show what a version changed; the newest where none is named.")
@click.option(
    "--version", "digest", default="", metavar="DIGEST", help="A version, by the beginning of its digest."
)
@click.option(
    "--against", default="", metavar="DIGEST", help="With --diff: another version than the one before."
)
@click.option("--comment", default="", metavar="TEXT", help="With promote and abort: why.")
@click.option(
    "-n",
    "--limit",
    default=LIMIT_DEFAULT,
    show_default=True,
    type=click.IntRange(1, LIMIT_MAX),
    metavar="N",
    help="How many.",
)
@parameters.json_option("One JSON object for each version.")
@pass_session
def command(
    session: Session,
    *,
    words: tuple[str, ...],
    diff: bool,
    digest: str,
    against: str,
    comment: str,
    limit: int,
    as_json: bool,
) -> int:
    """Show the versions of a WORKFLOW: who wrote them, which one runs take, how their runs did, why one does not load.

    Without a workflow: the versions of all that count now, and the commit that a server follows.

    `tow versions promote WORKFLOW` has all runs take a version that is being tried, or was sent back; `tow versions abort WORKFLOW` sends
    back one that is being tried.
    """
    told = _told_by(session)
    match words:
        case ():
            _show_all(session, told, as_json=as_json)
        case ("promote" | "abort" as action, workflow):
            one = told.settle(workflow, digest, action=action, comment=comment)
            does = "all runs take it now" if action == "promote" else "no run takes it any more"
            session.out.say((f"version {one['digest'][:12]} of {workflow}", "name"), f": {does}")
        case (workflow,) if diff:
            _show_diff(session, told.difference(workflow, digest, against))
        case (workflow,):
            _show(session, told.versions(workflow, limit=limit), as_json=as_json)
        case _:
            raise click.UsageError("Give one workflow, or `promote WORKFLOW`, or `abort WORKFLOW`.")
    return exit_codes.OK


class _Told(Protocol):
    """Where versions are told: from the data folder, or by a server."""

    def versions(self, workflow: str, *, limit: int) -> list[Object]:
        """The versions of a workflow."""

    def standing(self) -> tuple[list[Object], list[Object]]:
        """The commits and the versions of all workflows that count now."""

    def difference(self, workflow: str, digest: str, against: str) -> str:
        """A unified diff."""

    def settle(self, workflow: str, digest: str, *, action: str, comment: str) -> Object:
        """Promotes a version, or sends it back."""


def _told_by(session: Session) -> _Told:
    app = session.app()
    if app.serves_elsewhere:
        wire: Wire = app.wire  # type: ignore[attr-defined] # an app that is reached over HTTP has one
        return _Remote(wire)
    return _Local(app, session.actor())


def _show(session: Session, found: list[Object], *, as_json: bool) -> None:
    from towpath.cli.views import facts, versions

    for one in found:
        if as_json:
            click.echo(facts.json_line(one))
        else:
            session.out.show(*versions.version_lines(one, now=session.app().now()))


def _show_diff(session: Session, text: str) -> None:
    from towpath.cli.views import versions

    if text:
        session.out.show(*versions.diff_lines(text))
    else:
        session.out.say("they are the same")


def _show_all(session: Session, told: _Told, *, as_json: bool) -> None:
    from towpath.cli.views import facts, versions

    commits, found = told.standing()
    if as_json:
        for one in (*commits, *found):
            click.echo(facts.json_line(one))
        return
    now = session.app().now()
    for one in commits:
        session.out.show(*versions.commit_lines(one, now=now))
    for one in found:
        session.out.show(*versions.version_lines(one, now=now, names_workflow=True))
    if not found:
        session.out.say("no versions are known yet: a server notes them, and so does a run that starts")


class _Local:
    """From the data folder."""

    def __init__(self, app: App, by: str) -> None:
        self._app = app
        self._by = by

    def versions(self, workflow: str, *, limit: int) -> list[Object]:
        """The versions of a workflow, with the one that stands in its file now."""
        from towpath.editions import history

        self._note(workflow)
        return [_object(one) for one in history.versions_of(self._app.reader.versions, workflow, limit=limit)]

    def standing(self) -> tuple[list[Object], list[Object]]:
        """What counts now."""
        from towpath.editions import history
        from towpath.server.shapes import versions as shapes

        if not self._app.folder.database.exists():
            return [], []
        known = self._app.reader.versions
        commits = known.commits_standing()
        return (
            [shapes.commit_object(row) for row in (commits.broken, commits.current) if row is not None],
            [_object(one) for one in history.all_standing(known)],
        )

    def difference(self, workflow: str, digest: str, against: str) -> str:
        """A unified diff."""
        from towpath.editions import history

        self._note(workflow)
        reader = self._app.reader
        newest = digest or history.versions_of(reader.versions, workflow, limit=1)[0].row.digest
        found = history.difference(
            reader.versions, lambda one: reader.definition(one).text, workflow, newest, against=against
        )
        return found.text

    def settle(self, workflow: str, digest: str, *, action: str, comment: str) -> Object:
        """Promotes a version, or sends it back."""
        from towpath.editions import history

        versions = self._app.store.versions
        row = history.settle(
            versions,
            workflow,
            digest,
            promote=action == "promote",
            by=self._by,
            comment=comment,
            at=self._app.now(),
        )
        return _object(history.with_runs(versions, row))

    def _note(self, workflow: str) -> None:
        """Notes what the file says now, where no server does so; one that does not load is told as it is."""
        from towpath.errors import NotFound, TowpathError

        try:
            if self._app.project.find_workflow(workflow) is not None:
                self._app.note_version(self._app.find(workflow))
        except NotFound:
            return
        except TowpathError as error:
            click.echo(f"{error}\n", err=True)


class _Remote:
    """By a server."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def versions(self, workflow: str, *, limit: int) -> list[Object]:
        """The versions of a workflow."""
        return self._items(f"{_path(workflow)}/versions", limit=limit)

    def standing(self) -> tuple[list[Object], list[Object]]:
        """What counts now."""
        commits = self._items("/api/v1/commits", limit=2)
        standing = [one for one in commits if one["until"] is None]
        return standing, self._items("/api/v1/versions")

    def difference(self, workflow: str, digest: str, against: str) -> str:
        """A unified diff."""
        newest = digest or self.versions(workflow, limit=1)[0]["digest"]
        query = {"against": against} if against else {}
        found = json.loads(self._wire.get(f"{_path(workflow)}/versions/{newest}/diff", **query))
        return str(found["diff"])

    def settle(self, workflow: str, digest: str, *, action: str, comment: str) -> Object:
        """Promotes a version, or sends it back."""
        from towpath.errors import NotFound

        tried = (
            one for one in self.versions(workflow, limit=LIMIT_MAX) if one["state"] in ("canary", "aborted")
        )
        named = digest or next((one["digest"] for one in tried if one["until"] is None), "")
        if not named:
            raise NotFound(f"no version of {workflow} is being tried")
        made: Object = self._wire.post(f"{_path(workflow)}/versions/{named}/{action}", {"comment": comment})
        return made

    def _items(self, path: str, **query: object) -> list[Object]:
        items: list[Object] = json.loads(self._wire.get(path, **query))["items"]
        return items


def _path(workflow: str) -> str:
    from towpath.cli.remote.wire import segment

    return f"/api/v1/workflows/{segment(workflow)}"


def _object(one: Version) -> Object:
    from towpath.server.shapes import versions as shapes

    return shapes.version_object(one.row, one.counts, one.tally)
