"""The ways in which a secret turns up in text without anybody meaning harm.

A tool that prints its request prints the header in base64; a shell under `set -x` prints its words quoted;
an HTTP client prints the URL with percent signs; a JSON log escapes the newline. Each of these is a *form*
of the value, and whoever sees a form has the value. This module lists the forms of a value as byte strings;
`masking` looks for them.

Base64 knows no place of its own: the same bytes give three different texts, depending on how many bytes
stand before them (modulo three), as in `user:password`. Of each the part is taken that depends on the value
alone, so that at most six bits are left visible at either end. Tools break long base64 text into lines, so
a long value is also looked for in pieces.

What is *not* covered, because no list can: compression, encryption, hashes, changed case, a value printed
in parts with something in between (one character a line, half to stdout and half to stderr), `hexdump` with
its columns.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import urllib.parse
from collections.abc import Iterator
from typing import Final

FORM_BYTES_MIN: Final = 4
"""Shorter forms would match everywhere and tell more than they hide."""
BASE64_LINE_CHARS: Final = (64, 76)
"""Where `openssl base64` and PEM, and where `base64` and MIME break their lines."""
BASE64_LAST_LINE_CHARS_MIN: Final = 8
"""A shorter last line holds at most five bytes of the value, and may be as innocent as `Cg==`."""
BASE64_PIECE_CHARS: Final = 24
BASE64_PIECES_FROM_CHARS: Final = 60

_LINE_ENDS: Final = (b"\n", b"\r\n", b"\\n")  # the last one is a newline inside JSON
_NOT_URL_UNRESERVED_JS: Final = "!'()*~"  # encodeURIComponent leaves these alone
_SHELL_SPECIAL: Final = (
    re.compile(r"""([ !"$&'()*,;<>?\[\\\]^`{|}]|^[~#])"""),  # bash
    re.compile(r"""([ !"$&'()*;<>?\[\\\]^`{|}~#=])"""),  # zsh and others
)
_ANSI_C_NAMES: Final = {
    "\a": r"\a", "\b": r"\b", "\t": r"\t", "\n": r"\n", "\v": r"\v", "\f": r"\f", "\r": r"\r",
    "\x1b": r"\E", "\\": r"\\", "'": r"\'",
}  # fmt: skip


def forms_of(value: str) -> frozenset[bytes]:
    """Every form of *value*, with and without the white space around it, and of each of its lines."""
    forms: set[bytes] = set()
    for whole in {value, value.strip()}:
        forms.update(_simple_forms(whole), _long_base64(whole))
    for line in value.splitlines():
        if len(line.strip().encode()) >= FORM_BYTES_MIN:
            forms.update(_simple_forms(line.strip()))
    return frozenset(form for form in forms if len(form) >= FORM_BYTES_MIN)


def _simple_forms(value: str) -> Iterator[bytes]:
    for spell in (_plain, _json, _urls, _shell, _markup):
        for text in spell(value):
            yield text.encode("utf-8", "surrogatepass")
    yield from _binary(value)


def _plain(value: str) -> Iterator[str]:
    yield value
    yield value.replace("\r\n", "\n")
    yield value.replace("\r\n", "\n").replace("\n", "\r\n")


def _json(value: str) -> Iterator[str]:
    """JSON strings as different writers escape them, JSON inside JSON, and Python's own `repr`."""
    for once in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield once
        yield once.replace("/", r"\/")
        yield _go_json(once)
        yield json.dumps(once)[1:-1]
        yield json.dumps(once, ensure_ascii=False)[1:-1]
    yield re.sub(r"\\u[0-9a-f]{4}", lambda escape: r"\u" + escape[0][2:].upper(), json.dumps(value)[1:-1])
    units = value.encode("utf-16-be", "surrogatepass").hex()
    for digits in (units, units.upper()):
        yield "".join(rf"\u{digits[start : start + 4]}" for start in range(0, len(digits), 4))
    yield repr(value)[1:-1]
    yield ascii(value)[1:-1]


def _go_json(escaped: str) -> str:
    return escaped.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _urls(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    every_byte = "".join(f"%{byte:02X}" for byte in data)
    for safe in ("", "/", _NOT_URL_UNRESERVED_JS, _NOT_URL_UNRESERVED_JS + "/:@$&+,;=?#"):
        for quoted in (urllib.parse.quote(data, safe=safe), urllib.parse.quote_plus(data, safe=safe)):
            yield quoted
            yield _lower_percent(quoted)
    yield every_byte
    yield every_byte.lower()


def _lower_percent(quoted: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda escape: escape[0].lower(), quoted)


def _shell(value: str) -> Iterator[str]:
    """As `printf %q`, `${x@Q}`, `set -x`, `declare -p` and careful people quote it."""
    yield shlex.quote(value).removeprefix("'").removesuffix("'")
    yield value.replace("'", r"'\''")
    for special in _SHELL_SPECIAL:
        yield special.sub(r"\\\1", value)
    yield re.sub(r'([$`"\\])', r"\\\1", value)
    yield re.sub(r'([$`"\\!])', r"\\\1", value)
    yield "".join(_ansi_c(character, as_bytes=True) for character in value)
    yield "".join(_ansi_c(character, as_bytes=False) for character in value)


def _ansi_c(character: str, *, as_bytes: bool) -> str:
    """One character as it stands inside bash's `$'…'`: beyond ASCII as octal bytes in the C locale only."""
    if character in _ANSI_C_NAMES:
        return _ANSI_C_NAMES[character]
    if character < " " or character == "\x7f" or (as_bytes and character > "\x7f"):
        return "".join(rf"\{byte:03o}" for byte in character.encode("utf-8", "surrogatepass"))
    return character


def _markup(value: str) -> Iterator[str]:
    """HTML and XML entities; doubled quotes as in SQL, YAML and CSV."""
    escaped = html.escape(value, quote=True)
    yield escaped
    yield html.escape(value, quote=False)
    yield escaped.replace("&#x27;", "&#39;")
    yield escaped.replace("&#x27;", "&apos;")
    yield escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    yield value.replace("'", "''")
    yield value.replace('"', '""')


def _binary(value: str) -> Iterator[bytes]:
    """Hex, and base64 in one line, also of the UTF-16 that PowerShell likes."""
    data = value.encode("utf-8", "surrogatepass")
    yield data.hex().encode()
    yield data.hex().upper().encode()
    for bare in (data, value.encode("utf-16-le", "surrogatepass")):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            for before in range(3):
                yield _base64_core(encode(b"\0" * before + bare), before=before, length=len(bare))
            for whole in (bare, bare + b"\n"):
                yield encode(whole)
                yield encode(whole).rstrip(b"=")


def _long_base64(value: str) -> Iterator[bytes]:
    """Base64 that is broken into lines."""
    data = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        yield from _pieces(
            _base64_core(base64.b64encode(b"\0" * before + data), before=before, length=len(data))
        )
    for whole in (data, data + b"\n"):
        yield from _lines(base64.b64encode(whole))


def _base64_core(encoded: bytes, *, before: int, length: int) -> bytes:
    """The part of *encoded* that says nothing but the value: no bits of what stands before or after it."""
    first = -(-before * 8 // 6)
    last = (before + length) * 8 // 6
    return encoded[first:last]


def _lines(encoded: bytes) -> Iterator[bytes]:
    """The lines of base64 text that begins where the value begins; the last may be shorter than a piece."""
    for width in BASE64_LINE_CHARS:
        for start in range(0, len(encoded), width):
            line = encoded[start : start + width]
            if len(line) >= BASE64_LAST_LINE_CHARS_MIN:
                yield line


def _pieces(core: bytes) -> Iterator[bytes]:
    """A base64 text as it looks when it stands somewhere in a longer text that is broken into lines.

    Lines are taken to be at least as long as the shortest text that is cut into pieces. So a shorter text is
    broken once at most, and of a longer one a whole piece stands everywhere but near a line's end.
    """
    if len(core) < BASE64_PIECES_FROM_CHARS:
        for place in range(1, len(core)):
            yield from _broken(core[:place], core[place:])
        return
    for start in range(len(core) - BASE64_PIECE_CHARS + 1):
        yield core[start : start + BASE64_PIECE_CHARS]
    for place in range(1, BASE64_PIECE_CHARS):
        yield from _broken(core[:place], core[place : place + BASE64_PIECE_CHARS])
        yield from _broken(core[-place - BASE64_PIECE_CHARS : -place], core[-place:])


def _broken(line: bytes, next_line: bytes) -> Iterator[bytes]:
    """Text around a line's end; one as short as an edge stays, or many a line would have to wait."""
    if len(line) < FORM_BYTES_MIN:
        yield next_line
        return
    for end in _LINE_ENDS:
        yield line + end + next_line
