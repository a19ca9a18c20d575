"""No secret is in anything that is served: every route that reads is asked about a run that printed one in every way."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from pathlib import Path

from asked_support import asking, until
from server_support import server_in, write_project

from towpath.server.making import all_routes
from towpath.server.routing import PUBLIC

SECRET = 'p@ss "w0rd"/ünd$%&+tail-0123456789abcdef'
LEAKY = r"""
name: leaky
steps:
  - id: tell
    shell: python
    env: {PW: "${{ secrets.db }}"}
    outputs: [told]
    artifacts: [kept.txt]
    run: |
      import base64, json, os, sys
      s = os.environ["PW"]
      print("raw", s)
      print("base64", base64.b64encode(s.encode()).decode())
      print("json", json.dumps({"password": s}))
      print("hex", s.encode().hex(), file=sys.stderr)
      open(os.environ["TOW_OUTPUT"], "a").write("told<<END\n" + s + "\nEND\n")
      open(os.environ["TOW_SUMMARY"], "a").write("# " + s + "\n")
      open("kept.txt", "w").write("nothing of it\n")
  - id: fails
    env: {PW: "${{ secrets.db }}"}
    on_failure: continue
    run: echo "cannot sign in with $PW" >&2; exit 3
  - id: go
    approve: Is ${{ steps.tell.outputs.told }} right?
    who: ["user:ada"]
    show: {told: "${{ steps.tell.outputs.told }}"}
"""
FORMS = {
    "raw": SECRET,
    "base64": base64.b64encode(SECRET.encode()).decode().rstrip("="),
    "url": urllib.parse.quote(SECRET, safe=""),
    "json": json.dumps(SECRET)[1:-1],
    "hex": SECRET.encode().hex(),
    "its first half": SECRET[:20],
    "its second half": SECRET[-20:],
    "as a page writes it": "p@ss &#34;w0rd&#34;",
}
GETS = [
    one.path
    for routes in all_routes()
    for one in routes.declared
    if one.method == "GET" and one.permission != PUBLIC and not one.path.endswith("/stream")
]
"""What follows a run ends with it; the streams read the same facts and the same log."""


async def test_no_secret_is_in_anything_that_is_served(tmp_path: Path) -> None:
    """A step prints a secret, tells it as an output, fails with it and asks with it: no page and no answer of the API holds any form of it."""
    write_project(tmp_path, {"leaky": LEAKY})
    async with server_in(tmp_path) as server:
        server.app.sealed_secrets.set("db", SECRET)
        number = await asking(server, "leaky")
        await until(lambda: server.app.reader.artifacts(number) != ())
        filled = {
            "run": str(number),
            "digest": server.app.reader.run(number).definition,
            "workflow": "leaky",
            "path:path": "go",
            "name:path": "kept.txt",
            "sending": "1",
            "act": "cancel",
            "name": "db",
        }
        asked = [re.sub(r"\{([^}]*)\}", lambda one: filled.get(one[1], "nothing"), path) for path in GETS]
        asked += [f"/runs/{number}?view={view}" for view in ("logs", "values", "history", "timeline")]
        answers = {path: await server.client.get(path, headers=server.as_("ada")) for path in asked}

    leaks = [
        f"{name} in {path}"
        for path, one in answers.items()
        for name, form in FORMS.items()
        if form in one.text
    ]
    masked = [path for path, one in answers.items() if "***" in one.text]
    broken = [path for path, one in answers.items() if one.status_code >= 500]
    assert (leaks, broken) == ([], [])
    # The places where it would stand were looked at: there it is masked.
    assert len(masked) > 8, masked
