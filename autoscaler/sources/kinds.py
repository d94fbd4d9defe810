"""Which driver asks for which rule, and what is the same question.

A driver that no rule asks for is not even loaded.
"""

from collections.abc import Hashable
from typing import assert_never

from autoscaler.sources.http import Http
from autoscaler.sources.source import Source
from config.rules import AskingRule, CustomRule, JsonRule, PrometheusRule, RedisRule

# What a rule makes of the answer is no part of the question.
_OF_THE_ANSWER = {"target", "activation", "every", "failures", "fallback"}


class Sources:
    """Opens sources; what they share lives here."""

    def __init__(self) -> None:
        self._http = Http()

    def open(self, rule: AskingRule) -> Source:
        match rule:
            case PrometheusRule():
                from autoscaler.sources.prometheus import PrometheusSource

                return PrometheusSource(rule, self._http)
            case JsonRule():
                from autoscaler.sources.json_value import JsonSource

                return JsonSource(rule, self._http)
            case RedisRule():
                from autoscaler.sources.redis import RedisSource

                return RedisSource(rule)
            case CustomRule():
                from autoscaler.sources.custom import CustomSource

                return CustomSource(rule)
            case _:
                assert_never(rule)

    async def close(self) -> None:
        await self._http.close()


def question_of(rule: AskingRule) -> Hashable:
    """Equal for rules that ask the same thing of the same source in the same way."""
    fields = type(rule).model_fields
    asked = (getattr(rule, name) for name in fields if name not in _OF_THE_ANSWER)
    return (type(rule), *asked)
