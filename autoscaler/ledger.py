"""The bound: never dearer than the plain timeout by more than a stated sum.

Pure. Costs are told in seconds of idling; a wake costs as much as `wake` of them. For all calls, at
any moment,

    cost(learned) <= (1 + SHARE) * cost(plain timeout) + DEBT wakes

because what would break it is not done: sleeping before the timeout ends is refused where the wake
that it may cost would break it, and staying up after it where the idling itself would. Then the
plain timeout decides. `excess` is the left side less the first term of the right one.
"""

from dataclasses import dataclass

SHARE = 0.1
DEBT = 2.0


@dataclass(frozen=True, slots=True)
class Prices:
    """`timeout`: of the plain rule, in seconds. `wake`: in seconds of idling."""

    timeout: float
    wake: float

    @property
    def bound(self) -> float:
        return DEBT * self.wake

    def plain(self, age: float, *, called: bool) -> float:
        """What the plain timeout has cost in a silence of that age; `called`: that ends now."""
        late = called and age > self.timeout
        return min(age, self.timeout) + (self.wake if late else 0.0)

    def may_sleep(self, excess: float, idled: float, age: float) -> bool:
        """In a silence of `age` of which `idled` was spent awake: also if called just then."""
        if age >= self.timeout:
            return True
        return excess + idled + self.wake - (1 + SHARE) * age <= self.bound

    def may_stay(self, excess: float, idled: float, age: float) -> bool:
        """Until `age`, having been awake for `idled` by then."""
        if age <= self.timeout:
            return True
        return excess + idled - (1 + SHARE) * self.timeout <= self.bound

    def settled(self, excess: float, idled: float, age: float, *, woken: bool) -> float:
        """The excess after a silence that a call ended; `woken`: it found no replica."""
        paid = idled + (self.wake if woken else 0.0)
        return excess + paid - (1 + SHARE) * self.plain(age, called=True)
