"""The example of the public contract, key for key."""

from config.service import Service
from tests.config.contract import CONTRACT, NOT_YET
from tests.config.parsing import parse, said_of


class TestTheContract:
    """The example of the public contract, key for key."""

    def test_all_that_is_supported_is_accepted(self) -> None:
        settings = parse(CONTRACT)
        service = settings.services["web"]
        assert settings.gateway.listen == ("0.0.0.0:8080",)
        assert settings.gateway.access_log == "off"
        assert settings.gateway.limits.headers == 65536
        assert settings.runtime == "docker"
        assert service.command == ("python3", "-m", "http.server", "$PORT")
        assert service.resources.memory == 256 * 2**20
        assert [rule.metric for rule in service.scaling.metric_rules] == ["concurrency", "rps"]
        assert service.health.readiness is not None
        assert service.health.readiness.http == "/ready"
        assert service.rollout.max_surge == 0.25
        assert (service.rollout.healthy_for, service.rollout.deadline) == (5.0, 600.0)

    def test_all_that_is_not_yet_is_refused_at_once(self) -> None:
        text = CONTRACT
        for old, new in NOT_YET:
            assert old in text
            text = text.replace(old, new)
        said = said_of(text).splitlines()
        assert [line.split(": ")[1] for line in said] == ["runtime"]
        assert all("not supported yet" in line for line in said)

    def test_every_default_of_the_example_is_our_default(self) -> None:
        """Except where the example shows a key at work."""
        shown = parse(CONTRACT).services["web"].model_dump()
        ours = Service(name="web", hosts=("web.localhost",)).model_dump()
        differing = {key for key in shown if shown[key] != ours[key]}
        assert differing == {"command", "image", "resources", "scaling", "health"}
