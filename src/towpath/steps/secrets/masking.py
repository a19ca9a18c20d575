"""Secrets are taken out of everything a step says before it is cut, stored or shown.

A `Masker` is made once from the values that a run has used; it holds an Aho-Corasick automaton over every
form of every value (see `forms`), so its cost is one pass over the text, however many secrets there are. A
`MaskStream` is one stream's place in that pass. Three rules make it exact:

- *Union.* Every byte that belongs to any occurrence of any form is covered; occurrences that overlap become
  one `***`. With `abcdef` and `defghi` secret, `abcdefghi` leaves nothing, where "the longest first" would
  leave `ghi`.
- *Hold back.* The end of a chunk that could be the beginning of a form waits for the next chunk. No more is
  held back than that, so a line that is innocent is shown at once. Any way of cutting a stream into chunks
  gives the same bytes.
- *Whole streams.* Masking comes before lines are cut and before anything is truncated. A secret that is
  written in several writes is found; one that has something else between its parts (a time stamp that the
  program itself puts there, or the other stream) is not the secret's text any more and cannot be found.

A value of fewer than four bytes is refused: masking `no` or `123` would black out innocent text and tell by
its gaps what the secret is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from towpath.errors import LimitExceeded, Refused
from towpath.steps.secrets.forms import FORM_BYTES_MIN, forms_of

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

SECRET_BYTES_MIN: Final = FORM_BYTES_MIN
SECRET_BYTES_MAX: Final = 64 * 1024
DEPTH_MAX: Final = 256
"""Nesting of a JSON value that is masked; far above what outputs may have."""
UNROLLED_BYTES_MAX: Final = 32 * 1024
"""Up to this much text in all forms together the automaton is unrolled: twice as fast, and still small."""
MASK: Final = b"***"


class SecretUnmaskable(Refused):
    """The value cannot be masked safely, so it is not taken as a secret."""


class Masker:
    """Takes the values of secrets, in every form, out of streams, texts and JSON values; may be shared."""

    __slots__ = ("_finder", "_forms_by_head", "_head_finder", "_heads", "_longest", "_short_heads", "_values")

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = frozenset(values)
        for value in self._values:
            check_maskable(value)
        forms = sorted({form for value in self._values for form in forms_of(value)})
        self._longest = max(map(len, forms), default=0)
        self._forms_by_head: dict[bytes, list[bytes]] = {}
        for form in forms:
            self._forms_by_head.setdefault(form[:FORM_BYTES_MIN], []).append(form)
        self._heads = list(self._forms_by_head)
        self._short_heads = frozenset(
            head[:length] for head in self._heads for length in range(1, FORM_BYTES_MIN)
        )
        self._finder = _automaton(forms)
        self._head_finder = _automaton(self._heads)

    def __repr__(self) -> str:
        return f"<Masker of {len(self._values)} secrets>"

    def __bool__(self) -> bool:
        return bool(self._values)

    def including(self, values: Iterable[str]) -> Masker:
        """A masker that knows *values* as well; itself when it knows them already."""
        more = self._values.union(values)
        return self if more == self._values else Masker(more)

    def stream(self) -> MaskStream:
        """A new stream to be masked chunk by chunk."""
        return MaskStream(self)

    def data(self, data: bytes) -> bytes:
        """*data* with every form of every secret replaced by `***`."""
        if self._finder is None:
            return data
        stream = MaskStream(self)
        return stream.feed(data) + stream.finish()

    def text(self, text: str) -> str:
        """*text* with every form of every secret replaced by `***`; for messages and tracebacks too."""
        if self._finder is None:
            return text
        return self.data(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def value(self, value: object) -> object:
        """A JSON-like value with every text in it masked, keys and numbers too; other things as `repr`."""
        return value if self._finder is None else self._value(value, depth=0)

    def _value(self, value: object, *, depth: int) -> object:
        if depth > DEPTH_MAX:
            raise LimitExceeded(f"A value is nested more than {DEPTH_MAX} deep.", limit="mask_depth_max")
        match value:
            case None | bool():
                return value
            case str():
                return self.text(value)
            case int() | float():
                written = json.dumps(value)
                masked = self.text(written)
                return value if masked == written else masked
            case dict():
                return {
                    self.text(str(key)): self._value(item, depth=depth + 1) for key, item in value.items()
                }
            case list() | tuple():
                return [self._value(item, depth=depth + 1) for item in value]
            case _:
                return self.text(repr(value))

    def _occurrences(self, data: bytes) -> list[tuple[int, int]]:
        assert self._finder is not None
        return [
            (start, end) for _, start, end in self._finder.find_matches_as_indexes(data, overlapping=True)
        ]

    def _hold_from(self, data: bytes) -> int:
        """Where the end of *data* begins that may be the beginning of a form; its length when none may."""
        assert self._head_finder is not None
        offset = max(0, len(data) - self._longest + 1)
        tail = data[offset:]
        for head, start, _ in self._head_finder.find_matches_as_indexes(tail, overlapping=True):
            beginning = tail[start:]
            for form in self._forms_by_head[self._heads[head]]:
                if len(form) > len(beginning) and form.startswith(beginning):
                    return offset + start
        for length in range(min(FORM_BYTES_MIN - 1, len(tail)), 0, -1):
            if tail[-length:] in self._short_heads:
                return len(data) - length
        return len(data)


class MaskStream:
    """One stream of bytes on its way through a `Masker`: feed it in order, and finish it."""

    __slots__ = ("_covered", "_held", "_masker")

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""
        self._covered = 0  # so much of what is held belongs to an occurrence whose `***` is already out

    def feed(self, data: bytes) -> bytes:
        """What can be said after *data* has arrived."""
        if not self._masker:
            return data
        seen = self._held + data if self._held else data
        return self._release(seen, self._masker._hold_from(seen))  # noqa: SLF001 - its other half

    def finish(self) -> bytes:
        """The rest, when nothing more will come."""
        seen = self._held
        return self._release(seen, len(seen)) if seen else b""

    def _release(self, seen: bytes, until: int) -> bytes:
        """Say what stands before *until* and hold the rest."""
        occurrences = self._masker._occurrences(seen)  # noqa: SLF001 - its other half
        if not occurrences and not self._covered:
            self._held = seen[until:]
            return seen if until == len(seen) else seen[:until]
        said: list[bytes] = []
        position = self._covered
        for start, end in sorted(occurrences):
            if start >= until and start >= position:
                break  # all of it is held, and will be found again
            if start >= position:
                said += (seen[position:start], MASK)
            position = max(position, end)
        if position < until:
            said.append(seen[position:until])
        self._held = seen[until:]
        self._covered = max(0, position - until)
        return b"".join(said)


def check_maskable(value: str, *, name: str = "") -> None:
    """Refuse a value that is too short to be hidden or too long to be looked for."""
    size = len(value.strip().encode("utf-8", "surrogatepass"))
    secret = f"The secret `{name}`" if name else "A secret"
    if size < SECRET_BYTES_MIN:
        raise SecretUnmaskable(
            f"{secret} has fewer than {SECRET_BYTES_MIN} characters: it could not be masked in logs.",
            help="Use a longer value, or pass it as an input or variable if it is no secret.",
        )
    if size > SECRET_BYTES_MAX:
        raise LimitExceeded(
            f"{secret} is larger than {SECRET_BYTES_MAX // 1024} KiB.",
            limit="secret_bytes_max",
            help="Keep the large part in a file that the step decrypts with a secret key.",
        )


def _automaton(forms: list[bytes]) -> BytesAhoCorasick | None:
    if not forms:
        return None
    from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

    small = sum(map(len, forms)) <= UNROLLED_BYTES_MAX
    return BytesAhoCorasick(
        forms,
        matchkind=MatchKind.Standard,
        implementation=Implementation.DFA if small else Implementation.ContiguousNFA,
    )


NOTHING_TO_MASK: Final = Masker()
"""For processes that were given no secret."""
