"""A decision as it is kept: all that an operator may ask about it later, in few bytes.

Pure. Most of a record is words and numbers that every record has, so it is kept compressed, with
those words known beforehand; a typical one takes about 150 bytes instead of 800. It is unpacked
when somebody asks.
"""

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

import orjson

from autoscaler.decision import Decision, Limit, inputs_of
from autoscaler.result import Result, Stage, Way
from autoscaler.rules import Wish
from cluster.model import Mode

_WINDOW_BITS = -12  # 4 KiB, without a header: a record is smaller
_MEMORY = 5


@dataclass(frozen=True, slots=True)
class Record:
    """All times are wall-clock seconds. `until` is when another decision came, None: it is in force
    still. One that only confirms what is has the time of that in `since`."""

    at: float
    before: int
    replicas: int
    frozen: bool
    mode: Mode
    reason: str
    inputs: Mapping[str, float]
    wishes: tuple[Wish, ...] = ()
    limits: tuple[Limit, ...] = ()
    result: Result | None = None
    until: float | None = None
    since: float | None = None

    @classmethod
    def of(cls, decision: Decision, result: Result | None = None) -> Self:
        return cls(
            decision.at,
            decision.before,
            decision.replicas,
            decision.frozen,
            decision.mode,
            decision.reason,
            inputs_of(decision.inputs),
            decision.wishes,
            decision.limits,
            result,
        )

    def to_dict(self) -> dict[str, object]:
        """For programs: numbers, strings, lists and dicts only."""
        return {
            "at": self.at,
            "since": self.at if self.since is None else self.since,
            "until": self.until,
            "before": self.before,
            "replicas": self.replicas,
            "frozen": self.frozen,
            "mode": self.mode.value,
            "reason": self.reason,
            "inputs": dict(self.inputs),
            "wishes": [{**asdict(wish), "reason": wish.reason} for wish in self.wishes],
            "limits": [asdict(limit) for limit in self.limits],
            "result": self.result and self.result.to_dict(),
        }


def pack(record: Record) -> bytes:
    """Numbers are kept to six figures, times to a millisecond."""
    # By hand: dataclasses.astuple copies what it meets, and takes ten times as long.
    plain = (
        round(record.at, 3),
        record.before,
        record.replicas,
        int(record.frozen),
        record.mode,
        record.reason,
        {name: _short(value) for name, value in record.inputs.items()},
        [_wished(wish) for wish in record.wishes],
        [(one.limit, one.before, one.after, one.reason) for one in record.limits],
        record.result and _plain(record.result),
    )
    text = orjson.dumps(plain)
    packer = zlib.compressobj(6, zlib.DEFLATED, _WINDOW_BITS, _MEMORY, zdict=_KNOWN)
    return packer.compress(text) + packer.flush()


def unpack(packed: bytes) -> Record:
    text = zlib.decompressobj(_WINDOW_BITS, zdict=_KNOWN).decompress(packed)
    at, before, replicas, frozen, mode, reason, inputs, wishes, limits, result = orjson.loads(text)
    return Record(
        at,
        before,
        replicas,
        bool(frozen),
        Mode(mode),
        reason,
        inputs,
        tuple(_wish(*wish) for wish in wishes),
        tuple(Limit(*limit) for limit in limits),
        result and _result(*result),
    )


def _wished(wish: Wish) -> tuple[object, ...]:
    flags = wish.is_load * 2 + wish.is_known
    measured = _short(wish.measured)
    return wish.rule, wish.window, measured, wish.target, wish.replicas, wish.says, flags


def _wish(
    rule: str, window: float, measured: float, target: float, replicas: int, says: str, flags: int
) -> Wish:
    is_load, is_known = divmod(flags, 2)
    return Wish(rule, window, measured, target, replicas, says, bool(is_load), bool(is_known))


def _plain(result: Result) -> tuple[object, ...]:
    seconds = round(result.seconds, 3)
    return result.way, result.wanted, result.there, seconds, result.stage, result.trouble


def _result(way: str, wanted: int, there: int, seconds: float, stage: str, trouble: str) -> Result:
    return Result(Way(way), wanted, there, seconds, Stage(stage), trouble)


def _short(value: float) -> float:
    return float(f"{value:.6g}") if isinstance(value, float) and value else value


# What a record is likely to say; the likeliest last, where a match costs the fewest bits.
_KNOWN = (
    b"start-failed: exited with code 1 (2 failures in a row)crash-looping: image-missing: "
    b'schedule "0 8 * * mon-fri" until Mon Tue Wed Thu Fri 2026 18:00 (Europe/Berlin)(UTC)asleep '
    b"by exactly max is 1; min is 1 by prometheus latency queue_wait cpu memory has no value (): "
    b'holds by hand for another 10m"manual"no longer in the configurationadopted were running '
    b'before a restart"max_up_rate","max_up_rate 1000 x allows up to "max_down_rate",'
    b'"max_down_rate 2 from 4 allows down to "down_delay","down_delay keeps the largest wish of '
    b'never down in panic, which reached "idle","zero only by idle.stop_after"]"max","max is 10"]'
    b'"min","min is 1"]"initial","initial is 1"]0 by handthawed by a request, initial is 1'
    b'no request for 5m (idle.freeze_after);["rps",60.0,0.0,100.0,0,"",3],'
    b'["rps",6.0,0.0,100.0,0,"",3],'
    b'["up",1,1,"replaced",""]["freeze","down",0,0,0.1,"reached",""]"panic","stable",'
    b'"concurrency 12.3 over 6s at 10 per replica asks for 2","idle","no request yet"'
    b'no request for 1m (idle.stop_after)","woken by a request, initial is 1",'
    b'{"ready":1,"starting":0,"frozen":0,"in_flight":0,"queued":0,"stable_concurrency":0.0,'
    b'"panic_concurrency":0.0,"stable_rps":0.0,"panic_rps":0.0},[["concurrency",60.0,0.0,10.0,0,"",3],'
    b'["concurrency",6.0,0.0,10.0,0,"",3]],[],["up",1,1,1.2,"reached",""]]'
)
