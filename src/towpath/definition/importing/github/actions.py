"""The actions of GitHub's market place that have a like here; all others become tasks.

An action that is known says what becomes of it: nothing (the workspace is there already), a step of another kind,
or a look whether the tool that it installed is there. Nothing is installed on a machine that others use too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from towpath.definition.importing.github import texts, tree
from towpath.definition.importing.github.cel import CannotTranslate
from towpath.definition.importing.github.contexts import Scope
from towpath.definition.source import Node

TOOLS: Final[Mapping[str, tuple[str, str]]] = {
    "actions/setup-python": ("Python", "python3 --version"),
    "actions/setup-node": ("Node.js", "node --version"),
    "actions/setup-go": ("Go", "go version"),
    "actions/setup-java": ("Java", "java -version"),
    "actions/setup-dotnet": (".NET", "dotnet --version"),
    "ruby/setup-ruby": ("Ruby", "ruby --version"),
    "shivammathur/setup-php": ("PHP", "php --version"),
    "hashicorp/setup-terraform": ("Terraform", "terraform version"),
    "hashicorp/setup-packer": ("Packer", "packer version"),
    "azure/setup-helm": ("Helm", "helm version"),
    "azure/setup-kubectl": ("kubectl", "kubectl version --client"),
    "pnpm/action-setup": ("pnpm", "pnpm --version"),
    "astral-sh/setup-uv": ("uv", "uv --version"),
    "oven-sh/setup-bun": ("Bun", "bun --version"),
    "denoland/setup-deno": ("Deno", "deno --version"),
    "dtolnay/rust-toolchain": ("Rust", "rustc --version"),
    "actions-rs/toolchain": ("Rust", "rustc --version"),
    "docker/setup-buildx-action": ("Docker Buildx", "docker buildx version"),
    "google-github-actions/setup-gcloud": ("gcloud", "gcloud version"),
}
"""Actions that install a tool: what it is called, and how to ask for it."""
_VERSIONS: Final = ("-version", "version", "node-version", "python-version", "go-version", "toolchain")


@dataclass(slots=True, kw_only=True)
class Made:
    """What becomes of an action."""

    keys: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    """The keys of the step; none where it is not needed any more."""
    title: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Outputs that are there under another name."""
    needs_look: str | None = None
    """What somebody has to look at."""
    changed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """An action as a step uses it."""

    file: tree.File
    with_: Node | None
    line: int
    scope: Scope

    def text(self, key: str) -> str | None:
        """An input of the action with its expressions as ours."""
        found = tree.text_at(self.with_, key)
        return None if found is None else texts.text(found, self.scope)

    def secret_text(self, key: str) -> str | None:
        """An input that may be a secret."""
        found = tree.text_at(self.with_, key)
        return None if found is None else texts.text(found, self.scope, takes_secrets=True)

    def lines(self, key: str) -> list[str]:
        """An input of several lines, without the empty ones."""
        return [line.strip() for line in (self.text(key) or "").splitlines() if line.strip()]

    def unknown(self, *known: str) -> list[str]:
        """The inputs that are given besides the known ones."""
        return [entry.key.text for entry in tree.entries(self.with_) if entry.key.text not in known]


def known(name: str) -> Callable[[Use], Made] | None:
    """What becomes of the action *name* (`owner/repository`), or None where nothing here is like it."""
    if name in TOOLS:
        return lambda use: _tool(use, *TOOLS[name])
    return _KNOWN.get(name)


def _tool(use: Use, tool: str, command: str) -> Made:
    version = next(
        (
            use.text(entry.key.text)
            for entry in tree.entries(use.with_)
            if entry.key.text.endswith(_VERSIONS) and "file" not in entry.key.text
        ),
        None,
    )
    wanted = f"{tool} {version}" if version else tool
    return Made(
        title=f"{wanted} has to be there",
        keys={"run": command, "idempotent": True},
        needs_look=f"{tool} is not installed by a step: it has to be on the machine, or use `container`",
    )


def _checkout(use: Use) -> Made:
    repository, path = use.text("repository"), use.text("path")
    harmless = (
        "fetch-depth",
        "persist-credentials",
        "clean",
        "show-progress",
        "set-safe-directory",
        "fetch-tags",
    )
    if repository is None:
        unknown = [*use.unknown(*harmless, "token"), *(["path"] if path else [])]
        unknown = [
            word
            for word in dict.fromkeys(unknown)
            if not (word == "submodules" and use.text(word) == "false")
        ]
        return Made(
            needs_look=f"the project's folder is the workspace: {', '.join(unknown)} cannot be said"
            if unknown
            else None
        )
    keys: dict[str, Any] = {
        "url": f"https://github.com/{repository}",
        "path": path or repository.rpartition("/")[2],
    }
    if ref := use.text("ref"):
        keys["ref"] = ref
    if (depth := use.text("fetch-depth") or "1") not in ("0", ""):
        keys["depth"] = int(depth) if depth.isdigit() else depth
    if (use.text("submodules") or "false") != "false":
        keys["submodules"] = True
    secret = use.secret_text("token") or use.secret_text("ssh-key")
    unknown = use.unknown(*harmless, "repository", "path", "ref", "token", "ssh-key", "submodules")
    notes = [f"{', '.join(unknown)} cannot be said"] if unknown else []
    if secret:
        notes.append("a private repository needs `auth` or `ssh_key` of git.clone")
    return Made(
        title=f"Clone {repository}",
        keys={"uses": "git.clone", "with": keys},
        outputs={"commit": "commit"},
        needs_look="; ".join(notes) or None,
    )


def _nothing(why: str) -> Callable[[Use], Made]:
    return lambda use: Made(needs_look=why)  # noqa: ARG005 - one shape for all actions


def _kept(why: str) -> Callable[[Use], Made]:
    return lambda use: Made(changed=why)  # noqa: ARG005 - as above


def _upload(use: Use) -> Made:
    patterns = [line for line in use.lines("path") if not line.startswith("!")]
    patterns = [line.removeprefix("./") for line in patterns]
    if not patterns or any(line.startswith(("/", "~", "..")) for line in patterns):
        raise CannotTranslate("artifacts are files inside the workspace")
    patterns = [f"{line}**" if line.endswith("/") else line for line in patterns]
    left = [line for line in use.lines("path") if line.startswith("!")]
    return Made(
        title=f"Keep {use.text('name') or 'files'}",
        keys={"run": ":", "idempotent": True, "artifacts": patterns},
        needs_look=f"{', '.join(left)}: an artifact pattern cannot leave files out" if left else None,
    )


def _login(use: Use) -> Made:
    registry = use.text("registry") or ""
    user, password = use.secret_text("username"), use.secret_text("password")
    if user is None or password is None:
        raise CannotTranslate("a login takes a user and a password")
    unknown = use.unknown("registry", "username", "password", "logout")
    return Made(
        title=f"Log in to {registry or 'Docker Hub'}",
        keys={
            "run": 'docker login --username "$REGISTRY_USER" --password-stdin "$REGISTRY_HOST"',
            "stdin": password,
            "env": {"REGISTRY_USER": user, "REGISTRY_HOST": registry or "docker.io"},
            "idempotent": True,
        },
        needs_look=f"{', '.join(unknown)} cannot be said" if unknown else None,
    )


def _build_push(use: Use) -> Made:
    """`docker build` with what most people give; anything else is for a person."""
    known_keys = ("context", "file", "push", "tags", "build-args", "target", "platforms", "cache-from", "cache-to",
                  "provenance", "sbom", "load", "pull", "no-cache", "labels")  # fmt: skip
    if unknown := use.unknown(*known_keys):
        raise CannotTranslate(f"{', '.join(unknown)} cannot be said")
    env: dict[str, str] = {"CONTEXT": use.text("context") or "."}
    words = ["docker buildx build"]
    for key, option in (("file", "--file"), ("target", "--target"), ("platforms", "--platform")):
        if given := use.text(key):
            env[key.upper()] = given
            words.append(f'{option} "${key.upper()}"')
    script: list[str] = []
    for key, option, name in (
        ("tags", "--tag", "TAGS"),
        ("build-args", "--build-arg", "BUILD_ARGS"),
        ("labels", "--label", "LABELS"),
    ):
        if given := use.text(key):
            env[name] = "\n".join(given.replace(",", "\n").split("\n")) if key == "tags" else given
            script.append(
                f'while IFS= read -r line; do [[ -z $line ]] || options+=({option} "$line"); done <<<"${name}"'
            )
    push = use.text("push")
    if push not in (None, "false"):
        env["PUSH"] = push
        script.append("[[ $PUSH != true ]] || options+=(--push)")
    words.append('"${options[@]}" "$CONTEXT"')
    lost = [
        key
        for key in ("cache-from", "cache-to", "provenance", "sbom")
        if tree.value(use.with_, key) is not None
    ]
    text = "\n".join(["options=()", *script, " ".join(words)]) + "\n"
    return Made(
        keys={"run": text, "env": env},
        changed=f"{', '.join(lost)} left out" if lost else None,
    )


_KNOWN: Final[Mapping[str, Callable[[Use], Made]]] = {
    "actions/checkout": _checkout,
    "actions/cache": _kept("a cache is not needed: the workspace stays from run to run"),
    "actions/cache/restore": _kept("a cache is not needed: the workspace stays from run to run"),
    "actions/cache/save": _kept("a cache is not needed: the workspace stays from run to run"),
    "Swatinem/rust-cache": _kept("a cache is not needed: the workspace stays from run to run"),
    "actions/upload-artifact": _upload,
    "actions/download-artifact": _kept(
        "the files are still in the workspace; artifacts follow a run by themselves"
    ),
    "docker/setup-qemu-action": _nothing("QEMU has to be on the machine"),
    "docker/login-action": _login,
    "docker/build-push-action": _build_push,
    "step-security/harden-runner": _nothing("nothing here watches the network of a step"),
}
