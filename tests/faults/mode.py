"""Long: all faults at full length, as the report has them. Short: each once, for `make test`."""

import os

LONG = os.environ.get("TIDEGATE_FAULTS") == "long"
