"""What schemathesis cannot know of the API: streams that shall end, and lines of JSON."""

import json
from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Without `follow=true` a stream ends once it has told what there is."""
    parameters = {parameter.name for parameter in case.operation.query}
    query = case.query if isinstance(case.query, dict) else {}
    if "follow" in parameters and query.get("follow") in (None, True, "true", ["true"]):
        case.query = {**query, "follow": "false"}


@schemathesis.deserializer("application/x-ndjson")
def lines_of_json(context: Any, response: Any) -> Any:
    return [json.loads(line) for line in response.content.splitlines() if line.strip()]
