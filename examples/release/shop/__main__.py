"""Serve the shop: `python shop.pyz FOLDER PORT`, where FOLDER holds `release.json` and the price list."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from shop import prices


class Shop(BaseHTTPRequestHandler):
    """Answers /healthz, /version and /prices from the folder that it was started on."""

    folder: Path

    def do_GET(self) -> None:
        """Answer one request; an error in the shop is a 500, as it is in real life."""
        try:
            release = json.loads((self.folder / "release.json").read_text(encoding="utf-8"))
            answers = {
                "/version": lambda: release["version"],
                "/prices": lambda: json.dumps(prices.load(self.folder / release["price_list"])),
                "/healthz": lambda: f"ok, {len(prices.load(self.folder / release['price_list']))} articles",
            }
            self.answer(200, answers[self.path]()) if self.path in answers else self.answer(404, "not here")
        except (OSError, ValueError, KeyError) as error:
            self.answer(500, f"{type(error).__name__}: {error}")

    def log_message(self, *_: object) -> None:
        """Say nothing: whoever asks sees the answer."""

    def answer(self, status: int, text: str) -> None:
        """Send *text*."""
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until somebody stops it; says the port that it got, since 0 picks a free one."""
    Shop.folder = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Shop)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
