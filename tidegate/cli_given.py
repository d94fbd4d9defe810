"""What the options of `simulate` and `tune` come to, and what is supposed without them.

Pure: texts in, a Demand and Assumptions out. Every error names its option.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

from config.units import parse_duration, parse_ratio, parse_size
from simulation.assumptions import USUAL, Assumptions, Cores, Slowdown, unhurried
from simulation.demand import USUAL_WORK, Demand
from simulation.distributions import distribution
from simulation.known import NOTHING, Known
from simulation.report import Prices
from simulation.slowdown import slowdown
from tidegate.cli_given_options import Given
from tidegate.cli_words import span

T = TypeVar("T")


class WrongOption(ValueError):
    """The text names the option and what to write instead."""


def demand(given: Given, service: str) -> Demand:
    """`service` gets the requests for which nothing names one. Raises WrongOption."""
    if not given.sources():
        raise WrongOption('there is no traffic: name a trace, or --shape "steady(rate=5)"')
    begin = _read("--from", given.begin, _moment) or 0.0
    end = _read("--to", given.end, _moment)
    if end is not None and end <= begin:
        raise WrongOption(f"--to must be later than --from, got {given.end}")
    duration = _read("--duration", given.duration, parse_duration) or 0.0
    if duration <= 0:
        raise WrongOption(f"--duration must be more than 0, got {given.duration}")
    return Demand(
        tuple(given.traces or ()),
        tuple(given.shapes or ()),
        duration,
        service,
        _read("--service-time", given.service_time, distribution),
        given.evenly,
        given.memory is None,
        begin,
        float("inf") if end is None else end,
        seed=given.seed,
    )


def assumptions(given: Given, known: Known = NOTHING) -> Assumptions:
    """What is given, else what a recording tells, else what is usual. Raises WrongOption."""
    start = _read("--start-time", given.start_time, distribution)
    start_fails = _read("--start-failures", given.start_failures, _share)
    answer_fails = _read("--answer-failures", given.answer_failures, _share)
    memory = _read("--memory", given.memory, parse_size)
    return Assumptions(
        start=start or known.start or USUAL.start,
        stop=USUAL.stop,
        slowdown=_slowdown(given, known),
        start_fails=_first(start_fails, known.start_fails, 0.0),
        answer_fails=_first(answer_fails, known.answer_fails, 0.0),
        crash=_read("--crash", given.crash, distribution),
        memory=USUAL.memory if memory is None else memory,
    )


def prices_of(given: Given) -> Prices:
    return Prices(given.price_replica_hour, given.price_gib_hour)


def begins(given: Given) -> float | None:
    """What the wall clock shows at first, in seconds since 1970. Raises WrongOption."""
    return _read("--clock", given.clock, lambda text: datetime.fromisoformat(text).timestamp())


def supposed(
    given: Given, drawn: int, requests: int, known: Known = NOTHING
) -> Iterator[tuple[str, str]]:
    """What is measured and what is supposed, in words. `drawn`: of so many requests it was not
    known how long they take."""
    yield "service time", _service_time(given, drawn, requests)
    yield "start time", _start_time(given, known)
    yield "slowdown", _slowdown_in_words(given, known)
    yield "failing starts", _share_in_words(given.start_failures, known.start_fails)
    yield "failing answers", _share_in_words(given.answer_failures, known.answer_fails)
    yield "crash after", f"{given.crash} (given)" if given.crash else "none (supposed)"


def _service_time(given: Given, drawn: int, requests: int) -> str:
    if given.service_time is not None:
        return f"{given.service_time} (given)"
    usual = f"{span(USUAL_WORK.mean)} (supposed)"
    if not drawn:
        return "measured in the trace"
    return usual if drawn >= requests else f"measured in the trace, where it is not known {usual}"


def _start_time(given: Given, known: Known) -> str:
    if given.start_time is not None:
        return f"{given.start_time} (given)"
    if known.start:
        return f"{span(known.start.mean)} on average (measured in the recording)"
    return f"{span(USUAL.start.mean)} (supposed)"


def _share_in_words(text: str | None, measured: float | None) -> str:
    if text is not None:
        return f"{text} (given)"
    return "none (supposed)" if measured is None else f"{measured:.2%} (measured in the recording)"


def _slowdown_in_words(given: Given, known: Known) -> str:
    if given.cores is not None:
        return f"requests share a replica's cores, {given.cores:g} of them (given)"
    if given.slowdown is not None:
        return f"{given.slowdown} (given)"
    if known.slowdown:
        return "by requests at once (measured in the recording)"
    return "requests do not slow each other down (supposed)"


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _slowdown(given: Given, known: Known) -> Slowdown:
    if given.cores is not None and given.slowdown is not None:
        raise WrongOption("--cores and --slowdown are two ways to say the same: use one")
    if given.cores is not None:
        if not 0 < given.cores < float("inf"):
            raise WrongOption(f"--cores must be more than 0, got {given.cores:g}")
        return Cores(given.cores)
    table = _read("--slowdown", given.slowdown, slowdown)
    return table or known.slowdown or unhurried


def _moment(text: str) -> float:
    return parse_duration(0 if text == "0" else text)


def _share(text: str) -> float:
    share = parse_ratio(text)
    if share > 1:
        raise ValueError(f"must be at most 100%, got {text}")
    return share


def _read(option: str, text: str | None, parse: Callable[[str], T]) -> T | None:
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise WrongOption(f"{option}: {error}") from None
