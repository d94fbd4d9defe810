"""Whether the wall clock still goes along with the loop's.

Pure. The loop's clock never jumps and stands still while the machine is suspended; the wall's is
set by hand, by NTP, and is ahead after a suspend. What was planned by it has to be planned anew
then. A slow drift adds up and is noticed as well.
"""

from config.units import format_duration

# More than a busy loop's clock is behind itself.
TOLERANCE = 2.0
# Between two comparisons, in seconds: as late as anything planned may be after a suspend.
COMPARE_EVERY = 60.0


class Clocks:
    __slots__ = ("_offset",)

    def __init__(self, wall: float, now: float) -> None:
        self._offset = wall - now

    def news(self, wall: float, now: float) -> str:
        """What to tell of a jump; empty: they go along."""
        jump = self.jump(wall, now)
        if not jump:
            return ""
        way = "ahead" if jump > 0 else "back"
        return f"the clock went {format_duration(round(abs(jump)))} {way}"

    def jump(self, wall: float, now: float) -> float:
        """Seconds that the wall clock went ahead (or back, below 0) since the last jump; 0: it goes
        along."""
        jump = wall - now - self._offset
        if abs(jump) < TOLERANCE:
            return 0.0
        self._offset += jump
        return jump
