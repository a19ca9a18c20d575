"""The one way in which steps make HTTP requests.

A workflow may be told an address by the outside world, so every address is treated as hostile. For each
hop, redirects included: the address is taken apart once; its name is checked against the policy; the name
is resolved once and every address that came back is checked; the connection goes to one of the addresses
that passed and to no other, while `Host`, TLS name and certificate check keep the name. A name that
answers differently the second time (DNS rebinding) is never asked a second time.

Every hop has its own connection: connections that are shared by address would let one name use the
certificate check of another. When a redirect leaves the origin, only plain headers go along, and a body
is not sent again. The environment's proxies, `.netrc` and cookies play no part. What comes back is
counted as it streams in, also while it is decompressed.

Messages never hold the query of an address, because that is where keys are put.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import socket
import ssl
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NoReturn, TypeAlias

from towpath.errors import AuthorError
from towpath.steps.contract import ActionFailed, HttpRequest, HttpResponse

if TYPE_CHECKING:
    import httpx2

__all__ = ["EgressPolicy", "GuardedEgress"]

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Asks for the addresses of a name; the port is only a hint."""

ADDRESSES_MAX: Final = 8
"""How many addresses of one name are tried."""
URL_CHARS_MAX: Final = 8_192
CONNECT_SECONDS: Final = 10.0
"""How long one address may take to accept a connection before the next is tried."""
PORT_MAX: Final = 65_535
READ_BYTES: Final = 64 * 1024

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_PLAIN_HEADERS = frozenset(("accept", "accept-language", "accept-encoding", "user-agent"))
"""All that goes along to another origin; anything else may be a credential, whatever its name."""
_BODY_HEADERS = frozenset(("content-type", "content-encoding", "content-language", "content-disposition"))
_FRAMING_HEADERS = frozenset(
    ("content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer")
)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?")
_DEFAULT_PORTS = {"http": 80, "https": 443}

_METADATA = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fd00:ec2::/32",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
    )
)
"""Where clouds hand out the credentials of the machine (most are link-local; some are not)."""
_IPV4_MAX = 0xFFFF_FFFF
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressPolicy:
    """Where requests may go.

    An entry is a name, `*.example.com`, an address, or a network such as `10.0.0.0/8`. Link-local, cloud
    metadata, multicast, unspecified and reserved addresses are always denied, unless *exceptions* holds them.
    """

    allow: tuple[str, ...] = ()
    """When not empty, nothing else is reached."""
    deny: tuple[str, ...] = ()
    """Never reached, whatever else is said."""
    exceptions: tuple[str, ...] = ()
    """Addresses and networks that are reached although their kind is denied."""
    private: bool = True
    """Whether private networks (RFC 1918 and the like) may be reached; an operations tool lives there."""
    loopback: bool = True
    """Whether this machine itself may be reached."""

    def __post_init__(self) -> None:
        for entry in (*self.allow, *self.deny, *self.exceptions):
            _check_entry(entry)
        for entry in self.exceptions:
            if _network(entry) is None:
                raise AuthorError(f"The egress exception `{entry}` is no address or network.")

    def check_name(self, name: str) -> None:
        """Raises ActionFailed `denied` when the name itself is enough to know."""
        if _names(self.deny, name):
            raise denied(name, "it is on the deny list")
        # With networks on the allow list, only the address can tell.
        if self.allow and not _names(self.allow, name) and not any(map(_network, self.allow)):
            raise denied(name, "it is not on the allow list")

    def objection(self, name: str, address: IpAddress) -> str:
        """Why this address of that name is not to be reached; nothing when it may be."""
        faces = tuple(_faces(address))
        if any(_holds(self.deny, face) for face in faces):
            return "it is on the deny list"
        if (
            self.allow
            and not _names(self.allow, name)
            and not all(_holds(self.allow, face) for face in faces)
        ):
            return "it is not on the allow list"
        return next((said for face in faces if (said := self._kind_objection(face))), "")

    def _kind_objection(self, address: IpAddress) -> str:
        if _holds(self.exceptions, address):
            return ""
        if any(address in network for network in _METADATA if network.version == address.version):
            return "it is a metadata or link-local address"
        if address.is_loopback:
            return "" if self.loopback else "it is this machine"
        for is_it, what in (
            (address.is_link_local, "link-local"),
            (address.is_multicast, "multicast"),
            (address.is_unspecified, "unspecified"),
        ):
            if is_it:
                return f"it is a {what} address"
        # is_private covers much that is no private network; what is neither global nor private is reserved.
        if _is_private(address):
            return "" if self.private else "it is in a private network"
        return "" if address.is_global else "it is a reserved address"


class GuardedEgress:
    """Makes requests within a policy; one for a whole process."""

    def __init__(self, policy: EgressPolicy | None = None, *, resolve: Resolver | None = None) -> None:
        self._policy = policy or EgressPolicy()
        self._resolve = resolve or _system_resolver
        self._tls: dict[tuple[bool, Path | None], ssl.SSLContext] = {}

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer of any status; raises ActionFailed `unreachable`, `timeout`, `denied` or `invalid`."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(request.timeout_seconds):
                response = await self._follow(request)
        except TimeoutError:
            raise ActionFailed(
                f"{_shown(request.url)} did not answer within {request.timeout_seconds:g} s.",
                kind="timeout",
                help="Give it more time with `timeout`, or find out what keeps it.",
            ) from None
        return replace(response, elapsed_seconds=round(time.monotonic() - started, 6))

    async def _follow(self, request: HttpRequest) -> HttpResponse:
        hop = _Hop.first(request)
        for _ in range(request.redirects_max + 1):
            async with self._answer(hop, request) as answer:
                location = answer.headers.get("location")
                if not request.follow_redirects or answer.status_code not in _REDIRECTS or location is None:
                    return await _take(answer, hop, request)
            hop = hop.redirected(answer.status_code, location)
        raise ActionFailed(
            f"{_shown(request.url)} redirected more than {request.redirects_max} times.", kind="invalid"
        )

    @contextlib.asynccontextmanager
    async def _answer(self, hop: _Hop, request: HttpRequest) -> AsyncIterator[httpx2.Response]:
        """The answer to one hop, its body not yet read, over a connection of its own."""
        import httpx2

        addresses = await self._addresses(hop)
        tls = self._tls_context(request, hop)
        async with contextlib.AsyncExitStack() as stack:
            answer: httpx2.Response | None = None
            for address, is_last in [(one, one is addresses[-1]) for one in addresses]:
                transport = await stack.enter_async_context(
                    httpx2.AsyncHTTPTransport(
                        verify=tls, trust_env=False, limits=httpx2.Limits(max_connections=1)
                    )
                )
                try:
                    answer = await transport.handle_async_request(hop.pinned(address))
                    break
                except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                    if is_last or _is_certificate_error(error):
                        _raise_failure(error, hop)
                except httpx2.HTTPError as error:
                    _raise_failure(error, hop)
            assert answer is not None
            stack.push_async_callback(answer.aclose)
            try:
                yield answer
            except httpx2.HTTPError as error:
                _raise_failure(error, hop)

    async def _addresses(self, hop: _Hop) -> list[IpAddress]:
        """Where the hop may connect; raises ActionFailed `denied` when all that was found is denied."""
        self._policy.check_name(hop.host)
        for name, value in hop.headers.items():
            if name.lower() == "host":
                self._policy.check_name(value.rpartition(":")[0] or value)
        found = await self._lookup(hop)
        objections = {address: self._policy.objection(hop.host, address) for address in found}
        allowed = [address for address, objection in objections.items() if not objection]
        if not allowed:
            address, objection = next(iter(objections.items()))
            raise denied(hop.host if hop.host == str(address) else f"{hop.host} ({address})", objection)
        return allowed[:ADDRESSES_MAX]

    async def _lookup(self, hop: _Hop) -> list[IpAddress]:
        with contextlib.suppress(ValueError):
            return [ipaddress.ip_address(hop.host)]
        try:
            texts = await self._resolve(hop.host, hop.port)
        except (OSError, UnicodeError) as error:
            raise ActionFailed(
                f"The name {hop.host} was not found: {getattr(error, 'strerror', None) or error}.",
                kind="unreachable",
            ) from None
        if not texts:
            raise ActionFailed(f"The name {hop.host} has no address.", kind="unreachable")
        return list(dict.fromkeys(ipaddress.ip_address(text) for text in texts))

    def _tls_context(self, request: HttpRequest, hop: _Hop) -> ssl.SSLContext:
        key = (request.verify_tls, request.ca_file)
        if hop.scheme == "http":
            # Without one the transport would load every certificate of the machine, for no handshake.
            return self._tls.setdefault((False, None), _unverified())
        if (context := self._tls.get(key)) is None:
            context = self._tls[key] = _make_tls_context(request)
        return context


def denied(what: str, why: str) -> ActionFailed:
    """The failure of a request that the policy does not let out."""
    return ActionFailed(
        f"Requests to {what} are denied: {why}.",
        kind="denied",
        help="The egress settings of the project say where requests may go.",
    )


# --- one hop ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hop:
    """One request on the way, its address taken apart."""

    method: str
    url: httpx2.URL
    headers: Mapping[str, str]
    body: bytes | None

    @classmethod
    def first(cls, request: HttpRequest) -> _Hop:
        method = request.method.upper()
        if not _TOKEN.fullmatch(method) or method == "CONNECT":
            raise ActionFailed(f"`{request.method}` is no HTTP method.", kind="invalid")
        return cls(
            method=method,
            url=_parsed(request.url),
            headers=_checked_headers(request.headers),
            body=request.body,
        )

    @property
    def scheme(self) -> str:
        return self.url.scheme

    @property
    def host(self) -> str:
        # The form that goes over the wire (punycode), without the dot that would make it another name.
        return self.url.raw_host.decode("ascii").strip("[]").rstrip(".").lower()

    @property
    def port(self) -> int:
        return self.url.port or _DEFAULT_PORTS[self.scheme]

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)

    def pinned(self, address: IpAddress) -> httpx2.Request:
        """The request as it is sent to this very address."""
        import httpx2

        headers = {
            "Host": self.url.netloc.decode("ascii"),
            "User-Agent": "towpath",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
        }
        for name, value in self.headers.items():
            key = next((known for known in headers if known.lower() == name.lower()), name)
            headers[key] = value
        extensions: dict[str, object] = {"timeout": {"connect": CONNECT_SECONDS}}
        if str(address) != self.host:
            extensions["sni_hostname"] = self.host
        return httpx2.Request(
            self.method,
            self.url.copy_with(host=str(address)),
            headers=[(name.encode("ascii"), value.encode("utf-8")) for name, value in headers.items()],
            content=self.body,
            extensions=extensions,
        )

    def redirected(self, status: int, location: str) -> _Hop:
        """The next hop; without credentials when it goes to another origin."""
        url = _parsed(location, base=self.url)
        keeps_method = status in (307, 308) or self.method in ("GET", "HEAD")
        method = self.method if keeps_method else "GET"
        if not keeps_method and status != 303 and self.method != "POST":  # noqa: PLR2004 - See Other
            method = self.method  # only POST has always been turned into GET by 301 and 302
        keeps_body = method == self.method and self.body is not None
        headers = dict(self.headers)
        if not keeps_body:
            headers = {name: value for name, value in headers.items() if name.lower() not in _BODY_HEADERS}
        next_hop = _Hop(method=method, url=url, headers=headers, body=self.body if keeps_body else None)
        if next_hop.origin == self.origin:
            return next_hop
        if keeps_body:
            raise denied(
                next_hop.host, f"{self.host} redirected there, and a body is not sent on to another origin"
            )
        return replace(
            next_hop,
            headers={name: value for name, value in headers.items() if name.lower() in _PLAIN_HEADERS},
        )


def _parsed(text: str, *, base: httpx2.URL | None = None) -> httpx2.URL:
    import httpx2

    shown = _shown(text)
    if len(text) > URL_CHARS_MAX:
        raise ActionFailed(f"The address is longer than {URL_CHARS_MAX} characters.", kind="invalid")
    if re.search(r"[\x00-\x20\x7f\\]", text):
        raise ActionFailed(
            f"The address {shown!r} holds a space, a backslash or a control character.", kind="invalid"
        )
    try:
        url = httpx2.URL(text) if base is None else base.join(text)
    except (httpx2.InvalidURL, ValueError, TypeError):
        raise ActionFailed(f"{shown!r} is no address.", kind="invalid") from None
    if url.scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(url.raw_host.decode("ascii")):
        raise ActionFailed(
            f"The address {shown!r} must start with http:// or https:// and a name.", kind="invalid"
        )
    if url.port is not None and not 0 < url.port <= PORT_MAX:
        raise ActionFailed(f"The address {shown!r} has an impossible port.", kind="invalid")
    if url.userinfo:
        raise ActionFailed(
            f"The address {shown!r} holds a user name or a password.",
            kind="invalid",
            help="Use `auth` instead.",
        )
    return url.copy_with(fragment=None)


def _shown(url: str) -> str:
    """An address for a message: without user, query and fragment."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0][:200]
    return re.sub(r"(?<=//)[^/]*@", "", bare)


def _checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ActionFailed(f"`{name[:60]!r}` is no name of a header.", kind="invalid")
        if re.search(r"[\x00\r\n]", value):
            raise ActionFailed(f"The header {name} holds a line break.", kind="invalid")
        if name.lower() in _FRAMING_HEADERS:
            raise ActionFailed(f"The header {name} is set by the request itself.", kind="invalid")
    if len({name.lower() for name in headers}) != len(headers):
        raise ActionFailed("A header is given twice.", kind="invalid")
    return headers


# --- the answer ---------------------------------------------------------------------------------------


async def _take(answer: httpx2.Response, hop: _Hop, request: HttpRequest) -> HttpResponse:
    """Reads the body, counted and decompressed, into memory or the file."""
    chunks = _counted(answer, request.response_bytes_max)
    body, size = bytearray(), 0
    if request.save_to is None:
        async for chunk in chunks:
            body += chunk
        size = len(body)
    else:
        with _appearing(request.save_to) as file:
            async for chunk in chunks:
                size += file.write(chunk)
            await asyncio.to_thread(_sync, file)
    return HttpResponse(
        status=answer.status_code,
        headers=_joined(answer.headers.multi_items()),
        body=bytes(body),
        body_bytes=size,
        url=str(hop.url),
        elapsed_seconds=0.0,
    )


async def _counted(answer: httpx2.Response, bytes_max: int) -> AsyncIterator[bytes]:
    inflate = _inflater(answer.headers.get("content-encoding", "").strip().lower())
    total = 0
    async for raw in answer.aiter_raw(READ_BYTES):
        for chunk in inflate(raw):
            total += len(chunk)
            if total > bytes_max:
                raise ActionFailed(
                    f"The answer is larger than {bytes_max} bytes (response_bytes_max).", kind="invalid"
                )
            yield chunk


def _inflater(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    """A function that takes the compression off in pieces of a bounded size."""
    if encoding in ("", "identity"):
        return lambda raw: iter((raw,))
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ActionFailed(
            f"The answer is compressed with {encoding!r}, which was not asked for.", kind="invalid"
        )
    machine = zlib.decompressobj(wbits=47)  # zlib or gzip, found out from the first bytes

    def inflate(raw: bytes) -> Iterator[bytes]:
        rest = raw
        try:
            while rest:
                yield machine.decompress(rest, READ_BYTES)
                rest = machine.unconsumed_tail
        except zlib.error:
            raise ActionFailed("The answer is not what its compression says.", kind="invalid") from None

    return inflate


def _joined(items: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in items:
        key = name.lower()
        glue = "\n" if key == "set-cookie" else ", "
        found[key] = f"{found[key]}{glue}{value}" if key in found else value
    return found


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """A file that gets its name only when it is whole."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise ActionFailed(
            f"The answer cannot be saved to {path}: {error.strerror}.", kind="invalid"
        ) from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        raise ActionFailed(
            f"The answer cannot be saved to {path}: {error.strerror}.", kind="invalid"
        ) from None
    finally:
        Path(name).unlink(missing_ok=True)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


# --- what goes wrong ----------------------------------------------------------------------------------


def _raise_failure(error: httpx2.HTTPError, hop: _Hop) -> NoReturn:
    """Tells an error of the client in the words of the language."""
    import httpx2

    where = _shown(str(hop.url))
    if (certificate := _is_certificate_error(error)) is not None:
        raise ActionFailed(
            f"The certificate of {hop.host} is not trusted: {certificate.verify_message}.",
            kind="denied",
            help="Name the authority's certificate with `ca`, or mend the certificate.",
        ) from None
    if isinstance(error, httpx2.ConnectTimeout):
        raise ActionFailed(
            f"{where} did not accept a connection within {CONNECT_SECONDS:g} s.", kind="timeout"
        ) from None
    if isinstance(error, httpx2.LocalProtocolError):
        raise ActionFailed(f"The request to {where} cannot be written: {error}.", kind="invalid") from None
    if isinstance(error, httpx2.RemoteProtocolError):
        raise ActionFailed(
            f"{where} answered with something that is no HTTP: {error}.", kind="unreachable"
        ) from None
    reason = _reason(error)
    raise ActionFailed(f"{where} cannot be reached: {reason}.", kind="unreachable") from None


def _reason(error: BaseException) -> str:
    """The deepest thing that is known about a failed connection."""
    for one in _causes(error):
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
    return str(error) or "the connection was closed"


def _is_certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    return next((one for one in _causes(error) if isinstance(one, ssl.SSLCertVerificationError)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, the deepest first."""
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in seen:
        seen.append(one)
        one = one.__cause__ or one.__context__
        if isinstance(one, BaseExceptionGroup):
            one = one.exceptions[0]
    yield from reversed(seen)


# --- names, addresses, certificates -------------------------------------------------------------------


async def _system_resolver(name: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def _faces(address: IpAddress) -> Iterator[IpAddress]:
    """The address, and the IPv4 addresses that hide inside an IPv6 one; each has to pass."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    hidden = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or 1 < int(address) <= _IPV4_MAX:
        hidden.append(ipaddress.IPv4Address(int(address) & _IPV4_MAX))
    yield from (one for one in hidden if one is not None)
    if address.ipv4_mapped is None:  # a mapped address is the IPv4 address and nothing else
        yield address


def _is_private(address: IpAddress) -> bool:
    networks = _PRIVATE_4 if address.version == 4 else _PRIVATE_6  # noqa: PLR2004 - the IP version
    return any(address in network for network in networks)


_PRIVATE_4 = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
)
_PRIVATE_6 = (ipaddress.ip_network("fc00::/7"),)


def _check_entry(entry: str) -> None:
    if _network(entry) is None and not re.fullmatch(
        r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", entry
    ):
        raise AuthorError(
            f"The egress entry `{entry}` is no name, address or network.",
            help="Write for example api.example.com, *.example.com, 192.0.2.7 or 10.0.0.0/8.",
        )


def _network(entry: str) -> IpNetwork | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def _names(entries: tuple[str, ...], name: str) -> bool:
    """Whether the name, or an address written as a name, is among the entries."""
    plain = name.rstrip(".").lower()
    return any(
        plain.endswith(entry[1:].lower()) if entry.startswith("*.") else plain == entry.lower()
        for entry in entries
    )


def _holds(entries: tuple[str, ...], address: IpAddress) -> bool:
    networks = (network for entry in entries if (network := _network(entry)) is not None)
    return any(network.version == address.version and address in network for network in networks)


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _make_tls_context(request: HttpRequest) -> ssl.SSLContext:
    if not request.verify_tls:
        return _unverified()
    import httpx2

    if request.ca_file is None:
        return httpx2.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=str(request.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ActionFailed(
            f"The certificates in {request.ca_file} cannot be read: {error}.", kind="invalid"
        ) from None
