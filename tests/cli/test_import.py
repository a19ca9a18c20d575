"""`tow import`: what exists becomes a workflow of the project, and the report says what became of every line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Tow
from towpath.cli import exit_codes
from towpath.definition import loader

RUNBOOK = (
    "# Restart\n\n- [ ] Tell support (@ada)\n- [ ] Restart it\n\n  ```sh\n  ./restart.sh <host>\n  ```\n"
)
CI = """\
name: CI
on: push
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: make test REF=${{ github.ref }}
      - uses: some/thing@v1
"""


def test_a_runbook_is_written_into_the_project(tow: Tow, project: Path) -> None:
    """The workflow is written, passes lint, has its name from its file, and the report stands on standard error."""
    (project / "restart.md").write_text(RUNBOOK)
    said = tow("import", "restart.md", "-o", "workflows/restart_shop.yaml")

    assert (said.code, said.out) == (exit_codes.OK, "")
    assert "restart.md:3  ✓ task `tell_support`\n" in said.err
    assert "2 steps, 1 with a suggested `run` · 1 changed · 0 not taken over\n" in said.err
    assert "tow run workflows/restart_shop.yaml" in said.err
    assert tow("lint").out == "✓ 2 files, no problems\n"
    assert loader.load_workflow(project / "workflows" / "restart_shop.yaml").workflow.name == "restart_shop"


def test_github_workflows_use_the_projects_own_actions(tow: Tow, project: Path) -> None:
    """A workflow of GitHub's is translated with the catalogue and the project that it goes into."""
    (project / ".github" / "workflows").mkdir(parents=True)
    (project / ".github" / "workflows" / "ci.yml").write_text(CI)
    said = tow("import", ".github/workflows/ci.yml", "-o", "workflows")

    assert said.code == exit_codes.OK
    assert ".github/workflows/ci.yml:9  ✗ nothing here is like `some/thing@v1`" in said.err
    assert "wrote workflows/ci.yaml" in said.err
    assert tow("lint").out == "✓ 2 files, no problems\n"


def test_without_a_target_it_is_printed(tow: Tow, project: Path) -> None:
    """The workflow alone goes to standard output, so that it can be piped."""
    (project / "restart.md").write_text(RUNBOOK)
    said = tow("import", "restart.md")

    assert loader.load_workflow(said.out).workflow.name == "restart"
    assert "tow import restart.md -o workflows/restart.yaml" in said.err


def test_json_says_the_same(tow: Tow, project: Path) -> None:
    """`--json` gives the workflow and every line of the report as data."""
    (project / "ci.yml").write_text(CI)
    data = json.loads(tow("import", "ci.yml", "--json").out)

    assert loader.load_workflow(data["workflow"]).workflow.name == data["name"] == "ci"
    assert [note["line"] for note in data["notes"] if note["fate"] == "cannot"] == [9]


def test_quiet_tells_what_has_to_be_looked_at(tow: Tow, project: Path) -> None:
    """`-q` leaves out what means the same as before."""
    (project / "ci.yml").write_text(CI)
    said = tow("import", "ci.yml", "-q")

    assert "✓" not in said.err
    assert "✗ nothing here is like" in said.err


REFUSED = [
    (("import", "restart.md", "-o", "there.yaml"), exit_codes.REFUSED, "there.yaml is there already"),
    (("import", "restart.txt"), exit_codes.USAGE, "--from markdown or --from github"),
    (("import", "nothing.md"), exit_codes.USAGE, "nothing.md"),
    (("import", "empty.md"), exit_codes.REFUSED, "there is nothing to do"),
    (("import", "restart.md", "--from", "github"), exit_codes.FAILED, "restart.md:3:7: error TOW010"),
    (("import", "restart.md", "--assign", "nobody"), exit_codes.FAILED, "nobody"),
    (("import", "ci.yml", "--strict"), exit_codes.FAILED, "some/thing"),
    (("import", "binary.md"), exit_codes.REFUSED, "is not UTF-8"),
]


@pytest.mark.parametrize(("words", "code", "message"), REFUSED)
def test_what_cannot_be_is_told(
    tow: Tow, project: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    """Every mistake has its exit code and a sentence, and nothing is written."""
    (project / "restart.md").write_text(RUNBOOK)
    (project / "restart.txt").write_text(RUNBOOK)
    (project / "there.yaml").write_text("mine\n")
    (project / "empty.md").write_text("\n")
    (project / "ci.yml").write_text(CI)
    (project / "binary.md").write_bytes(b"- \xff\xfe")
    said = tow(*words)

    assert said.code == code
    assert message in said.err
    assert (project / "there.yaml").read_text() == "mine\n"


def test_what_is_there_is_replaced_only_on_demand(tow: Tow, project: Path) -> None:
    """`--force` says that the file may go."""
    (project / "restart.md").write_text(RUNBOOK)
    (project / "there.yaml").write_text("mine\n")

    assert tow("import", "restart.md", "-o", "there.yaml", "--force").code == exit_codes.OK
    assert (project / "there.yaml").read_text().startswith("# Made from restart.md")


def test_the_projects_people_do_it(tow: Tow, project: Path) -> None:
    """Only people and groups that towpath.yaml has are assigned, so the outcome always loads."""
    (project / "towpath.yaml").write_text(
        "name: tests\npeople: {users: {ada: {}}, groups: {operators: ['user:ada']}}\n"
    )
    (project / "r.md").write_text("- a @ada\n- b @eve\n- c\n")
    said = tow("import", "r.md", "-o", "workflows/r.yaml")
    steps = loader.load_workflow(project / "workflows" / "r.yaml").workflow.steps

    assert [step.assign for step in steps if hasattr(step, "assign")] == [
        ("user:ada",),
        ("group:operators",),
        ("group:operators",),
    ]
    assert "r.md:2  ✗ the project has no person `eve`" in said.err


WHOLE = """\
name: Whole
on:
  push: {branches: [main]}
  workflow_dispatch:
    inputs:
      who: {type: string, default: "a b"}
      loud: {type: boolean, default: true}
env: {GREETING: hello}
jobs:
  say:
    runs-on: ubuntu-latest
    outputs: {text: "${{ steps.one.outputs.the-text }}"}
    steps:
      - uses: actions/checkout@v4
      - id: one
        run: |
          echo "the-text=${{ env.GREETING }} ${{ inputs.who }}" >> "$GITHUB_OUTPUT"
          echo "LATER=from $GITHUB_REF_NAME" >> $GITHUB_ENV
      - if: inputs.loud && github.event_name == 'workflow_dispatch'
        run: echo '<${{ steps.one.outputs.the-text }}|' "$LATER>" >> said
      - if: github.event_name == 'push'
        run: exit 1
      - if: always()
        run: echo always >> said
  many:
    needs: say
    runs-on: ubuntu-latest
    strategy:
      max-parallel: 1
      matrix:
        n: [1, 2]
        include: [{n: 2, extra: x}, {n: 3}]
    steps:
      - run: echo "${{ matrix.n }}${{ matrix.extra }} ${{ needs.say.outputs.text }} $CI" >> said
  last:
    needs: [say, many]
    if: needs.many.result == 'success'
    runs-on: ubuntu-latest
    steps:
      - run: exit 3
        continue-on-error: true
      - run: echo ${{ github.event.nothing }} last >> said
  failed:
    if: failure()
    needs: [last]
    runs-on: ubuntu-latest
    steps: [{run: echo failed >> said}]
"""


def test_a_translated_workflow_does_what_the_original_did(tow: Tow, project: Path) -> None:
    """Outputs, variables, matrix, conditions and jobs of a translated workflow work when it runs."""
    (project / "whole.yml").write_text(WHOLE)
    assert tow("import", "whole.yml", "-o", "workflows/whole.yaml", "--strict").code == exit_codes.OK
    said = tow("run", "whole")

    assert said.code == exit_codes.PARTIAL, said.out + said.err
    assert (project / "said").read_text().splitlines() == [
        "<hello a b| from main>",
        "always",
        "1 hello a b true",
        "2x hello a b true",
        "3 hello a b true",
        "last",
    ]
