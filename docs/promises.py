"""Write `docs/explain/promises.md` from the table of promises and the figures of the last runs: `./dev promises`.

The promises, how they are kept and which tests show them stand in `tests/promises.py`; how many cases ran and how they came
out stands in `docs/promises.json`, which `./dev promises` and `./dev faults` write. A promise is called kept only where every
test in the table has run and none has failed; what is not built yet is said in words.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "bugs")]

from bug_list import BUGS  # noqa: E402 - it stands among the tests

from promises import PROMISES, Promise, is_meant, shown_by  # noqa: E402 - as above

PAGE = ROOT / "docs" / "explain" / "promises.md"
FIGURES = ROOT / "docs" / "promises.json"
HEAD = """<!-- Made by docs/promises.py from tests/promises.py and docs/promises.json: ./dev promises -->

# Promises

What the software promises to people who trust it with production. Each promise is kept by construction where it can be, and
shown by tests that inject the fault. A *case* is one fault at one place: one kill, one image of a disk after a power loss, one
bit that fell over. The last column is the number of [known mistakes](../howto/break-it.md#known-mistakes) that were brought back
to see whether the tests notice.
"""
REPEAT = """## How to repeat it

```sh
./dev test                # every test once, with faults at a few places of each kind
./dev faults              # every place; at the end this page is written
./dev faults --soak       # the same, and what chance decides ten times more
./dev bugs                # brings every known mistake back: the tests have to fail
./dev promises            # only the tests below, as in ./dev test, and this page
```

[Break it yourself](../howto/break-it.md) tells how to choose a part, and what the machine needs.
"""


def main() -> int:
    """Writes the page where it changed; 1 where a test or a mistake of the table is wrong."""
    figures = without_the_gone(json.loads(FIGURES.read_text(encoding="utf-8")))
    FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    text = page(figures)
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        PAGE.write_text(text, encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")
    bad = [name for name in PROMISES if verdict(name, figures)[0] == "broken"]
    if bad:
        print(f"not kept: {', '.join(bad)}", file=sys.stderr)
    return 1 if bad else 0


def page(figures: Mapping[str, Any]) -> str:
    """The whole page."""
    return (
        "\n\n".join(part.strip("\n") for part in (HEAD, _table(figures), *_chapters(figures), REPEAT)) + "\n"
    )


def rows_of(promise: str, figures: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The figures of what shows a promise, by entry of the table; a file's are those of all its tests together."""
    found = {}
    for entry in PROMISES[promise].tests:
        ran = [row for name, row in figures["tests"].items() if is_meant(name, entry)]
        if ran:
            latest = max(ran, key=lambda row: row["day"])
            figure = {key: sum(row[key] for row in ran) for key in ("tests", "cases", "failed")}
            tiers = "/".join(sorted({row["tier"] for row in ran}))
            found[entry] = {**figure, "tier": tiers, "day": latest["day"], "commit": latest["commit"]}
    return found


def not_run(promise: str, figures: Mapping[str, Any]) -> list[str]:
    """The entries of the table of which no test has run."""
    ran = rows_of(promise, figures)
    return [entry for entry in PROMISES[promise].tests if entry not in ran]


def without_the_gone(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures without those of tests and mistakes that are not there any more."""
    texts: dict[str, str] = {}

    def is_there(name: str) -> bool:
        file, _, function = name.partition("::")
        if file not in texts:
            texts[file] = (ROOT / file).read_text(encoding="utf-8") if (ROOT / file).exists() else ""
        return f"def {function.rpartition('::')[2]}(" in texts[file] and bool(shown_by(name))

    tests = {name: row for name, row in figures["tests"].items() if is_there(name)}
    known = {bug.id for bug in BUGS}
    return {"tests": tests, "bugs": {name: row for name, row in figures["bugs"].items() if name in known}}


def verdict(promise: str, figures: Mapping[str, Any]) -> tuple[str, str]:
    """How it stands with a promise: one word for programs, and some for people."""
    rows, missing = rows_of(promise, figures), PROMISES[promise].missing
    missed = [bug.id for bug in BUGS if bug.promise == promise and not _noticed(bug.id, figures)]
    if any(row["failed"] for row in rows.values()) or missed:
        return "broken", "**broken**"
    if not PROMISES[promise].tests:
        return "nothing", "**not shown**: nothing is built yet"
    if not_run(promise, figures):
        return "unknown", "**not known**: not every test has run"
    return ("partly", "as far as it is built") if missing else ("kept", "kept")


def _noticed(bug: str, figures: Mapping[str, Any]) -> bool:
    return bool(figures["bugs"].get(bug, {"noticed": True})["noticed"])


def _table(figures: Mapping[str, Any]) -> str:
    lines = ["| | promise | last result | cases | mistakes noticed |", "| --- | --- | --- | ---: | ---: |"]
    for name, promise in PROMISES.items():
        cases = sum(row["cases"] for row in rows_of(name, figures).values())
        tried = [bug.id for bug in BUGS if bug.promise == name and bug.id in figures["bugs"]]
        noticed = sum(_noticed(bug, figures) for bug in tried)
        mistakes = f"{noticed} of {len(tried)}" if tried else "–"
        lines.append(
            f"| [{name}](#{name.lower()}) | {promise.text} | {verdict(name, figures)[1]} | {cases:,} | {mistakes} |"
        )
    return "\n".join(lines)


def _chapters(figures: Mapping[str, Any]) -> Iterator[str]:
    for name, promise in PROMISES.items():
        yield f"## {name}"
        yield promise.text
        yield f"**How it is kept.** {promise.kept_by}"
        if promise.missing:
            yield f"**What is missing.** {promise.missing}"
        yield from _shown(name, promise, figures)


def _shown(name: str, promise: Promise, figures: Mapping[str, Any]) -> Iterator[str]:
    rows = rows_of(name, figures)
    if not promise.tests:
        return
    lines = [
        "| shown by | tests | cases | failed | tier | day | commit |",
        "| --- | ---: | ---: | ---: | --- | --- | --- |",
    ]
    lines += [
        f"| `{entry}` | {row['tests']:,} | {row['cases']:,} | {row['failed']} | {row['tier']} | {row['day']} | `{row['commit']}` |"
        for entry, row in rows.items()
    ]
    lines += [f"| `{entry}` | | 0 | | has not run | | |" for entry in not_run(name, figures)]
    yield "\n".join(lines)
    known = [bug for bug in BUGS if bug.promise == name]
    if known:
        words = {True: "noticed", False: "**missed**"}
        mistakes = [
            f"- `{bug.id}`: {bug.brings_back} "
            + (words[_noticed(bug.id, figures)] if bug.id in figures["bugs"] else "not tried yet")
            for bug in known
        ]
        yield "Known mistakes against it, brought back by `./dev bugs`:"
        yield "\n".join(mistakes)
    yield f"Repeat: `./dev promises {' '.join(promise.tests)}`"


if __name__ == "__main__":
    sys.exit(main())
