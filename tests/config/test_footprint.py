"""What ten thousand services cost in memory."""

import gc
import tracemalloc

from config.service import Service
from tests.config.parsing import parse


def test_sections_that_nobody_changes_exist_once() -> None:
    """What keeps ten thousand services small."""
    text = (
        "defaults: {scaling: {max: 3}, drain: 5s}\nservices:\n  a: {command: x}\n  b: {command: y}"
    )
    services = parse(text).services
    assert services["a"].scaling is services["b"].scaling
    assert services["a"].scaling.max == 3
    assert services["a"].health is services["b"].health is Service(name="c").health
    assert services["a"].drain == 5.0


def test_a_plain_service_is_small() -> None:
    """Ten thousand services are a usual installation of functions: 3 KB each is 30 MB."""
    count = 1000
    text = "services:\n" + "".join(
        f"  s{n}:\n    command: [python3, -m, http.server]\n    concurrency: 1\n"
        for n in range(count)
    )
    parse(text)
    gc.collect()
    tracemalloc.start()
    try:
        settings = parse(text)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(settings.services) == count
    assert size / count < 3 * 1024
