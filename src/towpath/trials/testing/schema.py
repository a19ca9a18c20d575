"""The JSON Schema of test files, made from their model: editors complete from it."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.definition import schema
from towpath.trials.testing.files import (
    ANSWER_WORDS,
    CHECK_WORDS,
    ERROR_KINDS,
    RESULT_WORDS,
    STEP_STATUSES,
    TestFile,
)

_WORDS: Mapping[str, tuple[str, ...]] = {
    "Result": tuple(RESULT_WORDS),
    "CheckResult": tuple(CHECK_WORDS),
    "Answer": tuple(ANSWER_WORDS),
    "ExpectedError": ERROR_KINDS,
    "ExpectedStep": STEP_STATUSES,
}
"""Parts that a single word says too, and the words."""


def tests_schema() -> schema.Json:
    """The schema of a file of tests."""
    made = schema.made_from(TestFile, "tests", "Tests of Towpath workflows")
    definitions = made["$defs"]
    for name, words in _WORDS.items():
        part = definitions[name]
        definitions[name] = {
            "description": part.pop("description", ""),
            "anyOf": [{"enum": list(words)}, part],
        }
    return made
