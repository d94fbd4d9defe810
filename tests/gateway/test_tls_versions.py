"""What of TLS is spoken, seen from the client's side: versions, ciphers, ALPN, names."""

import asyncio
import socket
import ssl

import pytest

from tests.support.certificates import Issued, issue
from tests.support.raw_http import PATIENCE, Client, Stage, get, say_hello, stage
from tests.support.tls_clients import client_of, port_of, secure, trusting

# Ours are ECDSA certificates: without it, no cipher of TLS 1.2 would fit.
STRONG, NO_FORWARD_SECRECY, SHA1 = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
)


@pytest.fixture(scope="module")
def a(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issue(tmp_path_factory.mktemp("certificates"), "a", "a.test")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issue(tmp_path_factory.mktemp("certificates"), "both", "a.test", "b.test")


def limited(a: Issued, version: ssl.TLSVersion, ciphers: str = "ALL") -> ssl.SSLContext:
    """A client that speaks this version alone, and what by today is weak as well."""
    context = trusting(a)
    context.set_ciphers(f"{ciphers}@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


def refusal(s: Stage, context: ssl.SSLContext) -> str | None:
    """The alert that ends the handshake, if any (RFC 8446 §6.2)."""
    plain = socket.create_connection(("127.0.0.1", port_of(s)), timeout=PATIENCE)
    with plain:
        try:
            context.wrap_socket(plain, server_hostname="a.test").close()
        except ssl.SSLError as error:
            return error.reason
    return None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "alert"),
    [
        (ssl.TLSVersion.TLSv1, "TLSV1_ALERT_PROTOCOL_VERSION"),
        (ssl.TLSVersion.TLSv1_1, "TLSV1_ALERT_PROTOCOL_VERSION"),
        (ssl.TLSVersion.TLSv1_2, None),
        (ssl.TLSVersion.TLSv1_3, None),
    ],
)
async def test_tls_1_2_is_the_oldest_that_is_spoken(
    version: ssl.TLSVersion, alert: str | None, a: Issued
) -> None:
    """RFC 8996. The alert shows that it was our word, not the client's."""
    async with stage(say_hello, tls=secure(a)) as s:
        assert await asyncio.to_thread(refusal, s, limited(a, version)) == alert


@pytest.mark.parametrize(
    ("ciphers", "alert"),
    [
        (STRONG, None),
        (SHA1, "SSLV3_ALERT_HANDSHAKE_FAILURE"),
        (NO_FORWARD_SECRECY, "SSLV3_ALERT_HANDSHAKE_FAILURE"),
    ],
)
async def test_tls_1_2_is_spoken_with_forward_secrecy_and_aead_alone(
    ciphers: str, alert: str | None, a: Issued
) -> None:
    """RFC 9325 §4.2."""
    context = limited(a, ssl.TLSVersion.TLSv1_2, ciphers)
    async with stage(say_hello, tls=secure(a)) as s:
        assert await asyncio.to_thread(refusal, s, context) == alert


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), ([], None), (["h2"], None)],
)
async def test_http_1_1_is_all_that_alpn_agrees_on(
    offered: list[str], agreed: str | None, a: Issued
) -> None:
    """RFC 7301."""
    context = trusting(a)
    if offered:
        context.set_alpn_protocols(offered)
    async with stage(say_hello, tls=secure(a)) as s, client_of(s, context) as client:
        assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == agreed
        assert (await client.ask(get())).status == 200


async def test_http_2_without_consent_is_a_malformed_request(a: Issued) -> None:
    """RFC 9113 §3.4: what such a client sends first was made to fail with HTTP/1.1."""
    context = trusting(a)
    context.set_alpn_protocols(["h2"])
    async with stage(say_hello, tls=secure(a)) as s, client_of(s, context) as client:
        told = await client.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        assert (told.status, told.value("Connection")) == (400, "close")
        assert b"bad-version" in told.body
        assert s.replicas[0].heads == []


@pytest.mark.parametrize("asked", ["a.test", "b.test", "c.test"])
async def test_a_request_may_be_for_another_name_than_the_handshake(
    asked: str, both: Issued
) -> None:
    """RFC 9110 §15.5.20 leaves 421 to whoever cannot answer with authority; here, whoever is
    routed can. No name is guarded by a certificate that another one would not ask for."""
    async with (
        stage(say_hello, tls=secure(both)) as s,
        client_of(s, trusting(both), "a.test") as client,
    ):
        answer = await client.ask(get(host=asked))
        assert (answer.status, answer.body) == (200, b"hello")
        assert f"\r\nHost: {asked}\r\n".encode() in s.replicas[0].heads[0]


async def test_a_request_without_sni_is_served(a: Issued) -> None:
    """RFC 6066 §3: many that watch over a service know but its address."""
    context = trusting(a)
    context.check_hostname = False
    async with stage(say_hello, tls=secure(a)) as s, client_of(s, context, None) as client:
        assert isinstance(client, Client)
        assert (await client.ask(get())).status == 200
