"""A `scaling` block as it is written into a configuration, with its evidence as comments.

Pure.
"""

from collections.abc import Iterable
from typing import Any

import yaml

from config.printable import printable
from config.rules import Schedule
from config.scaling import Scaling


def plain(scaling: Scaling) -> dict[str, Any]:
    """What was written or changed, in the words of the file; what is left alone is not said."""
    said: dict[str, Any] = _whole(scaling.model_dump(mode="json", exclude_unset=True))
    if "rules" in said:
        said["rules"] = [
            rule if isinstance(of, Schedule) else {"metric": of.metric, **rule}
            for of, rule in zip(scaling.rules, said["rules"], strict=True)
        ]
    return said


def written(scaling: Scaling, evidence: Iterable[str]) -> str:
    """YAML that can stand under a service, or under `defaults`."""
    comments = "".join(f"# {printable(line)}".rstrip() + "\n" for line in evidence)
    text = yaml.safe_dump(
        {"scaling": plain(scaling)}, sort_keys=False, allow_unicode=True, width=100
    )
    return comments + text


def _whole(value: Any) -> Any:
    """10.0 as 10."""
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
