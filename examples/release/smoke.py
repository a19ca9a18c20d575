"""Serve what is live, ask it over HTTP as a customer would: `smoke.py SITE [VERSION]`."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path


def ask(port: int, path: str) -> tuple[int, str]:
    """One GET request: status and text."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode().strip()


def main() -> int:
    """Start the live release on a free port, ask it, and stop it again."""
    live = Path(sys.argv[1]) / "current"
    if not live.exists():
        print("nothing is live")
        return 1
    server = subprocess.Popen(
        [sys.executable, str(live / "shop.pyz"), str(live), "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(server.stdout.readline())  # type: ignore[union-attr] # it is a pipe
        answers = {path: ask(port, path) for path in ("/version", "/healthz", "/prices")}
    finally:
        server.terminate()
        server.wait()
    for path, (status, text) in answers.items():
        print(f"GET {path:<9} {status}  {text}")
    wanted = sys.argv[2] if len(sys.argv) > 2 else answers["/version"][1]
    wrong = [f"GET {path} answers {status}" for path, (status, _) in answers.items() if status != 200]
    if answers["/version"][1] != wanted:
        wrong.append(f"version {answers['/version'][1]} is live, not {wanted}")
    print(f"not healthy: {', '.join(wrong)}" if wrong else "healthy")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
