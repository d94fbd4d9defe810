"""`tidegate` and `python -m tidegate`."""

import sys

from tidegate import cli


def main() -> None:
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
