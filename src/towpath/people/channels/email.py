"""E-mail through an SMTP server: plain text in UTF-8, with a Message-ID that follows from what is told.

Mail that arrives twice has one Message-ID, and most mail programs show it once. The connection is encrypted unless
towpath.yaml says otherwise: `smtps://` from the first byte, `smtp://` by STARTTLS, which has to be offered; only to
this machine itself it goes without. A password is never sent in the clear. `smtplib` blocks, so each channel has
threads of its own, no more than it sends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.errors
import email.message
import email.policy
import email.utils
import ipaddress
import re
import smtplib
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.headerregistry import Address
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from towpath.errors import AuthorError
from towpath.people.channels.contract import SENDS_MAX, SendFailed

if TYPE_CHECKING:
    from towpath.people.channels.contract import Sending

SOCKET_SECONDS: Final = 20.0
"""How long one answer of the server may take."""
ADDRESS_CHARS_MAX: Final = 254
REPLY_CHARS_SHOWN: Final = 200

Encryption: TypeAlias = Literal["tls", "starttls", "none"]

_PORTS: Final = {"smtp": 587, "smtps": 465}
_LOCAL_PORT: Final = 25
_PERMANENT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed in."""

    host: str
    port: int
    encryption: Encryption
    username: str = ""

    @property
    def is_here(self) -> bool:
        """Whether it is this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def server_of(url: str | None) -> MailServer:
    """The server that `smtp://user@host:port` or `smtps://…` names; this machine's own where nothing is said.

    `?tls=none` goes without encryption, and then without a password too, unless the server is this machine.
    """
    parts = urlsplit(url or "smtp://localhost:25?tls=none")
    try:
        port = parts.port
    except ValueError:
        raise AuthorError(f"{url!r} has no port that can be") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/"):
        raise AuthorError(
            f"{url!r} is not the address of a mail server", help="write smtp://host:587 or smtps://host:465"
        )
    if parts.password is not None:
        raise AuthorError(
            "the address of a mail server holds no password",
            help="put it into a secret, and name it: secret: …",
        )
    found = MailServer(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        encryption="tls" if parts.scheme == "smtps" else "starttls",
        username=unquote(parts.username or ""),
    )
    return _with_tls_option(found, dict(parse_qsl(parts.query)), has_port=port is not None)


def _with_tls_option(server: MailServer, options: dict[str, str], *, has_port: bool) -> MailServer:
    wanted = options.pop("tls", None)
    if options or wanted not in (None, "none", "starttls"):
        raise AuthorError("the address of a mail server takes only ?tls=none or ?tls=starttls")
    if server.encryption == "tls":
        return server
    is_bare = wanted == "none" or (wanted is None and server.is_here)
    return MailServer(
        host=server.host,
        port=server.port if has_port or not server.is_here else _LOCAL_PORT,
        encryption="none" if is_bare else "starttls",
        username=server.username,
    )


class EmailChannel:
    """Sends mail through one server; `close` ends its threads."""

    def __init__(
        self,
        server: MailServer,
        *,
        sender: str,
        to: tuple[str, ...] = (),
        password: Callable[[], str] | None = None,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self._server = server
        self._sender = checked_address(sender)
        self._to = to
        self._password = password
        self._tls = tls
        self._threads = ThreadPoolExecutor(max_workers=SENDS_MAX, thread_name_prefix="mail")

    async def send(self, sending: Sending) -> None:
        """Sends one mail to the recipient's address, or to those of the channel."""
        message = letter(sending, sender=self._sender, to=(sending.address,) if sending.address else self._to)
        await asyncio.get_running_loop().run_in_executor(self._threads, self._hand_in, message)

    def close(self) -> None:
        """Ends the threads; mail that is on its way is handed in."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _hand_in(self, message: email.message.EmailMessage) -> None:
        try:
            server = self._connected()
            try:
                refused = server.send_message(message)
            finally:
                _say_goodbye(server)
        except (smtplib.SMTPException, OSError) as error:
            raise _explained(error, self._server) from None
        if refused:
            raise SendFailed(_refused(refused))

    def _connected(self) -> smtplib.SMTP:
        where = self._server
        if where.encryption == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                where.host, where.port, timeout=SOCKET_SECONDS, context=self._tls()
            )
        else:
            server = smtplib.SMTP(where.host, where.port, timeout=SOCKET_SECONDS)
        try:
            if where.encryption == "starttls":
                server.starttls(context=self._tls())
                server.ehlo()
            self._sign_in(server)
        except BaseException:
            server.close()
            raise
        return server

    def _sign_in(self, server: smtplib.SMTP) -> None:
        if self._password is None:
            return
        if self._server.encryption == "none" and not self._server.is_here:
            raise SendFailed(
                "the password is not sent to the mail server without encryption",
                is_final=True,
                help="remove ?tls=none from the channel's url",
            )
        server.login(self._server.username or self._sender, self._password())


def _say_goodbye(server: smtplib.SMTP) -> None:
    """Ends the connection; what goes wrong now changes nothing about the mail."""
    with contextlib.suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()


def letter(sending: Sending, *, sender: str, to: tuple[str, ...]) -> email.message.EmailMessage:
    """The mail, its headers safe whatever the texts hold."""
    if not to:
        raise SendFailed("there is no address to send mail to", is_final=True)
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    domain = sender.rpartition("@")[2]
    try:
        message["From"] = Address("Towpath", addr_spec=sender)
        message["To"] = tuple(Address(addr_spec=checked_address(one)) for one in to)
        message["Subject"] = sending.text.subject
        message["Date"] = email.utils.formatdate(sending.notice.at / 1_000_000)
        message["Message-ID"] = f"<{sending.key}@{domain}>"
        # All that is told about one question stands together in a mail program.
        message["References"] = f"<{thread_of(sending)}@{domain}>"
    except (ValueError, IndexError, email.errors.MessageError) as error:
        raise SendFailed(f"the mail cannot be written: {error}", is_final=True) from None
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(sending.text.plain, charset="utf-8")
    return message


def thread_of(sending: Sending) -> str:
    """A name for all that is told about one step of one run."""
    notice = sending.notice
    path = re.sub(r"[^A-Za-z0-9]+", "-", notice.path).strip("-")
    return f"run-{notice.run_id}-{path}"[:200]


_ADDRESS: Final = re.compile(r"[^\s\x00-\x20\x7f<>()\[\]\\,;:\"@]+@[^\s\x00-\x20\x7f<>()\[\]\\,;:\"@]+")


def checked_address(text: str) -> str:
    """One bare mail address; raises SendFailed for anything that could be more than one, or a header."""
    address = text.strip(" ")
    if len(address) > ADDRESS_CHARS_MAX or not _ADDRESS.fullmatch(address):
        raise SendFailed(f"{text[:ADDRESS_CHARS_MAX]!r} is not one mail address", is_final=True)
    return address


def _refused(refused: dict[str, tuple[int, bytes]]) -> str:
    return "not taken for " + "; ".join(
        f"{address}: {code} {_said(reply)}" for address, (code, reply) in refused.items()
    )


def _explained(error: Exception, server: MailServer) -> SendFailed:
    where = f"{server.host}:{server.port}"
    match error:
        case smtplib.SMTPRecipientsRefused():
            codes = [code for code, _ in error.recipients.values()]
            return SendFailed(_refused(error.recipients), is_final=min(codes, default=0) >= _PERMANENT)
        case smtplib.SMTPNotSupportedError():
            return SendFailed(f"{where} cannot do what is needed: {error}", is_final=True, help=_HELP)
        case smtplib.SMTPResponseException():
            wrong_password = isinstance(error, smtplib.SMTPAuthenticationError)
            what = "does not accept the password" if wrong_password else "answered"
            said = f"{where} {what}: {error.smtp_code} {_said(error.smtp_error)}"
            return SendFailed(said, is_final=not wrong_password and error.smtp_code >= _PERMANENT)
        case ssl.SSLError():
            said = f"no encrypted connection to {where}: {error.reason or error}"
        case OSError() if not isinstance(error, smtplib.SMTPException):
            said = f"{where} was not reached: {error.strerror or error}"
        case _:
            said = f"{where} did not take the mail: {error}"
    return SendFailed(said)


_HELP: Final = "where the server cannot encrypt, and only there, add ?tls=none to the channel's url"


def _said(reply: bytes | str) -> str:
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)
    return " ".join(text.split())[:REPLY_CHARS_SHOWN]
