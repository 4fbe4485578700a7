"""
JSON Schemas of `cdk.json` and `client.toml`, for completion in editors.

They are not written by hand: the readers of the settings themselves are run on the examples, and a recorder
in the place of their table of fields writes down what they ask for. So a schema knows each field, whether
it must be there, its limits and its pattern; what the readers check beyond that they say at synth.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from contract import settings as site_settings
from contract.errors import ContractError
from contract.reading import Fields
from generate.descriptions import CLIENT, SETTINGS
from onprem_client import configuration
from stacks import control_plane_settings, hub_settings
from stacks import settings as stack_settings

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = ROOT / "schemas"
EXAMPLES = ROOT / "examples"
_DRAFT = "http://json-schema.org/draft-07/schema#"

Schema = dict[str, Any]

# What a check demands, where it is no pattern.
_CHECKS: dict[str, Schema] = {
    "contract.settings._cidr": {"type": "string", "examples": ["192.168.0.0/16"]},
    "stacks.settings._key_number": {"type": "integer", "minimum": 1, "maximum": stack_settings.LAST_KEY},
    "stacks.settings._email": {"type": "string", "format": "email"},
    "stacks.settings._retention": {"enum": sorted(stack_settings._RETENTION)},
}
# What client.toml's reader checks after it has taken a text.
_TEXTS: dict[str, Schema] = {
    "strategy": {"enum": list(configuration.STRATEGIES)},
    "vbr.unseen_work": {"enum": list(configuration.UNSEEN_WORK)},
    "vbr.url": {"pattern": "^https://"},
    "window": {"pattern": "^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$"},
    "site[].repository.access_key_id": {"pattern": f"^{configuration._ACCESS_KEY_ID.pattern}$"},
}


class GenerationError(Exception):
    """The code has something that this module or the examples don't know; the message says what to add."""


class Record:
    """What the readers ask for: schemas by path, such as `sites[].buckets`, and what may be missing."""

    def __init__(self) -> None:
        self.fields: dict[str, Schema] = {}
        self.tables: set[str] = set()
        self.optional: set[str] = set()

    def add(self, path: str, schema: Schema) -> None:
        """Remember a field; the readers are run several times and ask for the same."""
        self.fields[path] = schema

    def schema(self, path: str, descriptions: Mapping[str, str]) -> Schema:
        """Put the fields below *path* together."""
        begin = f"{path}." if path else ""
        children = sorted(
            field
            for field in self.fields.keys() | self.optional
            if field.startswith(begin) and not re.search(r"[.]", field[len(begin) :].removesuffix("[]"))
        )
        properties: dict[str, Schema] = {}
        for field in children:
            if field not in self.fields:
                raise GenerationError(f"no example has {field}; add it to one in examples/")
            says = descriptions.get(field) or descriptions.get(field.replace("hub.overrides[]", "sites[]"))
            if says is None:
                raise GenerationError(f"generate/descriptions.py says nothing of {field}")
            properties[field[len(begin) :]] = {
                "description": says,
                **self._whole(field, descriptions),
            }
        return {
            "type": "object",
            "additionalProperties": False,
            "required": [field[len(begin) :] for field in children if field not in self.optional],
            "properties": properties,
        }

    def _whole(self, field: str, descriptions: Mapping[str, str]) -> Schema:
        schema = dict(self.fields[field])
        if f"{field}[]" in self.tables:
            return {**schema, "items": self.schema(f"{field}[]", descriptions)}
        return self.schema(field, descriptions) if field in self.tables else schema


def _plain(path: str) -> str:
    """`settings.sites[3].site` and `sites[].site` are the same field."""
    return re.sub(r"\[[0-9]+\]", "[]", path).removeprefix("settings.").removeprefix("settings")


def _of_check(check: Callable[..., object]) -> Schema | None:
    """Ask a check what it wants, by giving it what no check accepts; None: an object with fields."""
    known = _CHECKS.get(f"{check.__module__}.{check.__qualname__}")
    if known is not None:
        return known
    try:
        check(object(), field="")
    except ContractError as error:
        if error.pattern is not None:
            return {"type": "string", "pattern": f"^(?:{error.pattern})$"}
        if error.problem == "is not a JSON object":
            return None
    raise GenerationError(
        f"{check.__module__}.{check.__qualname__} says nothing that a schema could say; add it to _CHECKS"
    )


def _recording_fields(record: Record) -> type[Fields]:
    class Recording(Fields):
        """Reads as usual, and writes down what it was asked for."""

        def __init__(self, value: object, *, where: str = "") -> None:
            super().__init__(value, where=where)
            # A site is read once more, on its own, as the workflow will read it.
            self._seen = record if where.startswith("settings") else Record()
            self._seen.tables.add(_plain(where))

        def _path(self, field: str) -> str:
            return _plain(self.name(field))

        def has(self, field: str) -> bool:
            self._seen.optional.add(self._path(field))
            return super().has(field)

        def checked(self, field: str, check: Callable[..., T]) -> T:
            self._seen.add(self._path(field), _of_check(check) or {"type": "object"})
            return super().checked(field, check)

        def integer(self, field: str, *, least: int, most: int) -> int:
            self._seen.add(self._path(field), {"type": "integer", "minimum": least, "maximum": most})
            return super().integer(field, least=least, most=most)

        def boolean(self, field: str) -> bool:
            self._seen.add(self._path(field), {"type": "boolean"})
            return super().boolean(field)

        def one_of(self, field: str, allowed: Sequence[str]) -> str:
            self._seen.add(self._path(field), {"enum": [str(value) for value in allowed]})
            return super().one_of(field, allowed)

        def text(self, field: str, *, longest: int) -> str:
            self._seen.add(self._path(field), {"type": "string", "maxLength": longest})
            return super().text(field, longest=longest)

        def each(self, field: str, check: Callable[..., T], *, least: int = 0, most: int) -> tuple[T, ...]:
            path, items = self._path(field), _of_check(check)
            schema: Schema = {"type": "array", "minItems": least, "maxItems": most}
            self._seen.add(path, schema if items is None else {**schema, "items": items})
            if least == 0:
                self._seen.optional.add(path)
            return super().each(field, check, least=least, most=most)

    return Recording


def settings_schema() -> Schema:
    """Describe cdk.json, as far as the product reads it."""
    record = Record()
    fields = _recording_fields(record)
    with (
        patch.object(site_settings, "Fields", fields),
        patch.object(stack_settings, "Fields", fields),
        patch.object(hub_settings, "Fields", fields),
        patch.object(control_plane_settings, "Fields", fields),
    ):
        for example in sorted(EXAMPLES.glob("*/cdk.json")):
            stack_settings.AppSettings.from_context(
                json.loads(example.read_text(encoding="utf-8"))["context"]["settings"]
            )
    _narrow_overrides(record)
    _nothing_left(SETTINGS, record)
    return {
        "$schema": _DRAFT,
        "title": "cdk.json of VBR PrivateLink",
        "type": "object",
        "properties": {
            "context": {"type": "object", "properties": {"settings": record.schema("", SETTINGS)}}
        },
    }


def _narrow_overrides(record: Record) -> None:
    """An override is read on top of a whole site, and may only say some of its fields."""
    begin = "hub.overrides[]."
    own = {f"{begin}{name}" for name in ("account_id", "region", "site")}
    record.fields = {
        path: schema for path, schema in record.fields.items() if not path.startswith(begin) or path in own
    }
    record.optional = {path for path in record.optional if not path.startswith(begin) or path in own}
    for name in hub_settings._MAY_DIFFER:
        record.add(f"{begin}{name}", record.fields[f"sites[].{name}"])
        record.optional.add(f"{begin}{name}")


def _recording_table(record: Record) -> type[configuration._Table]:
    class Recording(configuration._Table):
        """Reads as usual, and writes down what it was asked for."""

        def _path(self, key: str) -> str:
            return _plain(f"{self._prefix}{key}")

        def take(self, key: str, kind: type[T], wanted: str, *, default: T | None, origin: str) -> T | None:
            path = self._path(key)
            kinds: dict[type, Schema] = {
                bool: {"type": "boolean"},
                list: {"type": "array", "items": {"type": "string"}},
                str: {"type": "string", **_TEXTS.get(path, {})},
                object: {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": configuration.LONGEST_TIMEOUT,
                },
            }
            record.add(path, {**kinds[kind], **record.fields.get(path, {})})
            record.optional.add(path)
            return super().take(key, kind, wanted, default=default, origin=origin)

        def seconds(self, key: str, *, default: int, longest: int = configuration.LONGEST_TIMEOUT) -> float:
            record.add(self._path(key), {"maximum": longest, "default": default})
            return super().seconds(key, default=default, longest=longest)

        def required(self, key: str) -> str:
            value = super().required(key)
            record.optional.discard(self._path(key))
            return value

        def required_path(self, key: str) -> Path:
            return super().required_path(key)

        def checked(self, key: str, value: str, check: Callable[..., T]) -> T:
            path = self._path(key)
            record.add(path, {**record.fields.get(path, {}), **(_of_check(check) or {})})
            return super().checked(key, value, check)

        def table(self, key: str) -> "configuration._Table | None":
            path = self._path(key)
            record.optional.add(path)
            found = super().table(key)
            if found is not None:
                record.add(path, {"type": "object"})
                record.tables.add(path)
            return found

        def tables(self, key: str) -> "list[configuration._Table]":
            path = self._path(key)
            record.add(path, {"type": "array", "minItems": 1})
            record.tables.add(f"{path}[]")
            return super().tables(key)

    return Recording


@contextmanager
def every_line_of_the_example() -> Iterator[list[Path]]:
    """
    Write client.example.toml with its commented lines as well.

    Two settings exclude each other, so it takes two files. Certificates that it names have to be there.
    """
    example = ROOT / "onprem_client" / "client.example.toml"
    text = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", example.read_text(encoding="utf-8"))
    text = re.sub(r"'C:\\ProgramData\\vbr-privatelink\\([a-z.-]+)'", r'"\1"', text)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("credentials", "proxy-ca.pem", "vbr-ca.pem"):
            (folder / name).touch()
        files = []
        for number, left_out in enumerate(("ca_file", "fingerprint")):
            file = folder / f"client-{number}.toml"
            file.write_text(re.sub(rf"(?m)^{left_out} = .*$", "", text), encoding="utf-8")
            files.append(file)
        yield files


def client_schema() -> Schema:
    """Describe client.toml."""
    record = Record()
    with (
        patch.object(configuration, "_Table", _recording_table(record)),
        every_line_of_the_example() as files,
    ):
        for file in files:
            configuration.load(file)
    # Only Windows has a default for it.
    record.optional.add("state_folder")
    _nothing_left(CLIENT, record)
    return {"$schema": _DRAFT, "title": "client.toml of VBR PrivateLink", **record.schema("", CLIENT)}


def _nothing_left(descriptions: Mapping[str, str], record: Record) -> None:
    left = sorted(descriptions.keys() - record.fields.keys() - record.optional)
    if left:
        raise GenerationError(f"generate/descriptions.py speaks of what no reader asks for: {left[0]}")


def files() -> dict[Path, str]:
    """Return what belongs into each file."""
    return {
        SCHEMAS / "cdk.schema.json": json.dumps(settings_schema(), indent=2) + "\n",
        SCHEMAS / "client.schema.json": json.dumps(client_schema(), indent=2) + "\n",
    }
