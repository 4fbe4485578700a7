"""
How a stack goes from one template to the next: what is new and what has changed in the order of their
references, then what is gone, the last made first. In the place of moto's own way.

A resource has changed when its text has, when a parameter that it refers to has another value, or when what
it refers to was replaced by something with another physical id.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from moto.cloudformation import parsing

_IN_SUB = re.compile(r"\$\{([^!}][^}.]*)(?:\.[^}]*)?\}")


def update(resources: Any, template: dict[str, Any], parameters: dict[str, Any] | None = None) -> None:
    """Bring moto's map of resources from its template to *template*."""
    before, values = resources._resource_json_map, dict(resources.resolved_parameters)
    resources._template = template
    if parameters is not None:
        resources.input_parameters = parameters
    resources.resolved_parameters = {}
    resources.load_mapping()
    resources.load_parameters()
    resources.load_conditions()
    resources._resource_json_map = after = template["Resources"]
    now = resources.resolved_parameters
    changed = {name for name in {*now, *values} if now.get(name) != values.get(name)}
    for name in in_order(after):
        if name not in before:
            _ = resources[name]  # moto makes a resource when it is looked up.
            continue
        references = set(references_of(after[name]))
        conditional = "Condition" in after[name] and bool(changed)
        if after[name] == before[name] and not (references & changed) and not conditional:
            continue
        had = _physical_id(resources._parsed_resources.get(name))
        resources._parsed_resources[name] = parsing.parse_and_update_resource(
            name,
            after[name],
            resources,
            account_id=resources._account_id,
            region_name=resources._region_name,
        )
        if _physical_id(resources._parsed_resources[name]) != had:
            changed.add(name)
    for name in [item for item in reversed(list(resources._parsed_resources)) if item in before]:
        if name in after:
            continue
        resource = resources._parsed_resources.pop(name)
        if resource is not None and before[name].get("DeletionPolicy") != "Retain":
            resources._delete_resource(resource, before[name])


def in_order(resources: Mapping[str, Any]) -> Iterator[str]:
    """Yield the logical ids, each behind those that it refers to or depends on."""
    seen: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        if name in seen or name not in resources:
            return
        seen.add(name)
        wanted = resources[name].get("DependsOn", [])
        for other in [*([wanted] if isinstance(wanted, str) else wanted), *references_of(resources[name])]:
            yield from visit(other)
        yield name

    for name in resources:
        yield from visit(name)


def references_of(element: Any) -> Iterator[str]:
    """Yield what `Ref`, `Fn::GetAtt` and `Fn::Sub` in *element* name: resources and parameters."""
    if isinstance(element, list):
        for item in element:
            yield from references_of(item)
    if not isinstance(element, Mapping):
        return
    for key, value in element.items():
        match key:
            case "Ref" if isinstance(value, str):
                yield value
            case "Fn::GetAtt":
                yield value.split(".")[0] if isinstance(value, str) else str(value[0])
            case "Fn::Sub":
                text = value if isinstance(value, str) else value[0]
                yield from _IN_SUB.findall(text)
                yield from references_of(value)
            case _:
                yield from references_of(value)


def _physical_id(resource: Any) -> Any:
    return getattr(resource, "physical_resource_id", None)
