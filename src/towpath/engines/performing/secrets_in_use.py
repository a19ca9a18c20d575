"""Secrets at the moment of use: references become values in one step's hands, and values become `***` everywhere else."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from towpath.core.plan import Plan
from towpath.core.run import Json, Work
from towpath.errors import TowpathError
from towpath.steps.secrets import NOTHING_TO_MASK, Masker, SecretProvider, SecretUnmaskable

_REFERENCE = re.compile(r"\bsecrets\s*(?:\.\s*([A-Za-z_][A-Za-z0-9_]*)|\[\s*[\"']([^\"']+)[\"']\s*\])")


class SecretsInUse:
    """Resolves references for the steps of one process, and remembers what has to be masked.

    The masker knows the value of every secret that a run's definition names, whether this process has used it or one that died
    before: a step may print what an earlier one had written down.
    """

    def __init__(self, provider: SecretProvider, environments: Mapping[str, Mapping[str, str]]) -> None:
        self._provider = provider
        self._environments = environments
        self._masker = NOTHING_TO_MASK
        self._prepared: set[tuple[str, str | None]] = set()

    def masker_for(self, plan: Plan, environment: str | None) -> Masker:
        """The masker for a step of this definition."""
        key = (plan.digest, environment)
        if key not in self._prepared:
            self._prepared.add(key)
            for name in names_in(plan):
                try:
                    self.value(name, environment)
                except TowpathError:
                    continue  # whoever uses it is told; here it only cannot be masked
        return self._masker

    def value(self, name: str, environment: str | None) -> str:
        """The value of a secret, by the name that the environment gives it; raises SecretMissing."""
        known = self._environments.get(environment or "", {})
        value = self._provider.get(known.get(name, name))
        self._masker = self._masker.including([value])
        return value

    def fill(self, work: Work, environment: str | None) -> tuple[dict[str, str], dict[str, Json], str | None]:
        """The environment, inputs and standard input of a step with its secrets put in."""
        env, with_, stdin = dict(work.env), _copy(work.with_), work.stdin
        for use in work.secrets:
            text = "".join(
                part if kind == "text" else self.value(part, environment) for kind, part in use.parts
            )
            where, *at = use.at
            if where == "stdin":
                stdin = text
            elif where == "env":
                env[str(at[0])] = text
            else:
                _put(with_, at, text)
        return env, with_, stdin


@functools.lru_cache(maxsize=1024)
def names_in(plan: Plan) -> tuple[str, ...]:
    """The names of the secrets that a definition refers to."""
    text = plan.workflow.model_dump_json()
    return tuple({dotted or quoted: None for dotted, quoted in _REFERENCE.findall(text.replace('\\"', '"'))})


def _copy(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(inner) for inner in value]
    return value


def _put(value: Json, at: list[str | int], text: str) -> None:
    for part in at[:-1]:
        value = value[part]
    value[at[-1]] = text


__all__ = ["SecretUnmaskable", "SecretsInUse", "names_in"]
