"""What a comparison with other proxies counts, and that its files can be filled in."""

import itertools
import random
import re
import select
import socket
import threading
import time
from collections import deque
from pathlib import Path

import pytest

from loadtests.peers.browser import HEADERS
from loadtests.peers.ground import CONFIGS, Ground
from loadtests.peers.held import Grown
from loadtests.peers.measure import Reading
from loadtests.peers.paced import CONNECTIONS, LAST_BYTES, Pace, moments
from loadtests.peers.table import ratios

STALL = 0.3
LATE = 1.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(LAST_BYTES), LAST_BYTES)


def reading(rate: float, cpu: float) -> Reading:
    return Reading(rate=rate, p50=1, p99=2, cpu=cpu, rss=10, pss=10, failed=0)


def test_a_ratio_compares_within_a_round_so_that_a_slower_machine_cancels_out() -> None:
    ours = [reading(50, 30), reading(5, 300), reading(500, 3)]
    theirs = [reading(100, 10), reading(10, 100), reading(1000, 1)]
    assert ratios(ours, theirs) == {"rate": 0.5, "p50": 1, "p99": 1, "cpu": 3, "rss": 1}


def test_held_memory_is_told_for_each_connection() -> None:
    assert Grown(connections=10, before=100, most=150).each == 5


def test_arrivals_come_at_the_rate_asked_for_but_not_evenly() -> None:
    due = [*moments(1000, 10, random.Random(1))]
    gaps = [b - a for a, b in itertools.pairwise(due)]
    assert len(due) == pytest.approx(10_000, rel=0.05)
    assert max(gaps) > 3 / 1000 > min(gaps)


@pytest.mark.parametrize("template", sorted(file.name for file in CONFIGS.iterdir()))
def test_no_name_stays_open_in_a_filled_file(template: str, tmp_path: Path) -> None:
    made = Ground(tmp_path, 1, tmp_path / "c", tmp_path / "k", tmp_path / "b")
    text = made.fill(template, PORT=2, TLS=3, ADMIN=4, FILES=tmp_path).read_text()
    assert re.findall(r"@[A-Z]+@", text) == []


def test_a_browser_sends_thirty_fields_with_host() -> None:
    assert len(HEADERS) + 1 == 30


def test_a_stall_counts_for_all_requests_that_were_due_meanwhile() -> None:
    """Coordinated omission: a closed loop would have counted from when it came to send them."""
    with socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS) as server:
        thread = threading.Thread(target=_stalls_then_answers, args=(server,))
        thread.start()
        pace = Pace(server.getsockname()[1])
        now = time.perf_counter()
        pace.run(deque(now - LATE + 0.01 * number for number in range(10)))
        pace.close()
        thread.join()
    assert pace.failed == 0
    assert len(pace.waited) == 10
    assert min(pace.waited) > LATE + STALL - 0.15


def _stalls_then_answers(server: socket.socket) -> None:
    clients = [server.accept()[0] for _ in range(CONNECTIONS)]
    select.select(clients, [], [])  # the first request is there
    time.sleep(STALL)
    for client in clients:
        with client:
            if client.recv(4096):
                client.sendall(ANSWER)
