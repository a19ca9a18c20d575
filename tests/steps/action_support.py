"""A context wound by hand and a small HTTP server, for the tests of actions."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from towpath.steps.contract import Egress, HttpRequest, HttpResponse
from towpath.steps.egress import GuardedEgress
from towpath.steps.processes import ProcessResult, ProcessRunner, ProcessSpec


class NoEgress:
    """For actions that must not make requests."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Refuses."""
        raise AssertionError(f"a request to {request.url} was made")


@dataclass(kw_only=True)
class FakeContext:
    """A step context that remembers what was logged."""

    workspace: Path
    egress: Egress = field(default_factory=GuardedEgress)
    run_id: str = "run1"
    path: str = "build"
    attempt: int = 1
    idempotency_key: str = "run1/build/1"
    environment: Mapping[str, str] = field(
        default_factory=lambda: {"PATH": os.environ["PATH"], "HOME": "/nowhere", "LANG": "C.UTF-8"}
    )
    lines: list[tuple[str, str]] = field(default_factory=list)

    def remaining_seconds(self) -> float | None:
        """No timeout."""
        return None

    def log(self, text: str, *, level: str = "info") -> None:
        """Remembers a line."""
        self.lines.append((level, text))

    async def run_process(self, spec: ProcessSpec) -> ProcessResult:
        """Runs a program and remembers its output."""

        def sink(stream: str, data: bytes, /) -> None:
            self.lines.append((stream, data.decode(errors="replace")))

        async with ProcessRunner() as runner:
            return await runner.run(spec, sink)


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the server saw it."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


Answer = Callable[[Seen, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class LocalServer:
    """What is answered by path, and what was asked."""

    answers: dict[str, bytes | Answer] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    fallback: Answer | None = None
    port: int = 0
    scheme: str = "http"
    connections: set[asyncio.Task[None]] = field(default_factory=set)
    handlers: set[asyncio.Task[object]] = field(default_factory=set)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """The address of a path."""
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers in a task that the end of the server ends."""
        task = asyncio.ensure_future(self.serve(reader, writer))
        self.connections.add(task)
        if handler := asyncio.current_task():
            self.handlers.add(handler)
        try:
            await asyncio.wait({task})
        finally:
            self.connections.discard(task)
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request and closes."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            seen = Seen(method, target, headers, body)
            self.seen.append(seen)
            answer = self.answers.get(target.partition("?")[0], self.fallback or reply(404, b"nothing here"))
            if callable(answer):
                await answer(seen, writer)
            else:
                writer.write(answer)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


def reply(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of an answer; underscores in names of headers become dashes."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextlib.asynccontextmanager
async def local_server(
    tls: ssl.SSLContext | None = None, **answers: bytes | Answer
) -> AsyncIterator[LocalServer]:
    """A server on a free port of this machine; `a="…"` answers for `/a`."""
    server = LocalServer(
        {f"/{path}": answer for path, answer in answers.items()}, scheme="https" if tls else "http"
    )
    running = await asyncio.start_server(server.connected, "127.0.0.1", 0, ssl=tls)
    server.port = running.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        running.close()
        for task in tuple(server.connections):
            task.cancel()
        if server.handlers:
            await asyncio.wait(server.handlers)


def certificate_for(name: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context for this name, and the file with the authority to trust."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


def picture(folder: Path, *, times: bool = True) -> dict[str, str]:
    """Everything in a folder, to see whether it changed: path → kind, mode, time and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        told = path.lstat()
        if path.is_symlink():
            content = str(path.readlink())
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (
            f"{told.st_mode:o} {told.st_mtime_ns if times else ''} {content}"
        )
    return found
