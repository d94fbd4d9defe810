"""Certificates and their keys, opened and checked as the gateway will use them.

Both are files in PEM form. Whatever is wrong with them is said with the key of the configuration
that names the file and with what to do about it.
"""

import re
import ssl
from pathlib import Path
from typing import Literal

from config import x509

_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL | re.ASCII
)
_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
_ENCRYPTED = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: *4,ENCRYPTED", re.M)

# The last is what a key of another kind (RSA, EC) comes to.
_MISMATCH = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


class BadCertificate(Exception):
    """`which` of the two files is to blame; the text says what to do."""

    def __init__(self, which: Literal["cert", "key"], message: str) -> None:
        super().__init__(message)
        self.which: Literal["cert", "key"] = which


def context_of(cert: str, key: str) -> ssl.SSLContext:
    """What a server shows with this certificate. TLS 1.2 and newer, HTTP/1.1 alone.

    Blocks for the few milliseconds that reading takes. Raises BadCertificate.
    """
    _read_chain(cert)
    _check_key(key)
    context = server_context()
    try:
        context.load_cert_chain(cert, key, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason in _MISMATCH:
            message = f"the key in {key} does not belong to the certificate in {cert}"
            raise BadCertificate("key", f"{message}: name the one it was made with") from None
        reason = (error.reason or "unknown").replace("_", " ").lower()
        message = f"{cert} cannot be used with {key} ({reason}): have it issued anew"
        raise BadCertificate("cert", message) from None
    except OSError as error:
        raise BadCertificate("cert", f"{cert} cannot be read: {error.strerror}") from None
    return context


def server_context(kind: type[ssl.SSLContext] = ssl.SSLContext) -> ssl.SSLContext:
    """Without a certificate yet."""
    context = kind(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 7301 §3.2 would end the handshake of a client that offers other protocols alone. Python's
    # ssl cannot: it goes on without one, and what that client sends is refused as no HTTP/1.1.
    context.set_alpn_protocols(["http/1.1"])
    # A client could otherwise have us do the work of handshakes again and again.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context


def names_of(cert: str) -> tuple[str, ...]:
    """The host names that a certificate is for (RFC 9525 §2). Raises BadCertificate."""
    return x509.dns_names(ssl.PEM_cert_to_DER_cert(_read_chain(cert)))


def expiry_of(cert: str) -> float | None:
    """Until when the server's own certificate is valid, in seconds since 1970, as far as it tells.

    Raises BadCertificate.
    """
    return x509.not_after(ssl.PEM_cert_to_DER_cert(_read_chain(cert)))


def _read_chain(cert: str) -> str:
    """The first certificate in the file: the server's own."""
    found = _CERTIFICATE.search(_text(cert, "cert"))
    if found is None:
        message = f"{cert} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
        raise BadCertificate("cert", f"{message}: convert it with openssl x509")
    return found[0]


def _check_key(key: str) -> None:
    text = _text(key, "key")
    if _ENCRYPTED.search(text):
        message = f"{key} is encrypted, and there is nobody to ask for its password"
        raise BadCertificate("key", f"{message}: decrypt it with openssl pkey")
    if not _PRIVATE_KEY.search(text):
        message = f"{key} holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)"
        raise BadCertificate("key", f"{message}: convert it with openssl pkey")


def _text(file: str, which: Literal["cert", "key"]) -> str:
    try:
        return Path(file).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise BadCertificate(which, f"{file} cannot be read: {error.strerror}") from None
