"""Stand in for a fleet of machines: run small HTTP services and restart them when asked.

    machines.py FOLDER PORT NAME…     until FOLDER/stop appears

Each service has a folder of its own with a `version` file, which it reads when it starts, and a `pid` file. A
file called `restart` in it asks for a restart, as `systemctl restart` would. A service whose version is `bad`
does not come up.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

POLL_SECONDS = 0.05

SERVICE = """
import http.server, sys
version = open(sys.argv[1]).read().strip()
if version == "bad":
    sys.exit("cannot start")
class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = version.encode()
        self.send_response(200 if self.path == "/healthz" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Service).serve_forever()
"""


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start one service and write down its process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(folder / "version"), str(port)], stderr=subprocess.DEVNULL
    )
    (folder / "pid").write_text(f"{process.pid}\n")
    return process


def main() -> None:
    """Keep the services running until somebody says stop."""
    fleet, first_port, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    services = {}
    for number, name in enumerate(names):
        folder = fleet / name
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "version").exists():
            (folder / "version").write_text("v1\n")
        services[name] = start(folder, first_port + number)
    print(f"{len(services)} services from port {first_port}", flush=True)
    while not (fleet / "stop").exists():
        for number, name in enumerate(names):
            request = fleet / name / "restart"
            if request.exists():
                services[name].terminate()
                services[name].wait()
                services[name] = start(fleet / name, first_port + number)
                request.unlink()
                print(f"{name} restarted, pid {services[name].pid}", flush=True)
        time.sleep(POLL_SECONDS)
    for service in services.values():
        service.terminate()
        service.wait()
    print("stopped")


if __name__ == "__main__":
    os.environ["PYTHONUNBUFFERED"] = "1"
    main()
