"""What the contract has and this version has not: refused by name, never silently ignored.

Pure. A runtime leaves this list when it is supported; the schema knows it all the same.
"""

from collections.abc import Mapping
from typing import Any

from config.errors import Finding
from config.settings import RUNTIMES
from config.wording import either

LATER_RUNTIMES = ("swarm", "kubernetes", "nomad")
NOT_YET = "is not supported yet"


def refused(raw: Mapping[str, Any]) -> list[Finding]:
    """What of the file this version cannot do."""
    asked = raw.get("runtime")
    name = next(iter(asked), None) if isinstance(asked, Mapping) and len(asked) == 1 else asked
    if name not in LATER_RUNTIMES:
        return []
    return [Finding(("runtime",), f"{name} {NOT_YET}: use {either(RUNTIMES)}")]
