"""The JSON Schema says the same as the loader, as far as one key can know."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import loader
from config.document import read
from config.errors import ConfigError
from config.schema import DIALECT, json_schema, keys_at
from tests.config.contract import CONTRACT, NOT_YET
from tests.config.shape import faults

SCHEMA = json_schema()


def whole_contract() -> str:
    text = CONTRACT
    for old, new in NOT_YET:
        text = text.replace(old, new)
    return text


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    for inner in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(inner, dict | list):
            yield from nodes(inner)


@pytest.mark.parametrize("text", [CONTRACT, whole_contract()], ids=["supported", "whole"])
def test_the_example_of_the_contract_fits(text: str) -> None:
    assert faults(read(text).value, SCHEMA, SCHEMA) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("services: {web: {comand: a}}", ".services.web.comand: unknown"),
        ("gatway: {}\nservices: {web: {}}", ".gatway: unknown"),
        ("services: {Web: {}}", ".services: propertyNames"),
        ("services: {}", ".services: minProperties 1"),
        ("gateway: {}", ": required ['services']"),
        ("services: {web: {drain: 30}}", ".services.web.drain: anyOf"),
        ("services: {web: {drain: 1:30}}", ".services.web.drain: anyOf"),
        ("services: {web: {retries: {budget: 5}}}", ".services.web.retries.budget: type string"),
        ("services: {web: {scaling: {max: 0}}}", ".services.web.scaling.max: minimum 1"),
        ("services: {web: {resources: {memory: 1Mi}}}", ".services.web.resources.memory: anyOf"),
        ("services: {web: {balance: any}}", ".services.web.balance: enum"),
        ("services: {web: {name: x}}", ".services.web.name: unknown"),
        ("defaults: {drian: 5s}\nservices: {web: {}}", ".defaults.drian: unknown"),
        ("runtime: podman\nservices: {web: {}}", ".runtime: anyOf"),
    ],
)
def test_what_does_not_fit(text: str, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults(read(text).value, SCHEMA, SCHEMA))


@pytest.mark.parametrize(
    "text",
    [
        "x-mine: {any: thing}\nservices: {web: {command: a b, hosts: a.b, env: {A: 1, B: true}}}",
        "gateway: {workers: auto, listen: ':80'}\nruntime: swarm\nservices: {web: {drain: 0}}",
        "runtime: {docker: {network: front, publish: true}}\nservices: {web: {env_file: [a]}}",
        "services: {web: {rollout: {max_surge: 1}, resources: {memory: 1000}, drain: 1h30m}}",
    ],
)
def test_every_spelling_that_is_accepted_fits(text: str) -> None:
    assert faults(read(text).value, SCHEMA, SCHEMA) == []


def test_every_key_says_what_it_is_for() -> None:
    silent = [
        name
        for node in nodes(SCHEMA)
        for name, entry in node.get("properties", {}).items()
        if isinstance(entry, dict)
        and "description" not in entry
        and name not in ("metric", "docker", "listen", "certificates", "cert", "key", "min", "max")
    ]
    assert silent == []


def test_every_default_is_written_as_an_operator_would_and_is_accepted() -> None:
    service = SCHEMA["$defs"]["Service"]["properties"]
    assert service["drain"]["default"] == "30s"
    assert SCHEMA["$defs"]["Scaling"]["properties"]["panic_threshold"]["default"] == "200%"
    for node in nodes(SCHEMA):
        if "default" in node:
            assert (
                faults(node["default"], {k: v for k, v in node.items() if k != "default"}, SCHEMA)
                == []
            )


def test_it_is_plain_json_of_the_dialect_it_names() -> None:
    assert SCHEMA["$schema"] == DIALECT == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    for node in nodes(SCHEMA):
        if "$ref" in node and isinstance(node["$ref"], str):
            assert node["$ref"].removeprefix("#/$defs/") in SCHEMA["$defs"]
        if isinstance(node.get("pattern"), str):
            re.compile(node["pattern"])


def test_keys_are_known_at_every_place() -> None:
    assert "services" in keys_at(())
    assert "stop_after" in keys_at(("services", "any", "scaling", "idle"))
    assert "target" in keys_at(("defaults", "scaling", "rules", 3))
    assert "network" in keys_at(("runtime", "docker"))
    assert keys_at(("nowhere", "at", "all")) == []


def test_settings_written_out_again_are_accepted_and_the_same() -> None:
    """What the models write, the loader reads: parse(render(settings)) == settings."""
    settings = loader.parse(CONTRACT, Path("/srv/tidegate.yaml"), {"HOME": "/root"})
    written = settings.model_dump(mode="json", exclude_unset=True)
    written["runtime"] = {"docker": written.pop("docker")}
    text = yaml.safe_dump(written)
    again = loader.parse(text, Path("/srv/tidegate.yaml"), {"HOME": "/root"})
    assert again == settings
    assert hash(again.services["web"]) == hash(settings.services["web"])


def test_what_the_loader_refuses_by_shape_does_not_fit_either() -> None:
    """Of the table of refusals, every unknown key and every wrong type outside `env`."""
    table = Path(__file__).with_name("refusals.txt").read_text(encoding="utf-8")
    checked = 0
    for row in table.split("\n=== ")[1:]:
        text, _, said = row.partition("\n")[2].partition("--- says\n")
        if "unknown key" in said or "must be a whole number" in said or "true or false" in said:
            value = read(text).value
            if "<<" in text:
                continue
            assert faults(value, SCHEMA, SCHEMA), text
            checked += 1
            with pytest.raises(ConfigError):
                loader.parse(text, Path("/srv/t.yaml"), {})
    assert checked > 12
