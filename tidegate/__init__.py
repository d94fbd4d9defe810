"""Cloud Run for the machines you have.

Installed wheels carry the flat packages in `tidegate/_packages`, so that a foreign distribution
named `config` or `health` can never overwrite ours; a checkout has them beside this folder.
"""

import pathlib
import sys

__version__ = "0.1.0"

_packages = pathlib.Path(__file__).with_name("_packages")
if _packages.is_dir():
    sys.path.insert(0, str(_packages))
