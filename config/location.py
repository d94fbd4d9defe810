"""Which file is the configuration, when it is read or only looked for.

Light on purpose: a command that only asks a running Tidegate imports this, not the schema.
"""

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "TIDEGATE_CONFIG"
FILE_NAME = "tidegate.yaml"


def find(explicit: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The file to load: `--config`, then TIDEGATE_CONFIG, then tidegate.yaml right here."""
    return Path(explicit or environ.get(VARIABLE) or FILE_NAME)
