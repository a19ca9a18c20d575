"""Text that was made to be more than text: whatever people, events and scripts say reaches the next step as it is, and nothing of it is carried out."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from fault_support import Place

TEXTS = {
    "a command substitution": "$(touch pwned)",
    "backticks": "`touch pwned`",
    "the end of a command": "; touch pwned #",
    "the end of a quote": "' ; touch pwned ; '",
    "the end of another quote": '" ; touch pwned ; "',
    "a pipe": "| touch pwned",
    "a line of its own": "first\ntouch pwned\n",
    "an expression": "${{ secrets.db }}",
    "half an expression": "${{ ",
    "an expression of another kind": "{{ 7 * 7 }} #{7*7} <%= 7*7 %> {7*7}",
    "an option": "-rf",
    "a long option": "--help",
    "a format": "%s%s%n %(name)s {0} {name!r}",
    "a variable": "$HOME ${HOME} $TOW_OUTPUT",
    "the end of a block": "END\nx=1",
    "a path upwards": "../../../../etc/passwd",
    "a colour": "\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "a return": "good\rbad",
    "letters from right to left": "abc\u202edef",
    "words that YAML reads": "no",
    "a number that is text": "1e5",
    "markup": "<script>alert(1)</script> [link](javascript:x) *bold*",
    "nothing": "",
    "a language's own": "__import__('os').system('touch pwned')",
    "JSON": '{"__class__": "os.system", "$ref": "file:///etc/passwd"}',
}
WORKFLOW = r"""
inputs: {texts: {type: list, items: {type: string}}}
steps:
  - id: all
    each: ${{ inputs.texts }}
    as: text
    max_parallel: 2
    steps:
      - id: says
        env: {TEXT: "${{ text }}"}
        stdin: "${{ text }}"
        shell: python
        outputs: [said, read]
        run: |
          import json, os, sys
          text = os.environ["TEXT"]
          print(text)
          with open(os.environ["TOW_OUTPUT"], "a") as file:
              for name, value in (("said", text), ("read", sys.stdin.read())):
                  file.write(f"{name}<<a-word-of-its-own\n{value}\na-word-of-its-own\n")
      - id: hears
        if: steps.says.outputs.said == text
        env: {SAID: "${{ steps.says.outputs.said }}", READ: "${{ steps.says.outputs.read }}", AT: "${{ index }}"}
        run: |
          test "$SAID" = "$READ" || echo "they differ" >&2
          printf '%s %s\n' "$AT" "$(printf '%s' "$SAID" | base64 -w0)" >> ledger
      - {id: logs, uses: log, with: {message: "${{ steps.says.outputs.said }}"}}
  - id: fails
    env: {TEXT: "${{ inputs.texts[0] }} ${{ inputs.texts[16] }}"}
    run: echo "$TEXT" >&2; exit 3
"""
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def test_text_reaches_the_next_step_as_it_is(tmp_path: Path) -> None:
    """Inputs become environment and standard input, outputs become inputs again, byte for byte; no file says that anything was carried out."""
    place = Place(tmp_path / "project", w=WORKFLOW)
    inputs = tmp_path / "inputs.json"
    inputs.write_text(json.dumps({"texts": list(TEXTS.values())}))
    ended = place.tow("run", "w", "--inputs", str(inputs), TOW_SECRET_DB="a-secret-value")
    shown = [place.tow(*words) for words in (("show", "1"), ("show", "1", "--timeline"), ("ps", "--all"))]
    lines = [line.partition(" ") for line in (place.folder / "ledger").read_text().splitlines()]
    heard = {int(number): base64.b64decode(text).decode() for number, _, text in lines}

    assert ended.returncode == 1, ended.stderr
    assert list(dict(sorted(heard.items())).values()) == list(TEXTS.values())
    assert sorted(file.name for file in tmp_path.rglob("*pwned*")) == []
    assert {one.returncode for one in shown} <= {0, 1}  # as the run ended
    for one in (ended, *shown):
        said = one.stdout + one.stderr
        assert "a-secret-value" not in said
        assert STEERING.findall(said) == [], one.args
