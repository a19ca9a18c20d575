"""What a step hands on when a test does not say it: values of the declared shape, with which the step succeeds.

A test should say only what matters to it. So a script hands on a text for every output that it declares, an action a value of every type
that its card promises, a form is filled in as it asks, and where `success_when` says `outputs.status == 200`, the status is 200. This is
guessing, and it is modest: what it cannot satisfy fails as it would in earnest, and the test has to say the outputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from towpath.core import values
from towpath.core.names import names_for
from towpath.core.plan import PlanStep
from towpath.core.run import Json, Path, Run
from towpath.definition import model
from towpath.definition.actions import ActionCard, Schema
from towpath.definition.inputs import InputsInvalid, complete_inputs, problems_of
from towpath.errors import ExpressionError
from towpath.trials.testing.bench import Bench, Piece

_NUMBER_AS_TEXT: Final = "1"
_SAMPLES: Final = (
    "text",
    "a",
    "A",
    "1",
    "1.0.0",
    "A-1",
    "AB-12",
    "ABC-1024",
    "a1",
    "web1",
    "2027-01-12",
    "x@example.org",
)
"""Texts that are tried where a form asks for a pattern."""
_DEPTH_MAX: Final = 8
_READ_OUTPUT: Final = r"\b{id}\.outputs\.(\w+)"
_READ_JSON: Final = r"outputs\.json\.(\w+)"


def outputs_of(
    bench: Bench, piece: Piece, run: Run, planned: PlanStep, path: Path, *, said: Mapping[str, Json]
) -> dict[str, Json]:
    """The outputs of an attempt that succeeds; *said* are those that the test says, which stay as they are."""
    step = planned.step
    found: dict[str, Json] = {}
    if isinstance(step, model.RunStep):
        found = _of_script(piece, step)
    elif isinstance(step, model.UsesStep):
        found = _of_action(bench.card(step.uses), piece, step)
    outputs = {**found, **said}
    for wish in _wishes(planned):
        _grant(wish, outputs, said, run=run, path=path)
    return outputs


def outputs_of_workflow(workflow: model.Workflow) -> dict[str, Json]:
    """The outputs of another workflow that is not played."""
    return {name: name for name in workflow.outputs}


def _of_script(piece: Piece, step: model.RunStep) -> dict[str, Json]:
    found: dict[str, Json] = {"stdout": "", "exit_code": 0}
    declared: Iterable[str] = step.outputs
    if isinstance(step.outputs, Mapping):
        declared = re.findall(r"\boutputs\.(\w+)", " ".join(step.outputs.values()))
    for name in declared:
        if name not in ("stdout", "exit_code", "json"):
            found[name] = _NUMBER_AS_TEXT if name in piece.numbers else name
    if step.parse == "json":
        names = re.findall(_READ_JSON, piece.text)
        found["json"] = {name: name for name in names} if names else []
    return found


def _of_action(card: ActionCard | None, piece: Piece, step: model.UsesStep) -> dict[str, Json]:
    if card is not None and card.outputs is not None:
        return {name: of_schema(schema, name) for name, schema in card.outputs.items()}
    if step.id is None:
        return {}
    return {name: name for name in re.findall(_READ_OUTPUT.format(id=re.escape(step.id)), piece.text)}


def of_schema(schema: Schema, name: str, depth: int = 0) -> Json:
    """A value that fits a JSON Schema, as small as it can be."""
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        choices = schema.get(key)
        if isinstance(choices, list) and choices:
            return choices[0]
    branches = schema.get("anyOf") or schema.get("oneOf")
    if "type" not in schema and isinstance(branches, list) and depth < _DEPTH_MAX:
        return of_schema(branches[0], name, depth + 1)
    return _of_type(schema, name, depth)


def _of_type(schema: Schema, name: str, depth: int) -> Json:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    match kind:
        case "integer" | "number":
            return max(1, int(_number(schema.get("minimum"), 1)))
        case "object":
            return _of_object(schema, depth)
        case _:
            return {"string": name, "boolean": True, "array": []}.get(str(kind))


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) else otherwise


def _of_object(schema: Schema, depth: int) -> Json:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or depth >= _DEPTH_MAX:
        return {}
    return {name: of_schema(inner, name, depth + 1) for name, inner in properties.items()}


# --- wishes: what `success_when` asks of the outputs --------------------------------------------------------

_COMPARED = re.compile(
    r"(?:(?P<function>\w+)\(\s*)?outputs\.(?P<name>\w+)(?(function)\s*\))\s*(?P<sign>==|>=|<=|>|<)\s*(?P<value>[^=].*)",
    re.DOTALL,
)
_BARE = re.compile(r"(?P<no>!?)\s*outputs\.(?P<name>\w+)")


def _wishes(planned: PlanStep) -> Iterator[str]:
    """What has to hold for the step to succeed, and for the loop around it to end."""
    step = planned.step
    if step is None:
        return
    yield from _parts(step.success_when)
    around = planned.parent
    while around is not None and step.id is not None:
        if isinstance(around.step, model.RepeatStep):
            yield from _parts(around.step.until.replace(f"steps.{step.id}.outputs.", "outputs."))
        around = around.parent


def _parts(condition: str | None) -> Iterator[str]:
    if condition is not None and "||" not in condition:
        yield from (part.strip() for part in condition.split("&&"))


def _grant(wish: str, outputs: dict[str, Json], said: Mapping[str, Json], *, run: Run, path: Path) -> None:
    """Has one wish come true, where it is understood and the test does not say otherwise."""
    if (bare := _BARE.fullmatch(wish)) and bare["name"] not in said:
        outputs[bare["name"]] = not bare["no"]
        return
    compared = _COMPARED.fullmatch(wish)
    if compared is None or compared["name"] in said:
        return
    try:
        wanted = _value(compared["value"], outputs, run=run, path=path)
    except ExpressionError:
        return
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        wanted += {">": 1, "<": -1}.get(compared["sign"], 0)
    outputs[compared["name"]] = _before(compared["function"], wanted)


def _value(source: str, outputs: Mapping[str, Json], *, run: Run, path: Path) -> Json:
    template = values.compile_template(f"${{{{ {source} }}}}")
    extra = {"outputs": outputs, "stdout": outputs.get("stdout", "")}
    return template.render(names_for(run, path, template.references, extra))[0]


def _before(function: str | None, wanted: Json) -> Json:
    """What a function has to be given to answer with what is wanted."""
    match function:
        case "int" | "uint" | "double":
            return str(wanted)
        case "size" if isinstance(wanted, int) and 0 <= wanted <= 100:  # noqa: PLR2004 - more is not plausible
            return ["item"] * wanted
        case _:
            return wanted


# --- forms and inputs ---------------------------------------------------------------------------------------


def form_of(declared: Mapping[str, Any], given: Mapping[str, Json]) -> dict[str, Json]:
    """A form as somebody may fill it in; raises InputsInvalid where what the test says does not fit."""
    fields = {name: model.Input.model_validate(field) for name, field in declared.items()}
    filled = {
        name: value_for(name, field)
        for name, field in fields.items()
        if name not in given and not field.has_default and field.required is not False
    }
    return complete_inputs(fields, {**filled, **given})


def value_for(name: str, declared: model.Input) -> Json:
    """A value that a declaration accepts, as far as one can be guessed."""
    candidates = [*(declared.enum or ()), *_candidates(name, declared)]
    return next((value for value in candidates if not problems_of(name, value, declared)), candidates[0])


def _candidates(name: str, declared: model.Input) -> Iterator[Json]:
    match declared.type:
        case "string":
            least = declared.min_length or 0
            for text in (name, *_SAMPLES):
                yield text
                yield text * (least // len(text) + 1)
        case "integer" | "number":
            for limit in (declared.minimum, declared.maximum):
                if limit is not None:
                    yield int(limit) if declared.type == "integer" else limit
            yield 1
        case "boolean":
            yield True
        case "list":
            item = value_for(name, declared.items) if declared.items is not None else name
            yield [item] * max(1, declared.min_length or 0)
            yield []
        case _:
            yield {}


__all__ = ["InputsInvalid", "form_of", "of_schema", "outputs_of", "outputs_of_workflow", "value_for"]
