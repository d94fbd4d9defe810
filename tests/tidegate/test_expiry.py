"""Certificates that end are told of in time, in the log and as a metric."""

import logging
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from cluster.events import Events
from config.certificates import expiry_of
from config.settings import Gateway, TlsListener
from tests.support.certificates import Issued, issue
from tidegate.expiry import DAY, EARLY, Expiry, warning
from tidegate.metrics import TidegateMetrics

NOON = 1_700_000_000.0  # 2023-11-14 22:13 UTC


class Watched:
    """An Expiry whose clock is set by the test."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events = Events(lambda: self.now)
        self.registry = CollectorRegistry()
        metrics = TidegateMetrics(self.registry)
        self.expiry = Expiry(self.events, metrics, lambda: self.now)

    def told(self) -> list[str]:
        """Since the last time."""
        told = self.events.since(self._last)
        self._last = told[-1].id if told else self._last
        assert {one.kind for one in told} <= {"certificate-expires"}
        return [one.message for one in told]

    _last = 0

    def metrics(self) -> dict[str, float]:
        """Expiry by certificate, as it is exposed."""
        name = "tidegate_certificate_expiry_timestamp_seconds{"
        lines = generate_latest(self.registry).decode().splitlines()
        found = [line.rpartition(" ") for line in lines if line.startswith(name)]
        return {key.split('"')[1]: float(value) for key, _, value in found}


def gateway(*certificates: Issued, listen: str = "127.0.0.1:0") -> Gateway:
    asked = tuple(one.asked for one in certificates)
    return Gateway(tls=(TlsListener(listen=listen, certificates=asked),))


def end_of(issued: Issued) -> float:
    expiry = expiry_of(str(issued.cert))
    assert expiry is not None
    return expiry


def test_the_metric_names_the_files_of_the_configuration(tmp_path: Path) -> None:
    a, b = issue(tmp_path, "a", "a.test"), issue(tmp_path, "b", "b.test", days=30)
    watched = Watched()
    watched.expiry.look(gateway(a, b))
    assert watched.metrics() == {str(a.cert): end_of(a), str(b.cert): end_of(b)}
    watched.expiry.look(gateway(b))
    assert watched.metrics() == {str(b.cert): end_of(b)}


def test_a_renewed_certificate_counts_from_the_reload_on(tmp_path: Path) -> None:
    """Until then clients are shown the old one."""
    a = issue(tmp_path, "a", "a.test")
    watched = Watched()
    watched.expiry.look(gateway(a))
    old = end_of(a)
    issue(tmp_path, "a", "a.test", days=90)
    assert watched.metrics() == {str(a.cert): old}
    watched.expiry.look(gateway(a))
    assert watched.metrics() == {str(a.cert): end_of(a)} != {str(a.cert): old}


def test_a_broken_file_keeps_its_former_end_as_the_gateway_keeps_the_certificate(
    tmp_path: Path,
) -> None:
    a = issue(tmp_path, "a", "a.test")
    watched = Watched()
    watched.expiry.look(gateway(a))
    former = watched.metrics()
    a.cert.write_text("nonsense")
    watched.expiry.look(gateway(a))
    assert watched.metrics() == former != {}


def test_certificates_of_a_listener_that_needs_a_restart_are_not_shown_yet(tmp_path: Path) -> None:
    a, b = issue(tmp_path, "a", "a.test"), issue(tmp_path, "b", "b.test")
    watched = Watched()
    watched.expiry.look(gateway(a))
    watched.expiry.look(gateway(b, listen="127.0.0.1:1"))
    assert list(watched.metrics()) == [str(a.cert)]


def test_it_is_told_from_two_weeks_before_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    a = issue(tmp_path, "a", "a.test", days=90)
    watched = Watched()
    watched.now = end_of(a) - EARLY
    watched.expiry.look(gateway(a))
    assert watched.told() == []
    watched.now += 1
    watched.expiry.warn()
    assert [one.partition(" (")[0] for one in watched.told()] == [f"{a.cert} expires in 13 days"]
    assert caplog.records[-1].levelno == logging.WARNING
    watched.now = end_of(a)
    watched.expiry.warn()
    (told,) = watched.told()
    assert "has expired" in told
    assert caplog.records[-1].levelno == logging.ERROR


def test_one_certificate_of_two_listeners_is_told_once(tmp_path: Path) -> None:
    a = issue(tmp_path, "a", "a.test")
    two = (*gateway(a).tls, *gateway(a, listen="127.0.0.1:1").tls)
    watched = Watched()
    watched.now = end_of(a) - 60
    watched.expiry.look(Gateway(tls=two))
    assert len(watched.told()) == 1


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (13.9 * DAY, "a.pem expires in 13 days (2023-11-14 22:13 UTC): renew it, then reload"),
        (DAY, "a.pem expires in 1 day (2023-11-14 22:13 UTC): renew it, then reload"),
        (DAY - 1, "a.pem expires in less than a day (2023-11-14 22:13 UTC): renew it, then reload"),
        (
            0,
            "a.pem has expired (2023-11-14 22:13 UTC) and clients refuse it: renew it, then reload",
        ),
    ],
)
def test_the_message_says_what_to_do(left: float, said: str) -> None:
    assert warning("a.pem", NOON, NOON - left) == said
