"""
Pictures of what is deployed, from the synthesized template.

The workflow from top to bottom as Step Functions would draw it; where a failure leads, and what lies far
below, is said in words instead of arrows across the picture. And the stack: what starts the workflow, its
functions, and which services of AWS each function's role reaches.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 196, 46, 22, 34
_COLOURS = {"Task": "#e0f2fe", "Choice": "#fef3c7", "Succeed": "#dcfce7", "Fail": "#fee2e2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box of a picture, by its upper left corner."""

    x: float
    y: float
    title: str
    note: str
    colour: str

    def drawn(self) -> Iterator[str]:
        """Draw the box and its two lines of text."""
        yield (
            f'<rect x="{self.x}" y="{self.y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" '
            f'fill="{self.colour}" stroke="#64748b"/>'
        )
        middle = self.x + _WIDTH / 2
        lower = self.y + (20 if self.note else 28)
        yield f'<text x="{middle}" y="{lower}" text-anchor="middle">{escape(self.title)}</text>'
        if self.note:
            yield (
                f'<text x="{middle}" y="{self.y + 37}" text-anchor="middle" font-size="10" fill="#475569">'
                f"{escape(self.note)}</text>"
            )


def files(template: Mapping[str, Any]) -> dict[Path, str]:
    """Return both pictures of the template of a site's stack."""
    return {
        IMAGES / "state-machine.svg": state_machine(_definition(template)),
        IMAGES / "site-stack.svg": site_stack(template),
    }


def _definition(template: Mapping[str, Any]) -> dict[str, Any]:
    [machine] = _of_type(template, "AWS::StepFunctions::StateMachine").values()
    text = machine["DefinitionString"]["Fn::Join"][1]
    definition: dict[str, Any] = json.loads("".join(part if isinstance(part, str) else "-" for part in text))
    return definition


def _of_type(template: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def _next(state: Mapping[str, Any]) -> list[str]:
    found = [choice["Next"] for choice in state.get("Choices", ())]
    return list(dict.fromkeys(found + [state[key] for key in ("Next", "Default") if key in state]))


def _layers(states: Mapping[str, Any], start: str) -> dict[str, int]:
    """Put each state below everything that leads to it; what only a failure leads to comes beside its end."""
    depth = {start: 0}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        for following in _next(states[name]):
            if depth.get(following, -1) < depth[name] + 1:
                depth[following] = depth[name] + 1
                waiting.append(following)
    caught = [name for name in states if name not in depth]
    for name in caught:
        after = [depth[following] for following in _next(states[name]) if following in depth]
        depth[name] = max(min(after, default=1) - 1, 0)
    return depth


def state_machine(definition: Mapping[str, Any]) -> str:
    """Draw the workflow."""
    states, start = definition["States"], definition["StartAt"]
    depth = _layers(states, start)
    rows: dict[int, list[str]] = {}
    for name in states:
        rows.setdefault(depth[name], []).append(name)
    widest = max(len(row) for row in rows.values())
    whole = widest * (_WIDTH + _GAP_X) + _GAP_X
    boxes = {}
    for number, row in rows.items():
        begin = (whole - len(row) * (_WIDTH + _GAP_X) + _GAP_X) / 2
        for column, name in enumerate(row):
            boxes[name] = Box(
                x=begin + column * (_WIDTH + _GAP_X),
                y=20 + number * (_HEIGHT + _GAP_Y),
                title=name,
                note=_note(states[name], far=_far(states, depth, name)),
                colour=_COLOURS.get(states[name]["Type"], "#f1f5f9"),
            )
    arrows = [
        _arrow(boxes[name], boxes[following])
        for name, state in states.items()
        for following in _next(state)
        if following not in _far(states, depth, name)
    ]
    height = 20 + (max(rows) + 1) * (_HEIGHT + _GAP_Y)
    return _svg("The state machine vbr-privatelink-reconcile", whole, height, arrows, list(boxes.values()))


def _far(states: Mapping[str, Any], depth: Mapping[str, int], name: str) -> list[str]:
    """Where a state may go on far below: said in words, since an arrow would cross the picture."""
    return [following for following in _next(states[name]) if depth[following] - depth[name] > 1]


def _note(state: Mapping[str, Any], *, far: Sequence[str]) -> str:
    caught = list(dict.fromkeys(catch["Next"] for catch in state.get("Catch", ())))
    only = "or" if len(_next(state)) > len(far) else "then"
    if far == caught[-1:] and caught:
        return f"{only}, and on failure: {caught[-1]}"
    return "; ".join(
        [f"{only}: {following}" for following in far] + [f"on failure: {name}" for name in caught[-1:]]
    )


def _arrow(source: Box, target: Box) -> str:
    x, y = source.x + _WIDTH / 2, source.y + _HEIGHT
    to_x, to_y = target.x + _WIDTH / 2, target.y - 2
    bend = (to_y - y) / 2
    return (
        f'<path d="M{x},{y} C{x},{y + bend} {to_x},{to_y - bend} {to_x},{to_y}" fill="none" '
        'stroke="#475569" marker-end="url(#arrow)"/>'
    )


def site_stack(template: Mapping[str, Any]) -> str:
    """Draw the stack: rules, workflow, functions, and the services that each function reaches."""
    rules = sorted(
        {rule["Description"] for rule in _of_type(template, "AWS::Events::Rule").values() if _starts(rule)}
    )
    reach = _reach(template)
    services = sorted({service for found in reach.values() for service in found})
    column = _WIDTH + 130
    step = _HEIGHT + 12
    height = 40 + step * max(len(rules), len(reach), len(services))

    def stacked(titles: Sequence[str], number: int, colour: str) -> list[Box]:
        top = (height - len(titles) * step + 12) / 2
        return [
            Box(x=20 + number * column, y=top + row * step, title=title, note="", colour=colour)
            for row, title in enumerate(titles)
        ]

    starts = [
        Box(x=box.x, y=box.y, title=_head(box.title), note=_tail(box.title), colour=box.colour)
        for box in stacked(rules, 0, "#fef3c7")
    ]
    [machine] = stacked(["vbr-privatelink-reconcile"], 1, "#ede9fe")
    functions = stacked(sorted(reach), 2, "#e0f2fe")
    reached = stacked(services, 3, "#dcfce7")
    called = _called(template)
    lines = [_line(box, machine) for box in starts]
    lines += [_line(machine, box) for box in functions if box.title in called]
    lines += [
        _line(function, service)
        for function in functions
        for service in reached
        if service.title in reach[function.title]
    ]
    boxes = [*starts, machine, *functions, *reached]
    return _svg("The stack of a site", 4 * column - 90, height, lines, boxes)


def _starts(rule: Mapping[str, Any]) -> bool:
    return any("RoleArn" in target for target in rule["Targets"])


def _head(text: str) -> str:
    return text if len(text) <= 26 else text[: text.rindex(" ", 0, 27)]


def _tail(text: str) -> str:
    return text[len(_head(text)) :].strip()


def _reach(template: Mapping[str, Any]) -> dict[str, set[str]]:
    """Read from the roles' policies which services each function of the workflow calls."""
    policies = _of_type(template, "AWS::IAM::Policy").values()
    found = {}
    for function in _of_type(template, "AWS::Lambda::Function").values():
        role = function["Role"]["Fn::GetAtt"][0]
        actions = [
            action
            for policy in policies
            if {"Ref": role} in policy["Roles"]
            for statement in policy["PolicyDocument"]["Statement"]
            for action in _list(statement["Action"])
        ]
        services = {action.split(":")[0] for action in actions} - {"logs", "xray"}
        if re.fullmatch(r"lambdas\.\w+\.handler\.lambda_handler", str(function.get("Handler", ""))):
            found[function["Handler"].split(".")[1]] = services
    return found


def _called(template: Mapping[str, Any]) -> set[str]:
    """Which functions the workflow calls; others stand beside it, for the console."""
    [machine] = _of_type(template, "AWS::StepFunctions::StateMachine").values()
    functions = _of_type(template, "AWS::Lambda::Function")
    parts = [
        part["Fn::GetAtt"][0] for part in machine["DefinitionString"]["Fn::Join"][1] if "Fn::GetAtt" in part
    ]
    return {functions[name]["Handler"].split(".")[1] for name in parts if name in functions}


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _line(source: Box, target: Box) -> str:
    x, y = source.x + _WIDTH, source.y + _HEIGHT / 2
    to_x, to_y = target.x - 2, target.y + _HEIGHT / 2
    bend = (to_x - x) / 2
    return (
        f'<path d="M{x},{y} C{x + bend},{y} {to_x - bend},{to_y} {to_x},{to_y}" fill="none" '
        'stroke="#94a3b8" marker-end="url(#arrow)"/>'
    )


def _svg(title: str, width: float, height: float, lines: Sequence[str], boxes: Sequence[Box]) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img"',
        'font-family="DejaVu Sans, Verdana, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7"',
        'markerHeight="7" orient="auto"><path d="M0,0 L10,5 L0,10 z" fill="#475569"/></marker></defs>',
        f'<rect {size} fill="#ffffff"/>',
        *lines,
        *(text for box in boxes for text in box.drawn()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
