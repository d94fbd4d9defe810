"""What a file says of requests to a service that sleeps."""

from tests.config.parsing import parse

TEXT = """
services:
  web:
    command: x
    scaling:
      idle:
        ignore:
          user_agents: UptimeRobot
          paths: /healthz
          networks: 10.0.0.0/8
          methods: HEAD
          answer: {status: 503, headers: {Retry-After: 5, X-State: off}, body: 1.10}
    wake: {page: auto, fallback: spare}
  spare:
    command: y
    wake: {fallback: last}
  last: {command: z}
"""


def test_one_text_is_a_list_of_one_and_headers_are_as_written() -> None:
    web = parse(TEXT).services["web"]
    ignored = web.scaling.idle.ignore
    assert (ignored.user_agents, ignored.paths) == (("UptimeRobot",), ("/healthz",))
    assert (ignored.networks, ignored.methods) == (("10.0.0.0/8",), ("HEAD",))
    assert ignored.answer.headers == (("Retry-After", "5"), ("X-State", "off"))
    assert ignored.answer.body == "1.10"
    assert (web.wake.page, web.wake.fallback) == ("auto", "spare")


def test_nothing_is_ignored_unless_said_so() -> None:
    assert not parse(TEXT).services["last"].scaling.idle.ignore.is_any
