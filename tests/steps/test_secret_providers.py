"""Where secrets come from: the environment of `tow`, files, the encrypted store, and their chain."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.errors import LimitExceeded, Refused, StoreUnavailable, TowpathError
from towpath.steps.secrets import (
    EnvironmentSecrets,
    FileSecrets,
    SealedSecrets,
    SecretChain,
    SecretMissing,
    SecretProvider,
    SecretUnmaskable,
    SecretUnreadable,
    sealed,
)

VALUE = "hunter2secret"


def store(folder: Path) -> SealedSecrets:
    """An encrypted store in *folder*."""
    return SealedSecrets(path=folder / "secrets.json", key_path=folder / "keys" / "secrets.key")


@dataclass(frozen=True)
class Place:
    """A provider and a way to put a secret there, for the promises that all of them keep."""

    provider: SecretProvider
    put: Callable[[str, str], object]


def in_environment(_: Path) -> Place:
    """Secrets in variables."""
    environ: dict[str, str] = {}
    return Place(
        EnvironmentSecrets(environ=environ),
        lambda name, value: environ.update({f"TOW_SECRET_{name.upper()}": value}),
    )


def in_files(folder: Path) -> Place:
    """Secrets in files."""

    def put(name: str, value: str) -> None:
        (folder / name).write_bytes(value.encode() + b"\n")
        (folder / name).chmod(0o600)

    return Place(FileSecrets(folder=folder), put)


def in_store(folder: Path) -> Place:
    """Secrets in the encrypted store."""
    made = store(folder)
    return Place(made, made.set)


PLACES = {"env": in_environment, "file": in_files, "sealed": in_store}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", [VALUE, "ü€ with spaces ", "two\nlines\r\nthree", "x" * 60_000])
def test_a_secret_comes_back_as_it_was(place: str, value: str, tmp_path: Path) -> None:
    """What was put under a name is what a step gets."""
    made = PLACES[place](tmp_path)
    made.put("db_password", value)

    assert made.provider.get("db_password") == value


@pytest.mark.parametrize(
    ("place", "help_text"),
    [
        ("env", "set TOW_SECRET_DB_PASSWORD in the environment of tow"),
        ("file", "write it to {folder}/db_password with mode 0600"),
        ("sealed", "tow secrets set db_password"),
    ],
)
def test_a_missing_secret_says_what_to_do(place: str, help_text: str, tmp_path: Path) -> None:
    """A secret that is not there is an error that says how to put it there."""
    made = PLACES[place](tmp_path)
    made.put("another", VALUE)
    with pytest.raises(SecretMissing) as missing:
        made.provider.get("db_password")

    assert (missing.value.help, made.provider.name) == (help_text.format(folder=tmp_path), place)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["", "../x", "a/b", "a.b", "-x", "1a", "a\0b", "a" * 129, "ä"])
def test_a_name_is_only_a_name(place: str, name: str, tmp_path: Path) -> None:
    """A name that could be a path or an option is refused before anything is looked up."""
    with pytest.raises(Refused) as refused:
        PLACES[place](tmp_path).provider.get(name)

    assert "cannot be the name of a secret" in str(refused.value)


def test_the_prefix_can_be_chosen() -> None:
    """Variables may have another prefix; an empty one counts as missing."""
    provider = EnvironmentSecrets(environ={"CI_A": VALUE, "CI_B": ""}, prefix="CI_")
    with pytest.raises(SecretMissing):
        provider.get("b")

    assert provider.get("a") == VALUE


def test_a_provider_does_not_show_its_environment() -> None:
    """The values do not stand in the provider's `repr`."""
    assert VALUE not in repr(EnvironmentSecrets(environ={"TOW_SECRET_A": VALUE}))


def _link_to_folder(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "readable by the group": (lambda path: path.chmod(0o640), "can be used by others (mode 0640)"),
    "writable by all": (lambda path: path.chmod(0o602), "can be used by others (mode 0602)"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe\xfd\xfc"), "is not UTF-8 text"),
    "a pipe": (_pipe, "is not a plain file"),
    "a folder": (_link_to_folder, "is not a plain file"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_secret_is_refused(name: str, tmp_path: Path) -> None:
    """A file that others may use, or that holds no text, is an error and not a secret."""
    spoil, message = BAD_FILES[name]
    made = in_files(tmp_path)
    made.put("token", VALUE)
    spoil(tmp_path / "token")
    with pytest.raises(SecretUnreadable) as refused:
        made.provider.get("token")

    assert message in str(refused.value)


def test_the_first_provider_that_has_it_answers(tmp_path: Path) -> None:
    """The chain asks in its order and stops at the first that has the secret."""
    files, sealed_store = in_files(tmp_path), in_store(tmp_path / "data")
    chain = SecretChain(
        providers=(
            EnvironmentSecrets(environ={"TOW_SECRET_A": "from env"}),
            files.provider,
            sealed_store.provider,
        )
    )
    files.put("a", "from file")
    files.put("b", "from file")
    sealed_store.put("b", "from store")
    sealed_store.put("c", "from store")

    assert [chain.get(name) for name in "abc"] == ["from env", "from file", "from store"]


def test_a_secret_that_nobody_has_names_every_place(tmp_path: Path) -> None:
    """When no provider has it, the error names the providers and everything that would help."""
    chain = SecretChain(providers=(EnvironmentSecrets(environ={}), store(tmp_path)))
    with pytest.raises(SecretMissing) as missing:
        chain.get("token")

    assert (str(missing.value), missing.value.help) == (
        "There is no secret `token` (env, sealed).",
        "set TOW_SECRET_TOKEN in the environment of tow Or: tow secrets set token",
    )


def test_no_provider_at_all_is_said() -> None:
    """A project without providers says so."""
    with pytest.raises(SecretMissing) as missing:
        SecretChain(providers=()).get("token")

    assert str(missing.value) == "There is no secret `token` (no provider is configured)."


def test_an_unreadable_secret_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    """A secret that is there but cannot be read stops the chain: another place may hold another value."""
    files = in_files(tmp_path)
    files.put("a", VALUE)
    (tmp_path / "a").chmod(0o644)
    chain = SecretChain(providers=(files.provider, EnvironmentSecrets(environ={"TOW_SECRET_A": "other"})))
    with pytest.raises(SecretUnreadable):
        chain.get("a")


def test_what_cannot_be_masked_is_not_handed_out(tmp_path: Path) -> None:
    """A value that is too short for masking is refused by name, wherever it comes from."""
    chain = SecretChain(providers=(EnvironmentSecrets(environ={"TOW_SECRET_PIN": "123"}),))
    with pytest.raises(SecretUnmaskable) as handed:
        chain.get("pin")
    with pytest.raises(SecretUnmaskable):
        store(tmp_path).set("pin", "123")

    assert (str(handed.value), (tmp_path / "secrets.json").exists()) == (
        "The secret `pin` has fewer than 4 characters: it could not be masked in logs.",
        False,
    )


def test_no_file_holds_a_value(tmp_path: Path) -> None:
    """Nothing in the folder holds the value, and only the owner may read what there is."""
    made = store(tmp_path)
    made.set("db_password", VALUE)
    made.set("token", VALUE)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files}
    sealed_values = {entry["sealed"] for entry in json.loads(made.path.read_text())["secrets"].values()}

    assert (
        [path for path in files if VALUE.encode() in path.read_bytes()],
        modes,
        stat.S_IMODE(made.key_path.parent.stat().st_mode),
        len(sealed_values),
    ) == ([], {"secrets.json": 0o600, "secrets.json.lock": 0o600, "secrets.key": 0o600}, 0o700, 2)


def test_the_list_has_names_and_dates_only(tmp_path: Path) -> None:
    """Listing needs no key and opens nothing."""
    made = store(tmp_path)
    begun = datetime.now(UTC).replace(microsecond=0)
    made.set("b", VALUE)
    made.set("a", VALUE)
    made.key_path.unlink()
    listed = made.list()

    assert [entry.name for entry in listed] == ["a", "b"]
    assert all(begun <= entry.set_at <= datetime.now(UTC) for entry in listed)


def test_setting_again_replaces_and_removing_forgets(tmp_path: Path) -> None:
    """A name has one value; removed, it is missing, also from the file."""
    made = store(tmp_path)
    made.set("a", VALUE)
    made.set("a", "another value")
    replaced = made.get("a")
    made.remove("a")
    with pytest.raises(SecretMissing):
        made.remove("a")

    assert (replaced, made.list(), json.loads(made.path.read_text())["secrets"]) == ("another value", (), {})


def test_an_empty_store_is_empty(tmp_path: Path) -> None:
    """Before anything was set there is nothing, and looking makes nothing."""
    made = store(tmp_path)
    with pytest.raises(SecretMissing):
        made.get("a")

    assert (made.list(), list(tmp_path.iterdir())) == ((), [])


def _no_key(made: SealedSecrets) -> None:
    made.key_path.unlink()


def _another_key(made: SealedSecrets) -> None:
    made.key_path.unlink()
    other = store(made.path.parent / "other")
    other.set("x", VALUE)
    other.key_path.rename(made.key_path)


def _broken_key(made: SealedSecrets) -> None:
    made.key_path.write_text("c2hvcnQ=\n")


def _open_key(made: SealedSecrets) -> None:
    made.key_path.chmod(0o644)


def _changed(made: SealedSecrets, change: Callable[[dict[str, dict[str, str]]], object]) -> None:
    content = json.loads(made.path.read_text())
    change(content["secrets"])
    made.path.write_text(json.dumps(content))


def _swapped(made: SealedSecrets) -> None:
    _changed(made, lambda entries: entries.update(a=entries["b"], b=entries["a"]))


def _dated_back(made: SealedSecrets) -> None:
    _changed(made, lambda entries: entries["a"].update(set_at="2001-01-01T00:00:00+00:00"))


def _cut(made: SealedSecrets) -> None:
    made.path.write_bytes(made.path.read_bytes()[:-40])


def _other_json(made: SealedSecrets) -> None:
    made.path.write_text('{"version": 1, "key_id": 1, "secrets": []}')


def _newer(made: SealedSecrets) -> None:
    made.path.write_text('{"version": 2, "key_id": "x", "secrets": {}}')


DAMAGES: dict[str, tuple[Callable[[SealedSecrets], None], str]] = {
    "no key": (_no_key, "is missing, so the secrets in"),
    "another key": (_another_key, "were sealed with another key than"),
    "a broken key": (_broken_key, "holds no key."),
    "a key that others may read": (_open_key, "can be used by others (mode 0644)."),
    "entries swapped": (_swapped, "The secret `a` in"),
    "dated back": (_dated_back, "is damaged or was tampered with."),
    "cut off": (_cut, "is damaged: it is no store of secrets."),
    "other JSON": (_other_json, "is damaged: it is no store of secrets."),
    "a newer version": (_newer, "is of version 2; this program reads version 1."),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_told_apart(name: str, tmp_path: Path) -> None:
    """A missing key, a wrong one, and each kind of damage have a message; no wrong value is handed out."""
    damage, message = DAMAGES[name]
    made = store(tmp_path)
    made.set("a", VALUE)
    made.set("b", "another value")
    damage(made)
    with pytest.raises(SecretUnreadable) as refused:
        made.get("a")

    assert message in str(refused.value)
    assert VALUE not in str(refused.value)


@pytest.mark.parametrize("damage", [_no_key, _another_key])
def test_a_lost_key_is_not_replaced_in_silence(
    damage: Callable[[SealedSecrets], None], tmp_path: Path
) -> None:
    """With secrets that the key at hand cannot open, no secret is set, and the store stays as it is."""
    made = store(tmp_path)
    made.set("a", VALUE)
    damage(made)
    before = made.path.read_bytes()
    with pytest.raises(SecretUnreadable):
        made.set("b", VALUE)

    assert made.path.read_bytes() == before


def test_there_is_a_limit_to_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One secret too many is refused; one that is there can still be set anew."""
    monkeypatch.setattr(sealed, "SECRETS_MAX", 1)
    made = store(tmp_path)
    made.set("a", VALUE)
    with pytest.raises(LimitExceeded) as refused:
        made.set("b", VALUE)
    made.set("a", "another value")

    assert (refused.value.limit, made.get("a")) == ("secrets_max", "another value")


def _fails(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_failed_write_changes_nothing(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new file cannot be written, synced or put in place, the old one stands alone."""
    made = store(tmp_path)
    made.set("a", VALUE)
    before = sorted(path.name for path in tmp_path.iterdir())
    with monkeypatch.context() as broken:
        if step == "rename":
            broken.setattr(Path, "replace", _fails)
        else:
            broken.setattr(os, "fdopen" if step == "write" else "fsync", _fails)
        with pytest.raises(StoreUnavailable) as refused:
            made.set("a", "another value")

    assert (
        made.get("a"),
        sorted(path.name for path in tmp_path.iterdir()),
        "Nothing was changed" in str(refused.value),
    ) == (
        VALUE,
        before,
        True,
    )


def _set_many(folder: Path, prefix: str) -> None:
    made = store(folder)
    for number in range(5):
        made.set(f"{prefix}{number}", f"{VALUE}{prefix}{number}")


def test_two_who_set_at_once_lose_nothing(tmp_path: Path) -> None:
    """Processes that set secrets at the same time, into a store that was not there, lose none."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_set_many, args=(tmp_path, prefix)) for prefix in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    made = store(tmp_path)

    assert {entry.name: made.get(entry.name) for entry in made.list()} == {
        f"{prefix}{number}": f"{VALUE}{prefix}{number}" for prefix in "abc" for number in range(5)
    }


@given(
    value=st.text(min_size=4, max_size=50).filter(
        lambda text: len(text.strip().encode("utf-8", "surrogatepass")) >= 4
    )
)
def test_any_text_can_be_sealed(value: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every text that may be a secret comes back from the store unchanged."""
    made = store(tmp_path_factory.mktemp("store"))
    made.set("a", value)

    assert made.get("a") == value


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A store whose folder is a file is an operator's error, not a crash."""
    (tmp_path / "data").write_text("")
    made = SealedSecrets(path=tmp_path / "data" / "secrets.json", key_path=tmp_path / "data" / "keys" / "k")
    with pytest.raises(TowpathError) as refused:
        made.set("a", VALUE)

    assert isinstance(refused.value, StoreUnavailable)
