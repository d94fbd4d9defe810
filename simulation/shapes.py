"""Generated traffic: the shapes that a rate of requests can take.

Pure. A shape is written as `spike(base=5, peak=200, at=10m, for=1m)`; instead of a rate, the gaps
between requests may be given by a distribution, `lognormal(mean=1.25s, sd=3.66s)`, which is how
bursts are made. Rates are requests a second, or of a minute or an hour where written `30/m`, `2/h`.
"""

import math
from collections.abc import Callable, Iterator
from itertools import count, takewhile

from config.wording import either
from simulation import pacing
from simulation.distributions import KINDS as GAPS
from simulation.distributions import Distribution, distribution_of
from simulation.notation import FASTEST, Call, parse
from simulation.pacing import Piece
from simulation.traffic import Arrival, Dice, Traffic

Pieces = Callable[[float], Iterator[Piece]]
"""The rate's straight pieces from the start to so many seconds."""

_BRIEFEST = 1.0  # seconds of what repeats itself: the cost is by the piece, not by the request
_CHORDS = 288  # straight pieces per diurnal period: five minutes of a day, wrong by < 0.01 %


def generated(
    text: str,
    seconds: float,
    work: Distribution,
    dice: Dice,
    name: str = "web",
    spaced_evenly: bool = False,
) -> Traffic:
    """Traffic for one service. Raises ValueError that names the text and what to write instead."""
    call = parse(text)
    moments = _moments(call, seconds, dice, spaced_evenly)

    def arrivals() -> Iterator[Arrival]:
        draw, rng = work.draw, dice()
        rng.seed(rng.getrandbits(64))  # the draws of work leave those of arrival alone
        return ((at, draw(rng), 0) for at in moments())

    return Traffic((name,), seconds, arrivals)


def _moments(
    call: Call, seconds: float, dice: Dice, spaced_evenly: bool
) -> Callable[[], Iterator[float]]:
    if call.name in _SHAPES:
        pieces = _SHAPES[call.name](call)
        if spaced_evenly:
            return lambda: pacing.evenly(pieces(seconds))
        return lambda: pacing.poisson(pieces(seconds), dice())
    if not call.name or f"{call.name}(…)" not in GAPS:
        raise call.wrong(f"must be {either((*KINDS, *GAPS))}")
    between = distribution_of(call)
    if between.mean * FASTEST < 1:
        raise call.wrong(f"the mean gap must be at least {1 / FASTEST:f}s: traffic would not end")
    return lambda: pacing.renewals(between, seconds, dice())


def rate_of(text: str, seconds: float) -> Iterator[Piece]:
    """The rate over time, for whoever draws it. Raises ValueError, also for gaps."""
    call = parse(text)
    if call.name not in _SHAPES:
        raise call.wrong(f"must be {either(KINDS)}")
    return _SHAPES[call.name](call)(seconds)


def _steady(call: Call) -> Pieces:
    call.expect(("rate",))
    rate = call.rate("rate")
    return lambda seconds: _clipped(iter([Piece(0, seconds, rate, rate)]), seconds)


def _spike(call: Call) -> Pieces:
    call.expect(("base", "peak", "at", "for"))
    base, peak = call.rate("base"), call.rate("peak")
    at = call.duration("at", least=0)
    end = at + call.duration("for")
    row = [Piece(0, at, base, base), Piece(at, end, peak, peak), Piece(end, math.inf, base, base)]
    return lambda seconds: _clipped(iter(row), seconds)


def _ramp(call: Call) -> Pieces:
    call.expect(("from", "to", "over"), ("at",))
    low, high = call.rate("from"), call.rate("to")
    at = call.duration("at", default=0.0, least=0)
    end = at + call.duration("over")
    row = [Piece(0, at, low, low), Piece(at, end, low, high), Piece(end, math.inf, high, high)]
    return lambda seconds: _clipped(iter(row), seconds)


def _diurnal(call: Call) -> Pieces:
    call.expect(("low", "high", "period"), ("peak",))
    low, high = call.rate("low"), call.rate("high")
    period = call.duration("period", least=_BRIEFEST)
    peak = call.duration("peak", default=period / 2, least=0)
    chord = period / _CHORDS

    def rate(at: float) -> float:
        return low + (high - low) * (1 + math.cos(2 * math.pi * (at - peak) / period)) / 2

    def piece(number: int) -> Piece:
        start, end = number * chord, (number + 1) * chord
        return Piece(start, end, rate(start), rate(end))

    return lambda seconds: _clipped(map(piece, count()), seconds)


def _onoff(call: Call) -> Pieces:
    call.expect(("rate", "on", "off"))
    rate = call.rate("rate")
    on, off = call.duration("on", least=_BRIEFEST), call.duration("off", least=_BRIEFEST)

    def row() -> Iterator[Piece]:
        for number in count():
            start = number * (on + off)
            yield Piece(start, start + on, rate, rate)
            yield Piece(start + on, start + on + off, 0, 0)

    return lambda seconds: _clipped(row(), seconds)


def _sawtooth(call: Call) -> Pieces:
    call.expect(("low", "high", "period"))
    low, high = call.rate("low"), call.rate("high")
    period = call.duration("period", least=_BRIEFEST)

    def piece(number: int) -> Piece:
        return Piece(number * period, (number + 1) * period, low, high)

    return lambda seconds: _clipped(map(piece, count()), seconds)


def _clipped(row: Iterator[Piece], seconds: float) -> Iterator[Piece]:
    """Without the pieces of no length, and not beyond the end."""
    for piece in takewhile(lambda piece: piece.start < seconds, row):
        end = min(piece.end, seconds)
        if piece.start < end:
            yield Piece(piece.start, end, piece.first, _at(piece, end))


def _at(piece: Piece, moment: float) -> float:
    if piece.first == piece.last:
        return piece.first
    part = (moment - piece.start) / (piece.end - piece.start)
    return piece.first + (piece.last - piece.first) * part


_SHAPES: dict[str, Callable[[Call], Pieces]] = {
    "steady": _steady,
    "spike": _spike,
    "ramp": _ramp,
    "diurnal": _diurnal,
    "onoff": _onoff,
    "sawtooth": _sawtooth,
}
KINDS = tuple(f"{name}(…)" for name in _SHAPES)
