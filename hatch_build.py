"""Puts the flat packages into the wheel as `tidegate/_packages/`.

In site-packages, top-level names such as `config` or `health` belong to whoever installs last.
An editable install keeps using the checkout, where the packages lie beside `tidegate/`.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAT_PACKAGES = (
    "simulation",
    "admin",
    "control",
    "gateway",
    "autoscaler",
    "health",
    "runtimes",
    "recording",
    "cluster",
    "config",
)


class FlatPackages(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """`version` is hatchling's word for the kind of wheel: standard or editable."""
        if version == "standard":
            inside = {name: f"tidegate/_packages/{name}" for name in FLAT_PACKAGES}
            build_data["force_include"].update(inside)
