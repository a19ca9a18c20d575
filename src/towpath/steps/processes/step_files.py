"""The files through which a script tells its outputs and its summary.

`$TOW_OUTPUT` holds lines `name=value`, and for text of several lines

    name<<END
    …
    END

with any word for `END` that does not stand alone on a line of the text. The last value of a name counts.
`$TOW_SUMMARY` holds Markdown for the page of the run.

The files belong to the step, so what stands there is not trusted: only a plain file is read, only so much
of it, and text that cannot be understood is an error that names the line. Masking is the caller's: every
value is to pass through `Masker.value` before it goes anywhere.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from towpath.errors import AuthorError, LimitExceeded
from towpath.steps.processes.shells import Shell, script_command

OUTPUT_BYTES_MAX: Final = 1024 * 1024
OUTPUTS_MAX: Final = 256
SUMMARY_BYTES_MAX: Final = 256 * 1024
OUTPUT_VARIABLE: Final = "TOW_OUTPUT"
SUMMARY_VARIABLE: Final = "TOW_SUMMARY"

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHOWN_CHARS_MAX: Final = 60


class OutputsInvalid(AuthorError):
    """What the script wrote to `$TOW_OUTPUT` cannot be understood; *line* counts from 1."""

    def __init__(self, message: str, *, line: int, help: str = "") -> None:  # noqa: A002 - the field's word
        super().__init__(f"$TOW_OUTPUT, line {line}: {message}", help=help)
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFiles:
    """The files of one attempt of a step, and the command that runs its script."""

    folder: Path
    """The attempt's own folder; it exists only when the script is on disk."""
    script: Path | None
    """Where the script is on disk, if it is."""
    output: Path
    summary: Path
    argv: tuple[str, ...] = ()
    """The command line that runs the script."""
    in_memory: Mapping[int, bytes] = field(default_factory=dict)
    """What goes into `ProcessSpec.files`: the script, when it is not on disk."""

    @classmethod
    def prepare(
        cls, folder: Path, *, shell: Shell | None = None, script: str = "", on_disk: bool = True
    ) -> StepFiles:
        """Make room for the files of one attempt, and make its script ready to be run.

        Args: folder: A name in a private folder that exists. *On disk* it becomes a folder that holds the
        script and what the step writes (a container needs that); otherwise the files have names that begin
        with it. shell: What runs the script; None for an attempt without one. script: The text of the
        script. on_disk: Whether the script is to be a file even if its shell can read it from memory.

        """
        if shell is not None and not (shell.reads_descriptors or on_disk):
            on_disk = True
        if on_disk:
            folder.mkdir(mode=0o700)
            names = folder / "output", folder / "summary.md"
        else:
            names = folder.with_name(f"{folder.name}.output"), folder.with_name(f"{folder.name}.summary.md")
            _remove(names)
        command = script_command(shell, script, folder / "script" if on_disk else None) if shell else None
        return cls(
            folder=folder,
            script=command.path if command else None,
            output=names[0],
            summary=names[1],
            argv=command.argv if command else (),
            in_memory=command.files if command else {},
        )

    def facts(self) -> dict[str, str]:
        """How the step is told where the files are."""
        return {OUTPUT_VARIABLE: str(self.output), SUMMARY_VARIABLE: str(self.summary)}

    def outputs(
        self, *, declared: Collection[str] | None = None, as_json: Collection[str] = ()
    ) -> dict[str, object]:
        """What the script wrote to `$TOW_OUTPUT`; nothing when it wrote nothing."""
        data = _read(self.output, bytes_max=OUTPUT_BYTES_MAX)
        if data is None:
            raise LimitExceeded(
                f"The step wrote more than {OUTPUT_BYTES_MAX // 1024} KiB to $TOW_OUTPUT.",
                limit="output_bytes_max",
                help="Keep large results as `artifacts` and output their names.",
            )
        return parse_outputs(data, declared=declared, as_json=as_json)

    def summary_text(self) -> str:
        """The Markdown of `$TOW_SUMMARY`; the beginning of it when it is too long."""
        data = _read(self.summary, bytes_max=SUMMARY_BYTES_MAX, cut=True) or b""
        return data.decode("utf-8", "replace")

    def remove(self) -> None:
        """Remove the files, whatever the step has made of them."""
        _remove((self.output, self.summary))
        if self.output.parent == self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def parse_outputs(
    data: bytes, *, declared: Collection[str] | None = None, as_json: Collection[str] = ()
) -> dict[str, object]:
    """The outputs that *data* tells.

    Args:
        data: What stands in the file.
        declared: The only names that there may be, when it is given.
        as_json: Names whose text is JSON; the others stay text.

    """
    found: dict[str, object] = {}
    for line, name, text in _entries(_decode(data)):
        if declared is not None and name not in declared:
            raise OutputsInvalid(
                f"`{name}` is not declared as an output of the step.",
                line=line,
                help=f"Add it: outputs: [{', '.join([*declared, name])}].",
            )
        found[name] = _json(text, name, line) if name in as_json else text
        if len(found) > OUTPUTS_MAX:
            raise LimitExceeded(f"The step wrote more than {OUTPUTS_MAX} outputs.", limit="outputs_max")
    return found


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            os.unlink(path)  # noqa: PTH108 - it is done for every step, and Path.unlink costs twice as much
        except FileNotFoundError:
            continue
        except OSError:
            shutil.rmtree(path, ignore_errors=True)


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise OutputsInvalid(
            f"byte 0x{data[error.start]:02x} is not UTF-8.",
            line=line,
            help="Encode binary values, for example with `base64 -w0`.",
        ) from error
    if "\0" in text:
        raise OutputsInvalid("a NUL character.", line=text.count("\n", 0, text.index("\0")) + 1)
    return text


def _entries(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, name and text of each entry."""
    lines = enumerate(text.removesuffix("\n").split("\n") if text else (), start=1)
    for number, line in lines:
        if not line.strip():
            continue
        name, sign, rest = _split(line, number)
        if sign == "=":
            yield number, name, rest.removesuffix("\r")
        else:
            yield number, name, _block(lines, rest.strip(), number)


def _split(line: str, number: int) -> tuple[str, str, str]:
    """The name, `=` or `<<`, and what follows."""
    equals, block = line.find("="), line.find("<<")
    if equals < 0 and block < 0:
        raise OutputsInvalid(
            f"no `name=value` in {_shown(line)}.",
            line=number,
            help="Text of several lines is written as name<<END … END.",
        )
    sign = "<<" if block >= 0 and (equals < 0 or block < equals) else "="
    name, _, rest = line.partition(sign)
    if not _NAME.fullmatch(name):
        raise OutputsInvalid(
            f"{_shown(name)} cannot be the name of an output.",
            line=number,
            help="Use letters, digits and underscores.",
        )
    if sign == "<<" and not rest.strip():
        raise OutputsInvalid(
            f"`{name}<<` names no word that ends the text.", line=number, help=f"Write {name}<<END."
        )
    return name, sign, rest


def _block(lines: Iterator[tuple[int, str]], end: str, begun: int) -> str:
    held: list[str] = []
    for _, line in lines:
        if line.removesuffix("\r") == end:
            return "\n".join(held)
        held.append(line)
    raise OutputsInvalid(f"the text that begins here is never ended by a line {_shown(end)}.", line=begun)


def _json(text: str, name: str, line: int) -> object:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise OutputsInvalid(f"`{name}` is no JSON: {error}.", line=line) from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not in JSON")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARS_MAX else text[:_SHOWN_CHARS_MAX] + "…")


def _read(path: Path, *, bytes_max: int, cut: bool = False) -> bytes | None:
    """What stands in a plain file; nothing when there is none, None when it is too long and not to be cut."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _not_plain(path) from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _not_plain(path)
        data = _read_up_to(fd, bytes_max + 1)
    finally:
        os.close(fd)
    if len(data) <= bytes_max:
        return data
    return data[:bytes_max] if cut else None


def _read_up_to(fd: int, bytes_max: int) -> bytes:
    data = b""
    while len(data) < bytes_max and (more := os.read(fd, bytes_max - len(data))):
        data += more
    return data


def _not_plain(path: Path) -> OutputsInvalid:
    return OutputsInvalid(
        f"{path.name} is no plain file any more, so it is not read.",
        line=1,
        help="Append to the file; do not replace it.",
    )
