"""Tells the host of a repository whether a commit loads: a status named `towpath` on the commit itself, at GitHub, GitLab and Gitea.

What is still to be told stands with the commits, so nothing is forgotten by a restart; a host that does not answer is asked again, less and
less often, and given up after a while. Told twice, a status is what it was.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from towpath.definition.project import CommitStatus
from towpath.errors import TowpathError
from towpath.steps.contract import ActionFailed, Egress, HttpRequest, HttpResponse
from towpath.store.contract import Microseconds
from towpath.store.versions import CommitRow, SqliteVersions

if TYPE_CHECKING:
    from towpath.definition.problems import Problem

_LOG = logging.getLogger("towpath.project")
CONTEXT: Final = "towpath"
"""The name of the status, beside those of others."""
DESCRIPTION_CHARS_MAX: Final = 140
"""What GitHub takes; the others take more."""
TRIES_MAX: Final = 12
TOLD_AT_ONCE_MAX: Final = 10
"""Commits of which the host is told at one look."""
AGAIN_SECONDS: Final = 30.0
AGAIN_SECONDS_MAX: Final = 3_600.0
REQUEST_SECONDS: Final = 30.0
ANSWER_BYTES_MAX: Final = 64 * 1024
NOBODY: Final = "nobody is told"
GIVEN_UP: Final = "given up"
SECOND: Final = 1_000_000
_HOME: Final = {
    "github": "https://api.github.com",
    "gitlab": "https://gitlab.com/api/v4",
    "gitea": "https://gitea.com/api/v1",
}
_LATER: Final = frozenset({408, 425, 429})
"""Answers after which another try may go better, besides those of 500 and more."""
_BAD_REQUEST: Final = 400
_SERVER_ERROR: Final = 500


class CommitStatuses:
    """Tells what is still to be told."""

    def __init__(
        self,
        versions: SqliteVersions,
        egress: Egress,
        *,
        settings: Callable[[], CommitStatus | None],
        secret: Callable[[str], str],
        link: str,
    ) -> None:
        """*link* is where people find the pages; empty where nobody knows."""
        self._versions = versions
        self._egress = egress
        self._settings = settings
        self._secret = secret
        self._link = link

    async def tell(self, now: Microseconds) -> int:
        """Tell the host of the commits that are due; gives of how many it was told."""
        rows = await asyncio.to_thread(self._versions.untold, now, rows_max=TOLD_AT_ONCE_MAX)
        settings = self._settings()
        told = 0
        for row in rows:
            if settings is None:
                await asyncio.to_thread(self._versions.tell, row.id, told=NOBODY)
                continue
            told += await self._tell(row, settings, now)
        return told

    async def _tell(self, row: CommitRow, settings: CommitStatus, now: Microseconds) -> bool:
        try:
            token = await asyncio.to_thread(self._secret, settings.token)
            answer = await self._egress.send(request_of(row, settings, token, link=self._link))
            refused, is_final = judge(answer)
        except ActionFailed as error:
            refused, is_final = error.message, error.kind in ("denied", "invalid")
        except TowpathError as error:  # the secret is not there yet
            refused, is_final = error.message, False
        if not refused:
            await asyncio.to_thread(self._versions.tell, row.id, told=word_of(row))
            return True
        is_over = is_final or row.told_tries + 1 >= TRIES_MAX
        _LOG.warning("project.status_not_told commit=%s is_over=%s: %s", row.commit[:12], is_over, refused)
        await asyncio.to_thread(
            self._versions.tell,
            row.id,
            told=GIVEN_UP if is_over else "",
            error=refused,
            again_at=now + round(pause_seconds(row.told_tries) * SECOND),
        )
        return False


def request_of(row: CommitRow, settings: CommitStatus, token: str, *, link: str = "") -> HttpRequest:
    """The request by which a host is told of a commit."""
    base = (settings.url or _HOME[settings.host]).rstrip("/")
    text = description_of(row.problems)
    if settings.host == "gitlab":
        path = f"/projects/{quote(settings.repository, safe='')}/statuses/{row.commit}"
        body = {"state": "failed" if row.problems else "success", "name": CONTEXT, "description": text}
        headers = {"PRIVATE-TOKEN": token}
    else:
        path = f"/repos/{quote(settings.repository, safe='/')}/statuses/{row.commit}"
        body = {"state": word_of(row), "context": CONTEXT, "description": text}
        scheme = "Bearer" if settings.host == "github" else "token"
        headers = {"Authorization": f"{scheme} {token}"}
    if settings.host == "github":
        headers |= {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    if link:
        body["target_url"] = f"{link}/workflows"
    return HttpRequest(
        method="POST",
        url=f"{base}{path}",
        headers={"Content-Type": "application/json", "User-Agent": "towpath", **headers},
        body=json.dumps(body).encode(),
        timeout_seconds=REQUEST_SECONDS,
        follow_redirects=False,
        response_bytes_max=ANSWER_BYTES_MAX,
    )


def word_of(row: CommitRow) -> str:
    """What a commit is: `success`, or `failure`."""
    return "failure" if row.problems else "success"


def description_of(problems: tuple[Problem, ...]) -> str:
    """What the status says, as long as it may be."""
    if not problems:
        return "The project loads."
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    text = f"{first.place}: {first.message}"
    room = DESCRIPTION_CHARS_MAX - len(more)
    return f"{text if len(text) <= room else text[: room - 1] + '…'}{more}"


def judge(answer: HttpResponse) -> tuple[str, bool]:
    """Why a host did not take a status, and whether that is its last word; empty where it did."""
    if answer.status < _BAD_REQUEST:
        return ("", False) if answer.status < 300 else (f"{answer.status}: it is somewhere else now", True)  # noqa: PLR2004 - a redirect
    said = answer.body.decode("utf-8", "replace")[:200].replace("\n", " ")
    if answer.status == _BAD_REQUEST and "Cannot transition status" in said:
        return "", False  # GitLab: it says so already
    return f"{answer.status}: {said}", answer.status < _SERVER_ERROR and answer.status not in _LATER


def pause_seconds(tries: int) -> float:
    """How long to wait before the next try."""
    return float(min(AGAIN_SECONDS * 2**tries, AGAIN_SECONDS_MAX))
