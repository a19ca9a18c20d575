"""E-mail, against real SMTP servers on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import email
import email.policy
import ipaddress
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from outbox_support import NOW, notice, sending

from towpath.errors import AuthorError
from towpath.people.channels.contract import SendFailed, Text
from towpath.people.channels.email import EmailChannel, MailServer, checked_address, letter, server_of

PASSWORD = "correct horse battery staple"


class Postbox:
    """Takes mail, or refuses it as it was told to."""

    def __init__(self, *, refuse: dict[str, str] | None = None, data_reply: str = "250 OK") -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[tuple[str | None, tuple[str, ...]]] = []
        self.users: list[str] = []
        self.refuse = refuse or {}
        self.data_reply = data_reply
        self.was_encrypted: list[bool] = []

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Takes or refuses a recipient."""
        del server, session, options
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Takes a mail."""
        del server
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(email.message_from_bytes(content, EmailMessage, policy=email.policy.default))
        self.envelopes.append((envelope.mail_from, tuple(envelope.rcpt_tos)))
        self.was_encrypted.append(session.ssl is not None)
        return self.data_reply

    def sign_in(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        """Knows one password."""
        del server, session, envelope, mechanism
        assert isinstance(data, LoginPassword)
        self.users.append(data.login.decode())
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@cache
def certificate() -> tuple[bytes, bytes]:
    """A key and a certificate for this machine, which nobody else has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def server_tls(tmp_path: Path) -> ssl.SSLContext:
    """What a server encrypts with."""
    key, cert = certificate()
    (tmp_path / "server.pem").write_bytes(key + cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    return context


def trusting() -> ssl.SSLContext:
    """What a client trusts that knows the server's certificate."""
    return ssl.create_default_context(cadata=certificate()[1].decode())


@asynccontextmanager
async def smtp(
    box: Postbox, *, implicit_tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[int]:
    """A real SMTP server; gives its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(box, hostname="localhost", loop=loop, authenticator=box.sign_in, **options),
        "127.0.0.1",
        0,
        ssl=implicit_tls,
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@contextmanager
def mailing(
    port: int, *, password: str | None = None, to: tuple[str, ...] = (), **server: Any
) -> Iterator[EmailChannel]:
    """A channel that hands mail in at a port of this machine."""
    values: dict[str, Any] = {"host": "localhost", "port": port, "encryption": "none"} | server
    channel = EmailChannel(
        MailServer(**values),
        sender="tow@example.com",
        to=to,
        password=None if password is None else lambda: password,
        tls=trusting,
    )
    try:
        yield channel
    finally:
        channel.close()


async def test_a_mail_arrives_as_it_was_written() -> None:
    """Plain text in UTF-8 to one person, with what a mail program needs to sort and recognise it."""
    box = Postbox()
    one = sending(notice(question="Größe ändern? 🚀 " + "lang " * 60))

    async with smtp(box) as port:
        with mailing(port) as channel:
            await channel.send(one)

    (mail,) = box.mails
    assert box.envelopes == [("tow@example.com", ("ada@example.com",))]
    assert mail["From"] == "Towpath <tow@example.com>"
    assert mail["To"] == "ada@example.com"
    assert mail["Subject"] == "Approval wanted: release_shop #12, go_live"
    assert mail["Message-ID"] == "<tow_0123456789abcdef@example.com>"
    assert mail["References"] == "<run-r1-go-live@example.com>"
    assert mail["Date"].datetime.timestamp() == NOW // 1_000_000
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().replace("\r\n", "\n") == one.text.plain


async def test_a_mail_that_is_sent_again_has_the_same_message_id() -> None:
    """Every attempt of a sending is the same mail to whoever receives it twice."""
    box = Postbox()

    async with smtp(box) as port:
        with mailing(port) as channel:
            await channel.send(sending(attempt=1))
            await channel.send(sending(attempt=2, at=NOW + 5_000_000))

    assert [mail.as_bytes() for mail in box.mails] == [box.mails[0].as_bytes()] * 2


@pytest.mark.parametrize(
    "text", ["a\r\nBcc: eve@example.com", "a\nb", "a\rb", "a\x00b", "ä" * 500, "=?utf-8?q?x?="]
)
async def test_a_subject_never_becomes_a_header(text: str) -> None:
    """Whatever a subject holds, the mail has the headers that it should have and one recipient, or is refused."""
    box = Postbox()
    one = sending(text=Text(subject=text, plain="x", markdown="x"))

    async with smtp(box) as port:
        with mailing(port) as channel:
            with contextlib.suppress(SendFailed):
                await channel.send(one)

    assert [mail["Bcc"] for mail in box.mails] == [None] * len(box.mails)
    assert [to for _, to in box.envelopes] == [("ada@example.com",)] * len(box.mails)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com, eve@example.com",
        "ada@example.com;eve@example.com",
        "Ada <ada@example.com>",
        "ada@example.com>",
        '"a b"@example.com',
        "a@b@c",
        "x" * 250 + "@example.com",
        "ada@exam\x00ple.com",
    ],
)
def test_what_is_not_one_address_is_refused(address: str) -> None:
    """An address is one bare address: no list, no name, no header."""
    with pytest.raises(SendFailed) as refused:
        letter(sending(), sender="tow@example.com", to=(address,))

    assert refused.value.is_final
    assert checked_address("ada+tow@mail.example.com") == "ada+tow@mail.example.com"


async def test_the_channels_own_addresses_are_used_for_nobody_in_particular() -> None:
    """Without a recipient's address the mail goes to those of the channel, and without any it fails for good."""
    box = Postbox()

    async with smtp(box) as port:
        with mailing(port, to=("ops@example.com", "dev@example.com")) as channel:
            await channel.send(sending(recipient="to:", address=""))
        with mailing(port) as channel, pytest.raises(SendFailed, match="no address") as failed:
            await channel.send(sending(recipient="to:", address=""))

    assert box.envelopes == [("tow@example.com", ("ops@example.com", "dev@example.com"))]
    assert failed.value.is_final


async def test_starttls_encrypts_before_the_password(server_tls: ssl.SSLContext) -> None:
    """With STARTTLS the connection is encrypted, the certificate checked, and only then the password sent."""
    box = Postbox()

    async with smtp(box, tls_context=server_tls, auth_required=True, auth_require_tls=True) as port:
        with mailing(port, password=PASSWORD, encryption="starttls", username="tow") as channel:
            await channel.send(sending())

    assert (box.was_encrypted, box.users) == ([True], ["tow"])


async def test_implicit_tls_encrypts_from_the_first_byte(server_tls: ssl.SSLContext) -> None:
    """`smtps` speaks TLS at once; without a user in the URL the sender signs in."""
    box = Postbox()

    async with smtp(box, implicit_tls=server_tls, auth_require_tls=False) as port:
        with mailing(port, password=PASSWORD, encryption="tls") as channel:
            await channel.send(sending())

    assert (len(box.mails), box.users) == (1, ["tow@example.com"])


async def test_a_server_that_nobody_vouches_for_gets_nothing(server_tls: ssl.SSLContext) -> None:
    """A certificate that is not trusted ends the attempt before any password."""
    box = Postbox()

    async with smtp(box, tls_context=server_tls) as port:
        channel = EmailChannel(
            MailServer(host="localhost", port=port, encryption="starttls"),
            sender="tow@example.com",
            password=lambda: PASSWORD,
        )
        with pytest.raises(SendFailed, match="no encrypted connection"):
            await channel.send(sending())
        channel.close()

    assert (box.mails, box.users) == ([], [])


async def test_a_server_without_starttls_gets_nothing() -> None:
    """Somebody in between who takes STARTTLS away takes the mail away, not the encryption."""
    box = Postbox()

    async with smtp(box) as port:
        with mailing(port, encryption="starttls") as channel, pytest.raises(SendFailed) as failed:
            await channel.send(sending())

    assert (box.mails, failed.value.is_final) == ([], True)
    assert "?tls=none" in failed.value.help


async def test_a_password_is_not_sent_in_the_clear() -> None:
    """Without encryption a password goes to this machine at most."""
    channel = EmailChannel(
        MailServer(host="mail.example.com", port=25, encryption="none"),
        sender="tow@example.com",
        password=lambda: PASSWORD,
    )

    class Open:
        """A connection that would take a password."""

        def login(self, user: str, password: str) -> None:
            """Must not be called."""
            raise AssertionError(user, password)

    with pytest.raises(SendFailed, match="without encryption") as failed:
        channel._sign_in(Open())  # type: ignore[arg-type]  # it only has to be able to sign in
    channel.close()

    assert failed.value.is_final


@pytest.mark.parametrize(
    ("box", "options", "is_final", "said"),
    [
        (Postbox(refuse={"ada@example.com": "550 no such user"}), {}, True, "550 no such user"),
        (Postbox(refuse={"ada@example.com": "451 greylisted"}), {}, False, "451 greylisted"),
        (Postbox(data_reply="554 looks like spam"), {}, True, "554 looks like spam"),
        (Postbox(data_reply="452 mailbox full"), {}, False, "452 mailbox full"),
        (Postbox(), {"password": "wrong"}, False, "does not accept the password: 535"),
    ],
)
async def test_what_a_server_answers_decides_what_is_next(
    box: Postbox, options: dict[str, Any], is_final: bool, said: str
) -> None:
    """What is refused for good is not tried again, what is refused for now is; the server's words are on record."""
    async with smtp(box, auth_require_tls=False) as port:
        with mailing(port, **options) as channel, pytest.raises(SendFailed) as failed:
            await channel.send(sending())

    assert (failed.value.is_final, said in failed.value.message) == (is_final, True)
    assert "wrong" not in failed.value.message


async def test_a_server_that_is_not_there_is_tried_again() -> None:
    """A connection that is refused is nobody's fault for long."""
    async with smtp(Postbox()) as port:
        pass
    with mailing(port) as channel, pytest.raises(SendFailed, match="was not reached") as failed:
        await channel.send(sending())

    assert not failed.value.is_final


async def test_one_of_several_who_is_refused_is_named() -> None:
    """A mail that reached only some is not taken for sent."""
    box = Postbox(refuse={"dev@example.com": "451 later"})

    async with smtp(box) as port:
        with (
            mailing(port, to=("ops@example.com", "dev@example.com")) as channel,
            pytest.raises(SendFailed, match=r"not taken for dev@example.com: 451 later"),
        ):
            await channel.send(sending(address=""))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, ("localhost", 25, "none", "")),
        ("smtp://localhost", ("localhost", 25, "none", "")),
        ("smtp://127.0.0.1:1025", ("127.0.0.1", 1025, "none", "")),
        ("smtp://localhost:25?tls=starttls", ("localhost", 25, "starttls", "")),
        ("smtp://mail.example.com", ("mail.example.com", 587, "starttls", "")),
        ("smtp://mail.example.com:25?tls=none", ("mail.example.com", 25, "none", "")),
        ("smtps://tow%40example.com@mail.example.com", ("mail.example.com", 465, "tls", "tow@example.com")),
    ],
)
def test_an_address_says_how_mail_is_handed_in(url: str | None, expected: tuple[str, int, str, str]) -> None:
    """Encrypted unless it is this machine, or unless somebody wrote otherwise."""
    server = server_of(url)

    assert (server.host, server.port, server.encryption, server.username) == expected


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://mail.example.com",
        "smtp://",
        "smtp://mail.example.com:99999",
        "smtp://mail.example.com/path",
        "smtp://tow:secret@mail.example.com",
        "smtp://mail.example.com?tls=maybe",
        "smtp://mail.example.com?verify=no",
    ],
)
def test_a_wrong_address_is_refused(url: str) -> None:
    """What is not a mail server's address, or holds a password, is told; the password is not repeated."""
    with pytest.raises(AuthorError) as refused:
        server_of(url)

    assert "secret@" not in refused.value.message
