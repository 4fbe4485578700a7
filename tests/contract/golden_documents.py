"""The golden documents, and how a test changes one of them."""

import copy
import json
from pathlib import Path
from typing import Any

from contract.documents import AdoptionReport, EndpointDocument
from contract.settings import SiteSettings

FOLDER = Path(__file__).with_name("golden")

Document = EndpointDocument | AdoptionReport | SiteSettings

# By the beginning of a file's name.
KINDS: dict[str, type[Document]] = {
    "endpoint-document-1-": EndpointDocument,
    "adoption-report-1-": AdoptionReport,
    "site-settings-1-": SiteSettings,
}


def paths(beginning: str) -> list[Path]:
    """Return the golden documents of one kind."""
    return sorted(FOLDER.glob(f"{beginning}*.json"))


def golden(name: str) -> dict[str, Any]:
    """Read one golden document, without the product's own reader."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return document


def changed(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a copy in which the field at *path* (as messages show it) has another value."""
    copied = copy.deepcopy(document)
    *parents, last = path.replace("[", ".").replace("]", "").split(".")
    target: Any = copied
    for parent in parents:
        target = target[int(parent) if isinstance(target, list) else parent]
    target[int(last) if isinstance(target, list) else last] = value
    return copied


def without(document: dict[str, Any], field: str) -> dict[str, Any]:
    """Return a copy that lacks a field."""
    return {name: value for name, value in document.items() if name != field}
