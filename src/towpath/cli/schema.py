"""`tow schema`: the JSON Schema that editors complete and check workflow files with."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("schema")
@click.argument("what", type=click.Choice(["workflow", "project", "tests"]), default="workflow")
@click.option("--no-actions", is_flag=True, help="Leave out the actions of this project.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file, and not to the terminal.",
)
def command(what: str, *, no_actions: bool, output: Path | None) -> None:
    """Print the JSON Schema of workflow files, of towpath.yaml, or of the files in tests/.

    In VS Code, with the YAML extension: "yaml.schemas": {"./workflow.schema.json": "workflows/*.yaml"}. A
    first line "# yaml-language-server: $schema=workflow.schema.json" does the same for one file and in other
    editors.
    """
    text = json.dumps(_schema(what, with_actions=not no_actions), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
        return
    output.write_text(text + "\n", encoding="utf-8")
    click.echo(f"wrote {output}")


def _schema(what: str, *, with_actions: bool) -> dict[str, object]:
    from towpath.definition import schema
    from towpath.definition.projects import find_project_folder

    if what == "project":
        return schema.project_schema()
    if what == "tests":
        from towpath.trials.testing.schema import tests_schema

        return tests_schema()
    if not with_actions:
        return schema.workflow_schema()
    from towpath.steps.catalogue import Catalogue

    return schema.workflow_schema(cards=Catalogue.load(find_project_folder(Path.cwd())).cards())
