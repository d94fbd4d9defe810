"""Binding requests to endpoints of one service, as late as possible.

Pure. A request that finds no endpoint with room waits in arrival order, and is bound when a place
falls free. Nobody overtakes: while one waits, a new one waits too. The counts are exact: what
`acquire` and `admit` take, `release` gives back. With peers, every place is also one of those that
all gateway processes have together.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Generic, TypeVar

from cluster.messages import Endpoint, Served
from config.service import Balance
from gateway import problems
from gateway.account import Account
from gateway.balancer import Draws, picker
from gateway.conduct import Conduct
from gateway.held import Held
from gateway.peers import BOUND_BEFORE, JUST_CAME, Count, Peers, Tokens
from gateway.problems import Problem
from gateway.slow_start import SlowStart

if TYPE_CHECKING:
    from gateway.exchange import Exchange
    from gateway.upstream import Upstream

W = TypeVar("W")


@dataclass(slots=True, eq=False)
class Slot:
    """One endpoint and what it is doing. `leaving`: it is no longer in the snapshot; `draining`: it
    will not come back.

    `held` of what is in flight has one of the `tokens`: all of it, or nothing without a limit.
    `is_heeded`: a good answer is news, because it `failed` before or its `conduct` is counted or
    its service is recorded, in `account`.
    """

    endpoint: Endpoint
    tokens: Tokens | None = None
    in_flight: int = 0
    held: int = 0
    leaving: bool = False
    draining: bool = False
    failed: bool = False
    is_heeded: bool = False
    conduct: Conduct | None = None
    account: Account | None = None
    connecting: "dict[Upstream, None]" = field(default_factory=dict)
    open: int = 0  # connections to it
    idle: "list[Upstream]" = field(default_factory=list)
    parked: "OrderedDict[Exchange, None]" = field(default_factory=OrderedDict)

    def park(self, exchange: "Exchange") -> None:
        """In the order of arrival: one that was tried in vain keeps its turn."""
        parked, number = self.parked, exchange.number
        if parked and number < next(iter(parked)).number:
            parked[exchange] = None
            parked.move_to_end(exchange, last=False)
            return
        later = list(takewhile(lambda one: one.number > number, reversed(parked)))
        parked[exchange] = None
        for one in reversed(later):
            parked.move_to_end(one)

    def vacate(self) -> None:
        """The token of one whose answer was read whole is given back; `release` follows. It comes
        before the last byte is sent: the client's next request may reach a peer at once."""
        if self.tokens is not None and self.held:
            self.held -= 1
            self.tokens.give()

    def has_failed(self, failed: bool) -> None:
        self.failed = failed
        if failed and self.conduct is not None:
            self.conduct.failures += 1
        if failed and self.account is not None:
            self.account.failures += 1
        self._heed()

    def compare(self, compared: bool) -> None:
        """Whether its conduct is counted, anew from now on."""
        self.conduct = Conduct() if compared else None
        self._heed()

    def record(self, account: Account | None) -> None:
        """Where its answers are recorded, if so."""
        self.account = account
        self._heed()

    def _heed(self) -> None:
        counted = self.conduct is not None or self.account is not None
        self.is_heeded = self.failed or counted

    def __repr__(self) -> str:
        leaving = " leaving" if self.leaving else ""
        return f"<Slot {self.endpoint.replica} in_flight={self.in_flight}{leaving}>"


class Dispatcher(Generic[W]):
    """Endpoints, their counts, and the queue of one service."""

    __slots__ = (
        "_account", "_balance", "_compared", "_everywhere", "_held", "_leaving", "_open", "_peers",
        "_pick", "_rng", "_slow_start", "_told", "concurrency", "full", "queue_size", "slots",
        "waiting",
    )  # fmt: skip

    def __init__(self, rng: Draws, held: Held | None = None) -> None:
        """`held` counts those who wait for all services."""
        self._held = held or Held()
        self._told = 0  # of those who wait here
        self.full = problems.QUEUE_FULL  # why one could not wait, as found last
        self._rng = rng
        self._balance: Balance = "least_in_flight"
        self._slow_start = SlowStart(picker(self._balance, rng), 0.0)
        self._pick: Callable[[Sequence[Slot], int], int] = self._slow_start.pick
        self._leaving: dict[str, Slot] = {}
        self._compared = False
        self._account: Account | None = None
        self.concurrency = 0
        self.queue_size = 0
        self.slots: list[Slot] = []
        self._open: list[Slot] = self.slots
        self._peers: Peers | None = None
        self._everywhere: Count | None = None
        self.waiting: OrderedDict[W, int] = OrderedDict()  # each with its stamp

    def configure(
        self,
        *,
        concurrency: int,
        queue_size: int,
        balance: Balance,
        slow_start: float = 0.0,
        compared: bool = False,
        account: Account | None = None,
    ) -> None:
        """`concurrency` 0 is no limit; `slow_start` in seconds, 0 is none. `compared`: the conduct
        of each endpoint is counted. `account`: where their answers are recorded, if so."""
        self.concurrency = concurrency
        self.queue_size = queue_size
        self._slow_start.seconds = slow_start
        if compared != self._compared:
            self._compared = compared
            for slot in (*self.slots, *self._leaving.values()):
                slot.compare(compared)
        if account is not self._account:
            self._account = account
            for slot in (*self.slots, *self._leaving.values()):
                slot.record(account)
        if balance != self._balance:
            self._balance = balance
            is_plain = self._pick is self._slow_start.pick
            self._slow_start.pick = picker(balance, self._rng)
            self._pick = self._slow_start.pick if is_plain else self._slow_start

    def share(self, peers: Peers | None, everywhere: Count | None = None) -> None:
        """From now on every place is shared with them, or, with None, with nobody. `everywhere`:
        those who wait in any process, when there are several."""
        self._everywhere = everywhere
        if peers is self._peers:
            return
        for slot in (*self.slots, *self._leaving.values()):
            while slot.held and slot.tokens is not None:
                slot.held -= 1
                slot.tokens.give()
            slot.held = 0
            slot.tokens = peers.tokens(slot.endpoint.replica) if peers is not None else None
            if slot.tokens is not None and slot.in_flight:
                slot.held = slot.in_flight
                slot.tokens.adopt(slot.held)
        if self._peers is not None:
            self._peers.waiting(0)
        self._peers = peers
        for waiter in self.waiting:
            self.waiting[waiter] = self._stamp()
        self._tell_peers()

    @property
    def is_shared(self) -> bool:
        return self._peers is not None

    def acquire(self) -> Slot | None:
        """A place for a new request, or None: then it must wait."""
        return None if self.waiting else self._take(self._open, JUST_CAME)

    def acquire_other(self, avoid: Slot) -> Slot | None:
        """A place for a request that was bound before and failed on `avoid`."""
        return self._take([slot for slot in self._open if slot is not avoid], BOUND_BEFORE)

    def reacquire(self, slot: Slot) -> bool:
        """One more request for a slot that was just released; False if a peer was faster."""
        if slot.tokens is not None and not _take_token(slot.tokens, slot, BOUND_BEFORE):
            return False
        slot.in_flight += 1
        return True

    def wait(self, waiter: W, *, first: bool = False) -> bool:
        """Join the queue; False when it is `full`. `first` is for one that was bound before."""
        if first:
            self.waiting[waiter] = next(iter(self.waiting.values()), self._stamp())
            self.waiting.move_to_end(waiter, last=False)
        elif (full := self._full()) is not None:
            self.full = full
            return False
        else:
            self.waiting[waiter] = self._stamp()
        self._tell_peers()
        return True

    def abandon(self, waiter: W) -> None:
        """Leave the queue; one that does not wait is ignored."""
        self.waiting.pop(waiter, None)
        self._tell_peers()

    def release(self, slot: Slot) -> bool:
        """Give a place back. True when the endpoint had left and is now drained."""
        slot.in_flight -= 1
        if slot.tokens is not None and slot.held > slot.in_flight:
            slot.held -= 1
            slot.tokens.give()
        if slot.leaving and slot.in_flight == 0:
            replica = slot.endpoint.replica
            if self._leaving.get(replica) is slot:
                del self._leaving[replica]
                return True
        return False

    def admit(self) -> tuple[W, Slot] | None:
        """The next one in the queue, bound; None when nobody waits or nothing is free."""
        if not self.waiting:
            return None
        slot = self._take(self._open, next(iter(self.waiting.values())))
        if slot is None:
            return None
        waiter, _ = self.waiting.popitem(last=False)
        self._tell_peers()
        return waiter, slot

    def update(
        self, endpoints: Iterable[Endpoint], now: float | None = None
    ) -> tuple[list[Slot], list[str]]:
        """Replace the endpoints. Returns the slots that left now and the replicas drained now.
        Those that come `now` start slowly; without a time they have been there for long."""
        before = set(self.slots)
        former = {slot.endpoint.replica: slot for slot in self.slots}
        self.slots = [self._slot(endpoint, former) for endpoint in endpoints]
        if now is not None and self._slow_start.seconds:
            for slot in self.slots:
                if slot not in before:
                    self._slow_start.add(slot, now)
            self.grow(now)
        self.reopen()
        staying = {slot.endpoint.replica for slot in self.slots}
        gone, drained = list(former.values()), []
        for slot in gone:
            slot.leaving = True
            replica = slot.endpoint.replica
            # One that only changed its address has not left.
            if replica not in staying and slot.in_flight:
                self._leaving[replica] = slot
            elif replica not in staying:
                drained.append(replica)
        return gone, drained

    def retire(self, replicas: Iterable[str]) -> bool:
        """These leave for good; whether that is news of any that has something in flight."""
        found = [self._leaving[one] for one in replicas if one in self._leaving]
        news = [slot for slot in found if not slot.draining]
        for slot in news:
            slot.draining = True
        return bool(news)

    @property
    def is_growing(self) -> bool:
        """Whether some endpoint has not its whole share yet."""
        return self._pick is self._slow_start

    def grow(self, now: float) -> None:
        """Let the shares of new endpoints be those of their age."""
        growing = self._slow_start.age(now, self.slots)
        self._pick = self._slow_start if growing else self._slow_start.pick

    def shun(self, slot: Slot) -> None:
        """Bind nothing to it until `reopen`: it refuses connections."""
        if slot in self._open:
            self._open = [other for other in self._open if other is not slot]

    def is_shunned(self, slot: Slot) -> bool:
        return slot not in self._open

    @property
    def is_shut(self) -> bool:
        """Whether there are endpoints and all of them refuse."""
        return bool(self.slots) and not self._open

    def reopen(self) -> bool:
        """Take back all that were shunned. Returns whether there were any."""
        shunned = len(self._open) != len(self.slots)
        self._open = self.slots
        return shunned

    def pending(self) -> tuple[tuple[str, int], ...]:
        """(replica, in flight there) of the busy ones, also of those that are leaving."""
        busy = [slot for slot in (*self.slots, *self._leaving.values()) if slot.in_flight]
        return tuple((slot.endpoint.replica, slot.in_flight) for slot in busy)

    def served(self) -> tuple[Served, ...]:
        """The conduct of those that have any, since it was asked for last."""
        counted = [(slot.conduct, slot) for slot in self.slots if slot.conduct is not None]
        taken = (conduct.take(slot.endpoint.replica) for conduct, slot in counted)
        return tuple(served for served in taken if served is not None)

    def _take(self, slots: list[Slot], since: int) -> Slot | None:
        index = self._pick(slots, self.concurrency)
        if index < 0:
            return None
        slot = slots[index]
        if slot.tokens is not None and not _take_token(slot.tokens, slot, since):
            return self._take_elsewhere(slots, slot, since)
        slot.in_flight += 1
        return slot

    def _take_elsewhere(self, slots: list[Slot], full: Slot, since: int) -> Slot | None:
        """Peers have all places of the one that was picked: any other that has room."""
        for slot in slots:
            tokens = slot.tokens
            if slot is full or tokens is None or slot.in_flight >= self.concurrency:
                continue
            if _take_token(tokens, slot, since):
                slot.in_flight += 1
                return slot
        return None

    def _stamp(self) -> int:
        return self._peers.stamp() if self._peers is not None else 0

    def _full(self) -> Problem | None:
        """Why one more may not wait. It is counted before it does: others may be asking too."""
        here, everywhere = len(self.waiting), self._everywhere
        if here >= self.queue_size:
            return problems.QUEUE_FULL
        own = here
        if everywhere is not None:
            everywhere.tell(here + 1)
            own = everywhere.total() - 1
            if own >= self.queue_size:
                everywhere.tell(here)
                return problems.QUEUE_FULL
        if self._held.has_room(own):
            return None
        if everywhere is not None:
            everywhere.tell(here)
        return problems.TOO_MANY_HELD

    def _tell_peers(self) -> None:
        if self._told != len(self.waiting):
            self._held.changed(len(self.waiting) - self._told)
            self._told = len(self.waiting)
        if self._everywhere is not None:
            self._everywhere.tell(len(self.waiting))
        if self._peers is not None:
            self._peers.waiting(next(iter(self.waiting.values()), 0))

    def _slot(self, endpoint: Endpoint, former: dict[str, Slot]) -> Slot:
        slot = former.get(endpoint.replica)
        if slot is not None and slot.endpoint.address == endpoint.address:
            del former[endpoint.replica]
            slot.endpoint = endpoint
            return slot
        back = self._leaving.get(endpoint.replica)
        if slot is None and back is not None and back.endpoint.address == endpoint.address:
            del self._leaving[endpoint.replica]
            back.leaving = back.draining = False
            back.endpoint = endpoint
            back.compare(self._compared)
            back.record(self._account)
            return back
        self._leaving.pop(endpoint.replica, None)
        peers = self._peers
        made = Slot(endpoint, peers.tokens(endpoint.replica) if peers is not None else None)
        if self._compared:
            made.compare(compared=True)
        if self._account is not None:
            made.record(self._account)
        return made


def _take_token(tokens: Tokens, slot: Slot, since: int) -> bool:
    taken = tokens.take(since)
    slot.held += taken
    return taken
