"""
What a rule hands to its target: Input, InputPath or InputTransformer, or the event as it is. Pure
functions.

A template is JSON with `<name>` in it. Outside quotes a name becomes a JSON value, inside quotes its text,
as EventBridge does it. A name whose path isn't in the event becomes null outside and nothing inside quotes.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"\.([A-Za-z0-9_\-]+)|\[(\d+)\]|\['([^']+)'\]|\[\"([^\"]+)\"\]")
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.\-]+)>")


class EventInputError(Exception):
    """A rule's input can't be made."""


def input_of(target: Mapping[str, Any], event: Mapping[str, Any], *, rule_arn: str) -> str:
    """Return the JSON text that *target* gets for *event*."""
    if target.get("Input"):
        return str(target["Input"])
    if target.get("InputPath"):
        return json.dumps(at_path(event, str(target["InputPath"])))
    transformer = target.get("InputTransformer")
    if transformer:
        return _transformed(transformer, event, rule_arn=rule_arn)
    return json.dumps(event)


def at_path(document: Any, path: str) -> Any:
    """Return what is at a JSON path of dots and indices; None when nothing is."""
    if not path.startswith("$"):
        raise EventInputError(f"{path!r} isn't a JSON path")
    position = 1
    found = document
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise EventInputError(f"EventBridge doesn't know the JSON path {path!r}")
        position = step.end()
        name = step[1] or step[3] or step[4]
        if name is not None:
            found = found.get(name) if isinstance(found, Mapping) else None
        else:
            index = int(step[2])
            found = found[index] if isinstance(found, list) and index < len(found) else None
    return found


def _transformed(transformer: Mapping[str, Any], event: Mapping[str, Any], *, rule_arn: str) -> str:
    template = str(transformer["InputTemplate"])
    values = {name: at_path(event, path) for name, path in (transformer.get("InputPathsMap") or {}).items()}
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rsplit("/", 1)[-1],
        "aws.events.event.ingestion-time": event.get("time"),
        "aws.events.event": {key: value for key, value in event.items() if key != "detail"},
        "aws.events.event.json": event,
    }
    if template.lstrip()[:1] not in ("{", "[", '"', "<"):
        # A template of plain text: EventBridge hands it on as a JSON string.
        return f'"{"".join(_pieces(template, values, quoted=True))}"'
    result = "".join(_pieces(template, values, quoted=False))
    try:
        json.loads(result)
    except ValueError as error:
        raise EventInputError(f"the input template makes no JSON: {result!r}") from error
    return result


def _pieces(template: str, values: Mapping[str, Any], *, quoted: bool) -> list[str]:
    pieces: list[str] = []
    position = 0
    while position < len(template):
        placeholder = _PLACEHOLDER.match(template, position)
        if placeholder is not None:
            if placeholder[1] not in values:
                raise EventInputError(f"the input template names <{placeholder[1]}>, which has no path")
            pieces.append(
                _inside_quotes(values[placeholder[1]]) if quoted else json.dumps(values[placeholder[1]])
            )
            position = placeholder.end()
            continue
        character = template[position]
        if character == "\\" and quoted:
            pieces.append(template[position : position + 2])
            position += 2
            continue
        if character == '"':
            quoted = not quoted
        pieces.append(character)
        position += 1
    return pieces


def _inside_quotes(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return json.dumps(text)[1:-1]
