"""Programs that measure a running Tidegate from outside; `make loadtest` and `make bench-…`."""
