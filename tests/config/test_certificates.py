"""Certificates and keys: what is accepted, and what is said of the others."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import loader, x509
from config.certificates import BadCertificate, context_of, expiry_of, names_of
from config.changes import diff
from config.errors import ConfigError
from config.settings import Settings
from tests.config.parsing import ENVIRON
from tests.support.certificates import Issued, issue, openssl


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issue(tmp_path_factory.mktemp("issued"), "a", "A.test", "*.a.test", "xn--bcher-kva.test")


def settings(
    folder: Path, *, listen: str = ":8443", cert: object = "a.pem", redirect: str = "[]"
) -> Settings:
    text = f"""
gateway:
  tls:
    - listen: "{listen}"
      certificates:
        - cert: {cert}
          key: a.key
      redirect: {redirect}
services: {{web: {{command: app}}}}
"""
    return loader.parse(text, folder / "tidegate.yaml", ENVIRON)


def test_the_example_of_the_contract_is_accepted(issued: Issued) -> None:
    """Paths start at the file's folder."""
    (listener,) = settings(issued.cert.parent).gateway.tls
    assert listener.listen == "0.0.0.0:8443"
    assert listener.certificates == (issued.asked,)
    assert listener.redirect == ()


@pytest.mark.parametrize("written", ['":80"', '[":80"]'])
def test_one_address_that_redirects_may_stand_for_a_list(written: str, issued: Issued) -> None:
    (listener,) = settings(issued.cert.parent, redirect=written).gateway.tls
    assert listener.redirect == ("0.0.0.0:80",)


def test_the_names_are_those_of_the_certificate(issued: Issued) -> None:
    assert names_of(str(issued.cert)) == ("a.test", "*.a.test", "xn--bcher-kva.test")


@pytest.mark.parametrize("days", [1, 90, 20000, 2_000_000])
def test_the_end_is_that_of_the_certificate(days: int, tmp_path: Path) -> None:
    """RFC 5280 §4.1.2.5: written in two ways, before and after 2050."""
    one = issue(tmp_path, "a", "a.test", days=days)
    shown = openssl("x509", "-in", one.cert, "-noout", "-enddate").strip()
    expiry = expiry_of(str(one.cert))
    assert expiry is not None
    end = datetime.fromtimestamp(expiry, UTC)
    assert datetime.strptime(shown, "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC) == end
    assert abs(end - datetime.now(UTC) - timedelta(days)) < timedelta(minutes=10)


def test_years_of_two_digits_are_from_1950_on() -> None:
    """RFC 5280 §4.1.2.5.1."""

    def certificate(end: bytes) -> bytes:
        validity = b"\x30\x1e\x17\x0d490101000000Z\x17\x0d" + end
        return b"\x30\x26\x30\x24\x30\x00\x30\x00" + validity

    assert x509.not_after(certificate(b"700101000001Z")) == 1.0
    assert x509.not_after(certificate(b"491231235959Z")) == 2524607999.0
    assert x509.not_after(certificate(b"491231235960Z")) is None


def test_old_versions_of_tls_and_what_is_costly_are_off(issued: Issued) -> None:
    context = context_of(str(issued.cert), str(issued.key))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION


def _other_key(folder: Path) -> None:
    issue(folder, "other", "other.test").key.replace(folder / "a.key")


def _other_kind_of_key(folder: Path) -> None:
    openssl("genrsa", "-out", folder / "a.key", "2048")


def _encrypted(*kind: str) -> Callable[[Path], None]:
    def encrypt(folder: Path) -> None:
        plain = (folder / "a.key").rename(folder / "plain.key")
        openssl(*kind, "-in", plain, "-aes256", "-passout", "pass:x", "-out", folder / "a.key")

    return encrypt


def _der(folder: Path) -> None:
    openssl("x509", "-in", folder / "a.pem", "-outform", "der", "-out", folder / "a.pem.der")
    (folder / "a.pem.der").replace(folder / "a.pem")


def _der_key(folder: Path) -> None:
    openssl("pkey", "-in", folder / "a.key", "-outform", "der", "-out", folder / "a.key.der")
    (folder / "a.key.der").replace(folder / "a.key")


def _swapped(folder: Path) -> None:
    cert = (folder / "a.pem").read_bytes()
    (folder / "a.key").replace(folder / "a.pem")
    (folder / "a.key").write_bytes(cert)


def _broken(folder: Path) -> None:
    text = (folder / "a.pem").read_text()
    (folder / "a.pem").write_text(text[:200] + "!" * 20 + text[220:])


@pytest.mark.parametrize(
    ("spoil", "line", "key", "said"),
    [
        (_other_key, 7, "key", "does not belong to the certificate in FOLDER/a.pem"),
        (_other_kind_of_key, 7, "key", "does not belong to the certificate in FOLDER/a.pem"),
        (_encrypted("pkey"), 7, "key", "FOLDER/a.key is encrypted"),
        (_encrypted("ec"), 7, "key", "decrypt it with openssl pkey"),
        (_der, 6, "cert", "FOLDER/a.pem holds no certificate in PEM form"),
        (_der_key, 7, "key", "FOLDER/a.key holds no private key in PEM form"),
        (_swapped, 6, "cert", "FOLDER/a.pem holds no certificate in PEM form"),
        (_broken, 6, "cert", "FOLDER/a.pem cannot be used with FOLDER/a.key"),
        (lambda folder: (folder / "a.pem").unlink(), 6, "cert", "there is no file FOLDER/a.pem"),
        (lambda folder: (folder / "a.key").unlink(), 7, "key", "there is no file FOLDER/a.key"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_line(
    spoil: Callable[[Path], object], line: int, key: str, said: str, tmp_path: Path
) -> None:
    issue(tmp_path, "a", "a.test")
    spoil(tmp_path)
    with pytest.raises(ConfigError) as refused:
        settings(tmp_path)
    (problem,) = refused.value.problems
    assert (problem.line, problem.path) == (line, f"gateway.tls[0].certificates[0].{key}")
    assert said.replace("FOLDER", str(tmp_path)) in problem.message


def test_a_certificate_that_is_gone_when_it_is_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadCertificate, match="cannot be read: No such file") as bad:
        context_of(str(tmp_path / "a.pem"), str(tmp_path / "a.key"))
    assert bad.value.which == "cert"


def test_other_certificates_are_taken_over_and_other_sockets_are_not(tmp_path: Path) -> None:
    (tmp_path / "b.pem").write_bytes(issue(tmp_path, "a", "a.test").cert.read_bytes())
    before = settings(tmp_path)
    assert not diff(before, settings(tmp_path, cert=tmp_path / "a.pem"))
    other = diff(before, settings(tmp_path, cert="b.pem"))
    assert (other.live, other.restart_needed) == (
        ("gateway.tls[0].certificates[0].cert",),
        (),
    )
    moved = diff(before, settings(tmp_path, listen=":9443"))
    assert (moved.live, moved.restart_needed) == ((), ("gateway.tls[0].listen",))
    redirected = diff(before, settings(tmp_path, redirect='":80"'))
    assert (redirected.live, redirected.restart_needed) == ((), ("gateway.tls[0].redirect",))


@given(st.binary(max_size=200))
def test_any_bytes_are_no_certificate_and_no_error(data: bytes) -> None:
    assert x509.dns_names(data) == ()
    assert x509.not_after(data) is None


@given(data=st.data())
def test_a_certificate_that_is_cut_or_bent_is_no_error(issued: Issued, data: st.DataObject) -> None:
    der = bytearray(ssl.PEM_cert_to_DER_cert(issued.cert.read_text()))
    der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    bent = bytes(der[: data.draw(st.integers(0, len(der)))])
    x509.dns_names(bent)
    x509.not_after(bent)
