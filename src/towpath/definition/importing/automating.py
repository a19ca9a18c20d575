"""One step of a file from hand to script, and back; every other character stays.

The idea. The file is not written anew from its values: the lines of the one step are cut into pieces, a key with
its value each, and comments between. A task's keys that a script has no use for (`instructions`, `assign`, …) are
commented out where they stand, and a commented `run:` is taken in, so both ways lose nothing and undo each other.
The id stays, and so does `takes`: what the step cost by hand is what was saved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from towpath.definition import loader, model, shape, source
from towpath.definition.actions import ActionCards
from towpath.definition.checks.keys import ONLY_FOR
from towpath.definition.importing import writing
from towpath.definition.importing.writing import Section
from towpath.definition.problems import DefinitionProblems, did_you_mean, errors_of
from towpath.definition.projects import Project
from towpath.definition.source import DataPath, Items, Node, Scalar, Source, Table
from towpath.errors import BugError, NotFound, Refused

TASK_ONLY: Final = (
    "instructions", "assign", "form", "answer_within", "if_unanswered", "escalate", "remind", "hours",
)  # fmt: skip
"""Keys of a task that a script has no use for."""
RUN_ONLY: Final = (
    "run", "uses", "with", "shell", "stdin", "parse",
    *sorted(key for key, kinds in ONLY_FOR.items() if "task" not in kinds),
)  # fmt: skip
"""Keys of a script or an action that a task cannot follow."""
SUGGESTED: Final = ("run", "uses", "with", "shell", "stdin", "parse", "env", "cwd", "container", "outputs")
"""Keys that a suggestion may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A file before and after."""

    before: str
    after: str
    hints: tuple[str, ...] = ()
    """What is left to do by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a file is checked against when one of its steps has changed."""

    path: str
    project: Project | None = None
    cards: ActionCards | None = None


def automate(text: str, step: str, *, run: str | None = None, around: Around) -> Change:
    """The file with the task *step* as a script: *run*, or what is suggested below the task.

    Raises NotFound where there is no such step, Refused where it is no task or nothing is suggested, and
    DefinitionProblems where the outcome would not load.
    """
    found = _find(text, step, around)
    if found.kind in ("run", "uses"):
        raise Refused(
            f"`{step}` is automated already", help=f"tow automate {step} --manual    makes it a manual step"
        )
    if found.kind != "task":
        raise Refused(f"`{step}` is a `{found.kind}` step: only a task becomes a script")
    hints: list[str] = []
    pieces = _to_run(found, run, hints)
    return _checked(found, pieces, around, hints)


def make_manual(text: str, step: str, *, assign: str | None = None, around: Around) -> Change:
    """The file with the script or action *step* as a task for people; its script stays as a suggestion.

    Raises NotFound where there is no such step, Refused where a person does it already or nobody is said to do
    it, and DefinitionProblems where the outcome would not load.
    """
    found = _find(text, step, around)
    if found.kind == "task":
        raise Refused(f"`{step}` is done by people already", help=f"tow automate {step} --run 'command'")
    if found.kind not in ("run", "uses"):
        raise Refused(f"`{step}` is a `{found.kind}` step: only a script or an action becomes a task")
    hints: list[str] = []
    pieces = _to_task(found, assign, hints)
    return _checked(found, pieces, around, hints)


def step_ids(read: Source) -> tuple[str, ...]:
    """The ids of all steps of a file."""
    return tuple(name for _, table in _steps(read.root) if (name := _id_of(table)) is not None)


# --- where the step is --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """Whole lines of a step: one key with its value, or what stands between keys."""

    lines: tuple[str, ...]
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A step in its file."""

    read: Source
    path: DataPath
    name: str
    kind: str
    data: Mapping[str, Any]  # Any: JSON
    first_line: int
    """The line of its dash, from 0."""
    end_line: int
    """The line after its last one."""
    column: int
    """Where its keys begin."""
    prefix: str
    """What stands before its first key."""
    pieces: tuple[_Piece, ...]


def _find(text: str, step: str, around: Around) -> _Found:
    read = source.read_source(text, path=around.path)
    if read.root is None or any(problem.severity == "error" for problem in read.problems):
        raise DefinitionProblems(read.problems)
    for path, table in _steps(read.root):
        if _id_of(table) == step:
            kind = model.step_kind(source.to_data(table)) or ""
            return _cut(read, path, table, step, kind)
    known = step_ids(read)
    raise NotFound(
        f"{around.path} has no step `{step}`",
        help=did_you_mean(step, known, otherwise="give the step an `id`"),
    )


def _steps(node: Node | None, path: DataPath = ()) -> Iterator[tuple[DataPath, Table]]:
    """Every step of a tree, with its path."""
    if not isinstance(node, Table):
        return
    for entry in node.entries:
        key, inside = entry.key.text, entry.value
        if key in shape.STEP_LISTS and isinstance(inside, Items):
            for position, item in enumerate(inside.items):
                at = (*path, key, position)
                if isinstance(item, Table):
                    yield at, item
                    yield from _steps(item, at)
        elif key == "rollback" and isinstance(inside, Table):
            yield (*path, key), inside
            yield from _steps(inside, (*path, key))
        elif key == "choose" and isinstance(inside, Items):
            for position, branch in enumerate(inside.items):
                yield from _steps(branch, (*path, key, position))


def _id_of(table: Table) -> str | None:
    entry = table.get("id")
    return entry.value.text if entry is not None and isinstance(entry.value, Scalar) else None


def _cut(read: Source, path: DataPath, table: Table, name: str, kind: str) -> _Found:
    line, column = read.line_and_column(table.start)
    is_flow = read.text[table.start] == "{"
    lines = read.text.split("\n")
    first = line - 1
    prefix = lines[first][: column - 1]
    if not re.fullmatch(r"[\s-]*", prefix):
        raise _on_one_line(name)
    pieces, end = (_flow_pieces if is_flow else _block_pieces)(read, lines, table, column - 1, name)
    return _Found(
        read=read,
        path=path,
        name=name,
        kind=kind,
        data=source.to_data(table),
        first_line=first,
        end_line=end,
        column=column - 1,
        prefix=prefix,
        pieces=tuple(pieces),
    )


def _on_one_line(name: str) -> Refused:
    return Refused(
        f"`{name}` stands inside `[…]` or `{{…}}`, with other things on its lines",
        help="write the step on lines of its own, one key below the other, and try again",
    )


def _flow_pieces(
    read: Source, lines: Sequence[str], table: Table, column: int, name: str
) -> tuple[list[_Piece], int]:
    """A step that is written as `{…}` on one line, as if its keys stood below each other."""
    first = read.line_and_column(table.start)[0] - 1
    last = read.line_and_column(table.end - 1)[0] - 1
    behind = lines[last][read.line_and_column(table.end - 1)[1] :]
    if first != last or not re.fullmatch(r"\s*(#.*)?", behind):
        raise _on_one_line(name)
    pad = " " * column
    pieces = []
    for entry in table.entries:
        key = read.text[entry.key.start : entry.key.end]
        value = read.text[entry.value.start : entry.value.end].strip()
        pieces.append(_Piece(key=entry.key.text, lines=(f"{pad}{key}: {value}".rstrip(),)))
    if behind.strip():
        pieces.append(_Piece(lines=(f"{pad}{behind.strip()}",)))
    return pieces, last + 1


def _block_pieces(
    read: Source,
    lines: Sequence[str],
    table: Table,
    column: int,
    name: str,  # noqa: ARG001 - one shape for both
) -> tuple[list[_Piece], int]:
    """The lines of a step, key by key."""
    pieces: list[_Piece] = []
    starts = [read.line_and_column(entry.key.start)[0] - 1 for entry in table.entries]
    for position, entry in enumerate(table.entries):
        start = starts[position]
        end = _last_line(read, entry.value, start) + 1
        text = [*lines[start:end]]
        if position == 0:
            text[0] = " " * column + text[0][column:]
        pieces.append(_Piece(key=entry.key.text, lines=tuple(text)))
        stop = starts[position + 1] if position + 1 < len(starts) else _end_of_comments(lines, end, column)
        if stop > end:
            pieces.append(_Piece(lines=tuple(lines[end:stop])))
        end = stop
    return pieces, end


def _last_line(read: Source, node: Node, start: int) -> int:
    """The line, from 0, on which a value ends."""
    end = _end_of(read, node)
    text = read.text[:end].rstrip()
    return max(start, text.count("\n")) if end else start


def _end_of(read: Source, node: Node) -> int:
    match node:
        case Scalar():
            return node.end
        case Table(entries=entries) if entries and read.text[node.start] != "{":
            last = entries[-1]
            return max(_end_of(read, last.value), last.key.end)
        case Items(items=items) if items and read.text[node.start] != "[":
            return _end_of(read, items[-1])
        case _:
            return node.end


def _end_of_comments(lines: Sequence[str], start: int, column: int) -> int:
    """The line after the comments that still belong to a step: those as far in as its keys."""
    end = start
    for number in range(start, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        if not line.lstrip().startswith("#") or len(line) - len(line.lstrip()) < column:
            break
        end = number + 1
    return end


# --- from hand to script ------------------------------------------------------------------------------------


def _to_run(found: _Found, run: str | None, hints: list[str]) -> list[_Piece]:
    suggested, pieces = _take_out(found, SUGGESTED, starting_with=("run", "uses"))
    if run is None and not suggested:
        raise Refused(
            f"nothing is suggested below `{found.name}`",
            help=f"tow automate {found.name} --run 'command', or write `# run: command` below the task",
        )
    new = suggested if run is None else [_script_piece(run, found.column)]
    new += _outputs_piece(found, new, hints)
    has_title = "title" in found.data
    done: list[_Piece] = []
    place: int | None = None
    for piece in pieces:
        if piece.key is None and piece.lines == _HOLE:
            done += new
            place = len(done)
        elif piece.key == "task":
            done.append(_commented(piece, found.column) if has_title else _renamed(piece, "task", "title"))
        elif piece.key in TASK_ONLY:
            done.append(_commented(piece, found.column))
        else:
            done.append(piece)
    if place is None:
        at = next(n for n, piece in enumerate(pieces) if piece.key == ("title" if has_title else "task"))
        done[at + 1 : at + 1] = new
    if "takes" not in found.data:
        hints.append("add `takes: 10m`, what it cost by hand: automation is measured by it")
    return done


_HOLE: Final = ("",) * 7
"""Marks the place from which a suggestion was taken."""


def _take_out(
    found: _Found, keys: Sequence[str], *, starting_with: Sequence[str] = ()
) -> tuple[list[_Piece], list[_Piece]]:
    """What stands as a comment under one of *keys*, as real pieces, and the other pieces with a hole in its place.

    With *starting_with*, only the first stretch that begins with one of these keys counts.
    """
    taken: list[_Piece] = []
    rest: list[_Piece] = []
    for piece in found.pieces:
        if piece.key is not None:
            rest.append(piece)
            continue
        kept: list[str] = []
        number = 0
        while number < len(piece.lines):
            hidden = _hidden_at(piece.lines, number, found.column, keys)
            begins = hidden is not None and (taken or not starting_with or hidden[0].key in starting_with)
            if hidden is None or not begins:
                kept.append(piece.lines[number])
                number += 1
                continue
            if not taken:
                rest += [_Piece(lines=tuple(kept)), _Piece(lines=_HOLE)]
                kept = []
            taken.append(hidden[0])
            number = hidden[1]
        rest.append(_Piece(lines=tuple(kept)))
    return taken, [piece for piece in rest if piece.lines]


def _hidden_at(
    lines: Sequence[str], number: int, column: int, keys: Sequence[str]
) -> tuple[_Piece, int] | None:
    """The commented key that begins in a line, uncommented, and the line after it."""
    pad = " " * column
    found = re.match(rf"{pad}# ?([a-z_]+):(?:\s|$)", lines[number])
    if found is None or found[1] not in keys:
        return None
    gap = 2 if lines[number][column : column + 2] == "# " else 1
    inside = [lines[number][column + gap :]]
    end = number + 1
    while end < len(lines) and lines[end].startswith(f"{pad}#"):
        text = lines[end][column + gap :] if len(lines[end]) > column + gap else ""
        if text and not text.startswith((" ", "- ")):
            break
        inside.append(text)
        end += 1
    while len(inside) > 1 and not inside[-1].strip():
        inside.pop()
        end -= 1
    read = source.read_source("\n".join(inside) + "\n", path="comment")
    if read.root is None or [entry.key.text for entry in read.root.entries] != [found[1]]:
        return None
    return _Piece(key=found[1], lines=tuple(f"{pad}{line}" if line else "" for line in inside)), end


def _script_piece(run: str, column: int) -> _Piece:
    text = run.replace("\r\n", "\n").strip("\n")
    section = Section().add("run", f"{text}\n" if "\n" in text else text)
    return _Piece(key="run", lines=tuple(writing.fragment(section, column)))


_FROM_TEXT: Final = {
    "integer": "${{ int(outputs.%s) }}",
    "number": "${{ double(outputs.%s) }}",
    "boolean": '${{ outputs.%s == "true" }}',
    "list": "${{ json(outputs.%s) }}",
    "map": "${{ json(outputs.%s) }}",
}


def _outputs_piece(found: _Found, new: Sequence[_Piece], hints: list[str]) -> list[_Piece]:
    """What other steps read from the form, as outputs that the script has to write."""
    form = found.data.get("form")
    if not isinstance(form, dict) or any(piece.key == "outputs" for piece in new):
        return []
    read = [name for name in form if _is_read(found, name)]
    if not read:
        return []
    types = {
        name: form[name].get("type", "string") if isinstance(form[name], dict) else "string" for name in read
    }
    outputs: object = read
    if any(kind in _FROM_TEXT for kind in types.values()):
        outputs = {name: _FROM_TEXT.get(kind, "${{ outputs.%s }}") % name for name, kind in types.items()}
    words = ", ".join(f"`{name}`" for name in read)
    hints.append(f'the script has to write {words} to $TOW_OUTPUT: other steps read it (echo "name=…")')
    lines = writing.fragment(Section().add("outputs", outputs), found.column)
    return [_Piece(key="outputs", lines=tuple(lines))]


def _is_read(found: _Found, name: str) -> bool:
    return bool(re.search(rf"\b{found.name}\.outputs\.{re.escape(name)}\b", found.read.text))


# --- from script to hand ------------------------------------------------------------------------------------


def _to_task(found: _Found, assign: str | None, hints: list[str]) -> list[_Piece]:
    hidden, pieces = _take_out(found, ("task", *TASK_ONLY))
    by_key = {piece.key: piece for piece in hidden}
    done: list[_Piece] = []
    for piece in pieces:
        if piece.key is None and piece.lines == _HOLE:
            done += [each for each in hidden if each.key != "task"]
        elif piece.key == "title":
            if "task" in by_key:
                done += [piece, by_key["task"]]
            else:
                done.append(_renamed(piece, "title", "task"))
        elif piece.key in RUN_ONLY:
            done.append(_commented(piece, found.column))
        else:
            done.append(piece)
    place = next((n for n, piece in enumerate(done) if piece.key == "task"), None)
    if place is None:
        place = next((n for n, piece in enumerate(done) if piece.key == "id"), 0)
        words = found.name.replace("_", " ").capitalize()
        done.insert(place + 1, by_key.get("task") or _value_piece("task", words, found.column))
        place += 1
    extra: list[_Piece] = []
    if "assign" not in by_key:
        extra.append(_assign_piece(found, assign))
    if "form" not in by_key:
        extra += _form_piece(found)
    done[place + 1 : place + 1] = extra
    if any(piece.key == "rollback" for piece in done):
        hints.append("its `rollback` stays: it undoes what the person did")
    return done


def _assign_piece(found: _Found, assign: str | None) -> _Piece:
    if assign is None:
        raise Refused(
            f"nobody is said to do `{found.name}`",
            help=f"tow automate {found.name} --manual --assign group:ops",
        )
    return _value_piece("assign", [assign], found.column)


def _form_piece(found: _Found) -> list[_Piece]:
    """What other steps read from the script, as fields that the person fills in."""
    outputs = found.data.get("outputs") or ()
    read = [str(name) for name in outputs if _is_read(found, str(name))]
    if not read:
        return []
    form = {name: {"type": "string", "required": True} for name in read}
    return [_value_piece("form", form, found.column)]


def _value_piece(key: str, value: object, column: int) -> _Piece:
    return _Piece(key=key, lines=tuple(writing.fragment(Section().add(key, value), column)))


# --- pieces -------------------------------------------------------------------------------------------------


def _renamed(piece: _Piece, old: str, new: str) -> _Piece:
    first = re.sub(rf"^(\s*)([\"']?){old}\2(\s*:)", rf"\g<1>{new}\g<3>", piece.lines[0], count=1)
    return _Piece(key=new, lines=(first, *piece.lines[1:]))


def _commented(piece: _Piece, column: int) -> _Piece:
    pad = " " * column
    lines = (f"{pad}# {line[column:]}" if line.strip() else f"{pad}#" for line in piece.lines)
    return _Piece(lines=tuple(lines))


def _joined(found: _Found, pieces: Sequence[_Piece]) -> str:
    """The file with *pieces* in place of the step."""
    first = next(number for number, piece in enumerate(pieces) if piece.key is not None)
    ordered = [pieces[first], *pieces[:first], *pieces[first + 1 :]]
    lines = [line for piece in ordered for line in piece.lines if piece.lines != _HOLE]
    lines[0] = found.prefix + lines[0][found.column :]
    whole = found.read.text.split("\n")
    return "\n".join([*whole[: found.first_line], *lines, *whole[found.end_line :]])


def _checked(found: _Found, pieces: Sequence[_Piece], around: Around, hints: Sequence[str]) -> Change:
    """The change, once it is sure that nothing else changed and that the outcome loads."""
    text = _joined(found, pieces)
    read = source.read_source(text, path=around.path)
    others = (_without(each, found.path) for each in (found.read, read))
    if next(others) != next(others):
        raise BugError(f"automating `{found.name}` would have changed something else; nothing was written")
    before = _errors(found.read.text, around)
    new = [problem for key, problem in _errors(text, around).items() if key not in before]
    if new:
        raise DefinitionProblems(new)
    return Change(before=found.read.text, after=text, hints=tuple(hints))


def _without(read: Source, path: DataPath) -> object:
    """The values of a file, with only the id of the step at *path*."""
    data = source.to_data(read.root) if read.root is not None else None
    holder: Any = data  # Any: JSON
    for part in path[:-1]:
        holder = holder[part]
    if holder is not None:
        holder[path[-1]] = holder[path[-1]].get("id")
    return data


def _errors(text: str, around: Around) -> dict[tuple[str, str], Any]:
    checked = loader.check_workflow(text, path=around.path, project=around.project, cards=around.cards)
    return {(problem.code, problem.message): problem for problem in errors_of(checked.problems)}
