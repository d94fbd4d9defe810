"""What may be sent again, and how often."""

import pytest

from gateway.retry import Budget, is_safe


@pytest.mark.rule("RFC 9110 §9.2.2: safe retries", side="replica")
@pytest.mark.rule("RFC 9110 §9.2.2: a body is sent once", side="replica")
@pytest.mark.parametrize(
    ("method", "sent", "body_sent", "safe"),
    [
        (b"GET", True, False, True),
        (b"DELETE", True, False, True),
        (b"PUT", True, True, False),
        (b"POST", True, False, False),
        (b"POST", False, False, True),
        (b"PATCH", True, False, False),
        (b"get", True, False, False),
    ],
)
def test_only_what_cannot_act_twice_is_safe_rfc9110_9_2_2(
    method: bytes, sent: bool, body_sent: bool, safe: bool
) -> None:
    assert is_safe(method, sent=sent, body_sent=body_sent) is safe


def spent(budget: Budget, share: float, requests: int, now: float) -> int:
    count = 0
    while budget.withdraw(share, requests, now):
        count += 1
    return count


@pytest.mark.rule("Tidegate: retry budget", side="replica")
def test_a_share_of_the_requests_may_be_retried() -> None:
    budget = Budget(0.0)
    assert spent(budget, 0.2, 0, 0.0) == 10  # the floor
    assert spent(budget, 0.2, 100, 0.0) == 20
    assert spent(budget, 0.2, 101, 0.0) == 0


def test_time_refills_a_small_floor_only() -> None:
    budget = Budget(0.0)
    spent(budget, 0.2, 0, 0.0)
    assert spent(budget, 0.2, 0, 1.0) == 3
    assert spent(budget, 0.2, 0, 1000.0) == 10


def test_what_was_earned_is_bounded() -> None:
    assert spent(Budget(0.0), 0.2, 10**6, 0.0) == 110


def test_a_share_of_nothing_is_nothing() -> None:
    assert spent(Budget(0.0), 0.0, 1000, 0.0) == 0
