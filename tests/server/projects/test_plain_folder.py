"""A plain folder that changes while it is served: every file stands for itself, and what does not load replaces nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from repositories import BROKEN, Upstream, greet

from towpath.app import App, build
from towpath.definition.problems import DefinitionProblems
from towpath.editions import edition, repository
from towpath.editions.keeper import Keeper
from towpath.errors import NotFound
from towpath.server.projects import Following, begin
from towpath.settings import Settings
from towpath.store.versions import SqliteVersions

PEOPLE = "people: {users: {ada: {}}}\n"
ACTION = """
def shout(word: str) -> dict[str, str]:
    \"\"\"Says it loudly.\"\"\"
    return {"said": word.upper()}
"""
SHOUTS = """
name: loud
steps:
  - {id: say, uses: words.shout, with: {word: hi}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder with one workflow."""
    made = tmp_path / "project"
    (made / "workflows").mkdir(parents=True)
    (made / "workflows" / "greet.yaml").write_text(greet("one"))
    return made


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[App, Keeper]]:
    """The folder, served."""
    app = build(Settings(project=folder, data=folder.parent / "data", user="ada"))
    try:
        yield app, begin(app)
    finally:
        app.close()


def text(app: App, name: str = "greet") -> str:
    """What the version says that starts take."""
    return app.find(name).source.text


def test_a_broken_file_replaces_nothing_and_stops_no_other(folder: Path) -> None:
    """The version before goes on, also after a restart; others are taken meanwhile; mended, the file is taken."""
    with served(folder) as (app, keeper):
        (folder / "workflows" / "greet.yaml").write_text(BROKEN)
        (folder / "workflows" / "other.yaml").write_text(greet("other").replace("greet", "other"))
        assert keeper.look()
        assert (text(app), text(app, "other")) == (greet("one"), greet("other").replace("greet", "other"))
        assert [one.path for one in keeper.edition.broken] == ["workflows/greet.yaml"]
        assert not keeper.look()
    with served(folder) as (app, keeper):
        assert text(app) == greet("one")
        (folder / "workflows" / "greet.yaml").write_text("name: [")
        keeper.look()
        assert text(app) == greet("one")
        assert [row.state for row in app.store.versions.versions("greet")] == ["broken", "broken", "current"]

        (folder / "workflows" / "greet.yaml").write_text(greet("two"))
        keeper.look()

        assert text(app) == greet("two")
        assert keeper.state.problems == ()


def test_the_projects_file_holds_until_it_loads_again(folder: Path) -> None:
    """While towpath.yaml has errors, or is gone, what it said before holds, also after a restart with errors in it."""
    file = folder / "towpath.yaml"
    file.write_text(PEOPLE)
    for broken in (lambda: file.write_text("people: ["), file.unlink):
        file.write_text(PEOPLE)
        with served(folder) as (app, keeper):
            broken()
            keeper.look()

            assert list(app.project_file().people.users) == ["ada"]
            assert [one.path for one in keeper.state.problems] == ["towpath.yaml"]
    file.write_text("people: [")
    with served(folder) as (app, keeper):
        assert list(app.project_file().people.users) == ["ada"]
        file.write_text("people: {users: {ben: {}}}\n")
        keeper.look()

        assert list(app.project_file().people.users) == ["ben"]
        assert app.desk.directory.file is app.project_file()


def test_an_action_that_changes_is_taken_and_its_mistakes_are_told(folder: Path) -> None:
    """Workflows are judged by the actions as they are; one that needs an action which is gone stays as it was."""
    (folder / "actions").mkdir()
    (folder / "workflows" / "loud.yaml").write_text(SHOUTS)
    with served(folder) as (app, keeper):
        with pytest.raises(DefinitionProblems):
            app.find("loud")
        (folder / "actions" / "words.py").write_text(ACTION)
        keeper.look()
        assert text(app, "loud") == SHOUTS
        (folder / "actions" / "words.py").write_text("def shout(:")
        keeper.look()

        assert text(app, "loud") == SHOUTS
        assert {(one.name, one.path, one.line) for one in keeper.state.problems} >= {
            ("bad-action", "actions/words.py", 1)
        }


def test_names_are_looked_up_and_no_file_is(folder: Path, tmp_path: Path) -> None:
    """Whoever asks a served project from elsewhere names workflows; a path is no name of one."""
    outside = tmp_path / "outside.yaml"
    outside.write_text(greet("outside"))
    with served(folder) as (app, _):
        for name in (str(outside), str(folder / "workflows" / "greet.yaml"), "../outside.yaml"):
            with pytest.raises(NotFound):
                app.find(name)


def test_nothing_is_read_again_that_has_not_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of one file has that file checked, and no other, unless others may know something else of it now."""
    for number in range(5):
        (folder / "workflows" / f"w{number}.yaml").write_text(greet("x").replace("greet", f"w{number}"))
    checked: list[str] = []
    check: Callable[..., object] = edition.check_file

    def counted(path: Path, *rest: object) -> object:
        checked.append(path.name)
        return check(path, *rest)

    monkeypatch.setattr(edition, "check_file", counted)
    with served(folder) as (_, keeper):
        checked.clear()
        (folder / "workflows" / "w1.yaml").write_text(greet("y").replace("greet", "w1"))
        keeper.look()
        assert checked == ["w1.yaml"]
        checked.clear()
        (folder / "workflows" / "w1.yaml").write_text(
            greet("y").replace("greet", "w1") + "inputs: {a: {type: string}}\n"
        )
        keeper.look()

        assert sorted(checked) == ["greet.yaml", *(f"w{number}.yaml" for number in range(5))]


class Died(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (repository.Remote, "fetch"),
        (repository, "_check_links"),
        (repository, "_sync"),
        (repository, "sync_folder"),
        (edition, "read_project_file"),
        (SqliteVersions, "follow"),
    ],
)
@pytest.mark.parametrize("is_done", [False, True])
def test_an_end_at_any_point_leaves_a_commit_that_loads(
    tmp_path: Path, owner: object, name: str, is_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends before or after any step of taking a commit leaves the old one or the new one, and the next one gets there."""
    upstream = Upstream(tmp_path / "git")
    upstream.commit({"workflows/greet.yaml": greet("one")})
    here = tmp_path / "here"
    here.mkdir()
    settings = Settings(project=here, data=tmp_path / "data", user="ada")
    following = Following(url=str(upstream.bare))
    app = build(settings)
    keeper = begin(app, following)
    new = upstream.commit({"workflows/greet.yaml": greet("two")})
    real: Callable[..., object] = getattr(owner, name)

    def dies(*args: object, **options: object) -> object:
        if is_done:
            real(*args, **options)
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, dies)
        with pytest.raises(Died):
            keeper.look()
    app.close()
    app = build(settings)
    try:
        keeper = begin(app, following)

        assert text(app) == greet("two")
        assert keeper.state.commit == new
        assert [row.state for row in app.store.versions.versions("greet")] == ["current", "former"]
        assert [row.state for row in app.store.versions.commits()] == ["current", "former"]
    finally:
        app.close()
