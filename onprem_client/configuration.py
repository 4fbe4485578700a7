"""
client.toml: read, checked, and remembered with where each value came from.

`client.example.toml` beside this file shows every key. An unknown key is refused, because a misspelt one
would silently mean its default.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from contract import names
from contract.errors import ContractError
from onprem_client.errors import ConfigurationError
from onprem_client.veeam.connection import fingerprint
from onprem_client.window import Window, window
from onprem_client.windows import machine
from onprem_client.windows.machine import StandIn

T = TypeVar("T")

STRATEGIES = ("regions-file", "service-point")
LONGEST_TIMEOUT = 3600
LONGEST_DRAIN = 24 * 3600
UNSEEN_WORK = ("postpone", "accept")
DEFAULT_VBR_PORT = 9419

_ACCESS_KEY_ID = re.compile(r"[A-Z0-9]{16,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySettings:
    """How a site's buckets are added to VBR as repositories; the secret key is not in here."""

    access_key_id: str
    name: str
    gateway_servers: tuple[str, ...]
    write_cache_folder: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One site whose endpoint this server uses."""

    name: names.SiteName
    region: names.Region
    account_id: names.AccountId | None
    acknowledged_buckets: tuple[str, ...] = ()
    repository: RepositorySettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VbrSettings:
    """How VBR's REST API is reached, and what may be asked of it; the password is not in here."""

    url: str
    host: str
    port: int
    user: str
    ca_file: Path | None
    fingerprint: str | None
    answer_timeout: float
    configuration_backup: bool
    drain_timeout: float
    stop_running: bool
    unseen_work: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Aws:
    """How Parameter Store is reached; what is None is left to the AWS SDK."""

    profile: str | None
    credentials_file: Path | None
    endpoint_url: str | None
    ca_bundle: Path | None
    s3_proxy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that client.toml says, and in `sources` where each value came from."""

    file: Path
    strategy: str
    auto_apply: bool
    server: names.ServerName
    state_folder: Path
    stop_timeout: float
    start_timeout: float
    window: Window | None
    vbr: VbrSettings | None
    aws: Aws
    sites: tuple[Site, ...]
    stand_in: StandIn | None
    sources: Mapping[str, str]

    def values(self) -> dict[str, object]:
        """Return each value under its key in client.toml, as `status` shows it."""
        shown: dict[str, object] = {
            "strategy": self.strategy,
            "auto_apply": self.auto_apply,
            "server": self.server,
            "state_folder": self.state_folder,
            "aws.profile": self.aws.profile,
            "aws.credentials_file": self.aws.credentials_file,
            "aws.endpoint_url": self.aws.endpoint_url,
            "aws.ca_bundle": self.aws.ca_bundle,
            "aws.s3_proxy": self.aws.s3_proxy,
            "window": None if self.window is None else str(self.window),
            "service.stop_timeout": self.stop_timeout,
            "service.start_timeout": self.start_timeout,
        }
        if self.vbr is not None:
            shown |= {
                "vbr.url": self.vbr.url,
                "vbr.user": self.vbr.user,
                "vbr.ca_file": self.vbr.ca_file,
                "vbr.fingerprint": self.vbr.fingerprint,
                "vbr.answer_timeout": self.vbr.answer_timeout,
                "vbr.configuration_backup": self.vbr.configuration_backup,
                "vbr.drain_timeout": self.vbr.drain_timeout,
                "vbr.stop_running": self.vbr.stop_running,
                "vbr.unseen_work": self.vbr.unseen_work,
            }
        for number, site in enumerate(self.sites):
            shown[f"site[{number}].name"] = site.name
            shown[f"site[{number}].region"] = site.region
            shown[f"site[{number}].account_id"] = site.account_id
            shown[f"site[{number}].acknowledged_buckets"] = list(site.acknowledged_buckets)
            if site.repository is not None:
                prefix = f"site[{number}].repository"
                shown[f"{prefix}.access_key_id"] = site.repository.access_key_id
                shown[f"{prefix}.name"] = site.repository.name
                shown[f"{prefix}.gateway_servers"] = list(site.repository.gateway_servers)
                shown[f"{prefix}.write_cache_folder"] = site.repository.write_cache_folder
        if self.stand_in is not None:
            shown["stand_in.registry_file"] = self.stand_in.registry_file
            shown["stand_in.services_folder"] = self.stand_in.services_folder
        return {key: str(value) if isinstance(value, Path) else value for key, value in shown.items()}


class _Table:
    """One table of the file: hands out each key once, checked, and refuses what is left over."""

    def __init__(self, values: object, *, prefix: str, file: Path, sources: dict[str, str]) -> None:
        if not isinstance(values, dict):
            raise ConfigurationError(f"{file}: {prefix.rstrip('.')} must be a table")
        self._left: dict[str, Any] = dict(values)
        self._known: list[str] = []
        self._prefix = prefix
        self._file = file
        self._sources = sources

    def refuse(self, key: str, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self._file}: {self._prefix}{key}: {problem}")

    def take(self, key: str, kind: type[T], wanted: str, *, default: T | None, origin: str) -> T | None:
        self._known.append(key)
        if key not in self._left:
            self._sources[f"{self._prefix}{key}"] = origin
            return default
        value = self._left.pop(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.refuse(key, f"must be {wanted}")
        self._sources[f"{self._prefix}{key}"] = str(self._file)
        return value

    def text(self, key: str, *, default: str | None = None, origin: str = "not set") -> str | None:
        value = self.take(key, str, "a text in quotes", default=default, origin=origin)
        if value is not None and not value.strip():
            raise self.refuse(key, "is empty; leave the line out instead")
        return value

    def required(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            raise self.refuse(key, "is missing")
        return value

    def path(self, key: str) -> Path | None:
        """Take a path; a relative one counts from the folder that client.toml is in."""
        value = self.text(key)
        return None if value is None else self._file.parent / value

    def required_path(self, key: str) -> Path:
        return self._file.parent / self.required(key)

    def seconds(self, key: str, *, default: int, longest: int = LONGEST_TIMEOUT) -> float:
        value = self.take(key, object, "a number of seconds", default=default, origin="default")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= longest:
            raise self.refuse(key, f"must be a number of seconds, above 0 and at most {longest}")
        return value

    def yes_or_no(self, key: str, *, default: bool) -> bool:
        return bool(self.take(key, bool, "true or false", default=default, origin="default"))

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list, 'a list of texts, such as ["one", "two"]', default=[], origin="not set")
        if not all(isinstance(value, str) and value.strip() for value in values or []):
            raise self.refuse(key, 'must be a list of texts, such as ["one", "two"]')
        return tuple(values or [])

    def checked(self, key: str, value: str, check: Callable[..., T]) -> T:
        try:
            return check(value, field=key)
        except ContractError as error:
            raise self.refuse(key, error.problem) from error

    def table(self, key: str) -> "_Table | None":
        self._known.append(key)
        if key not in self._left:
            return None
        return _Table(
            self._left.pop(key), prefix=f"{self._prefix}{key}.", file=self._file, sources=self._sources
        )

    def tables(self, key: str) -> "list[_Table]":
        self._known.append(key)
        values = self._left.pop(key, [])
        if not isinstance(values, list):
            raise self.refuse(key, f"must be written as [[{key}]], once for each")
        return [
            _Table(value, prefix=f"{key}[{number}].", file=self._file, sources=self._sources)
            for number, value in enumerate(values)
        ]

    def finish(self) -> None:
        for key in self._left:
            near = difflib.get_close_matches(key, self._known, n=1)
            fix = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(self._known)}"
            raise self.refuse(
                key[:60].encode("ascii", "backslashreplace").decode(), f"is not a known key; {fix}"
            )


def load(file: Path) -> Configuration:
    """Read client.toml; raises ConfigurationError that names the key and the fix."""
    file = file.absolute()
    try:
        # A byte order mark is what Windows editors put there.
        values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{file} does not exist; client.example.toml shows what goes into it"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}") from error
    sources: dict[str, str] = {}
    top = _Table(values, prefix="", file=file, sources=sources)
    strategy = top.required("strategy")
    if strategy not in STRATEGIES:
        raise top.refuse("strategy", f'must be "{STRATEGIES[0]}" or "{STRATEGIES[1]}"')
    auto_apply = top.yes_or_no("auto_apply", default=False)
    server = top.text("server", default=machine.host_name(), origin="default: this machine's host name")
    configuration = Configuration(
        file=file,
        strategy=strategy,
        auto_apply=auto_apply,
        server=top.checked("server", server or "", names.server_name),
        state_folder=_state_folder(top, sources),
        **_service(top, file, sources),
        window=_window(top),
        vbr=_vbr(top),
        aws=_aws(top, file, sources),
        sites=_sites(top),
        stand_in=_stand_in(top),
        sources=sources,
    )
    top.finish()
    if strategy == "service-point":
        if configuration.vbr is None:
            raise top.refuse("vbr", 'is missing; strategy "service-point" does everything through REST')
        for number, site in enumerate(configuration.sites):
            if site.repository is None:
                raise top.refuse(f"site[{number}].repository", 'is missing: "service-point" needs it')
    return configuration


def _state_folder(top: _Table, sources: dict[str, str]) -> Path:
    folder = top.path("state_folder")
    if folder is not None:
        return folder
    if machine.DEFAULT_STATE_FOLDER is None:
        raise top.refuse("state_folder", "is missing; only Windows has a default for it")
    sources["state_folder"] = "default"
    return machine.DEFAULT_STATE_FOLDER


def _service(top: _Table, file: Path, sources: dict[str, str]) -> dict[str, float]:
    table = top.table("service") or _Table({}, prefix="service.", file=file, sources=sources)
    timeouts = {
        "stop_timeout": table.seconds("stop_timeout", default=120),
        "start_timeout": table.seconds("start_timeout", default=300),
    }
    table.finish()
    return timeouts


def _window(top: _Table) -> Window | None:
    text = top.text("window")
    if text is None:
        return None
    found = window(text)
    if found is None:
        raise top.refuse("window", 'must be written as "22:00-04:00", with two different times')
    return found


def _vbr(top: _Table) -> VbrSettings | None:
    table = top.table("vbr")
    if table is None:
        return None
    url = table.required("url")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise table.refuse("url", f"is no address: {error}") from error
    bare = (parts.path in ("", "/")) and not parts.query and not parts.fragment and parts.username is None
    if parts.scheme != "https" or not host or not host.isascii() or not bare:
        raise table.refuse("url", f"must be written as https://host or https://host:{DEFAULT_VBR_PORT}")
    pin = table.text("fingerprint")
    settings = VbrSettings(
        url=url,
        host=host,
        port=port or DEFAULT_VBR_PORT,
        user=table.required("user"),
        ca_file=table.path("ca_file"),
        fingerprint=None if pin is None else fingerprint(pin),
        answer_timeout=table.seconds("answer_timeout", default=180),
        configuration_backup=table.yes_or_no("configuration_backup", default=True),
        drain_timeout=table.seconds("drain_timeout", default=1800, longest=LONGEST_DRAIN),
        stop_running=table.yes_or_no("stop_running", default=False),
        unseen_work=table.text("unseen_work", default=UNSEEN_WORK[0], origin="default") or "",
    )
    if pin is not None and settings.fingerprint is None:
        raise table.refuse(
            "fingerprint", "must be the certificate's SHA-256 fingerprint: 64 hexadecimal digits"
        )
    if settings.ca_file is not None and settings.fingerprint is not None:
        raise table.refuse("fingerprint", "and ca_file exclude each other; keep one of them")
    if settings.ca_file is not None and not settings.ca_file.is_file():
        raise table.refuse("ca_file", f"there is no file {settings.ca_file}")
    if settings.unseen_work not in UNSEEN_WORK:
        raise table.refuse("unseen_work", f'must be "{UNSEEN_WORK[0]}" or "{UNSEEN_WORK[1]}"')
    table.finish()
    return settings


def _aws(top: _Table, file: Path, sources: dict[str, str]) -> Aws:
    table = top.table("aws") or _Table({}, prefix="aws.", file=file, sources=sources)
    aws = Aws(
        profile=table.text("profile"),
        credentials_file=table.path("credentials_file"),
        endpoint_url=table.text("endpoint_url"),
        ca_bundle=table.path("ca_bundle"),
        s3_proxy=table.text("s3_proxy"),
    )
    if aws.s3_proxy is not None and not re.fullmatch(r"http://[A-Za-z0-9.\[\]:-]+/?", aws.s3_proxy):
        raise table.refuse("s3_proxy", "must be written as http://host:port, without a name or a password")
    if aws.endpoint_url is not None and not aws.endpoint_url.startswith(("https://", "http://127.0.0.1:")):
        raise table.refuse("endpoint_url", "must begin with https://")
    for key, path in (("credentials_file", aws.credentials_file), ("ca_bundle", aws.ca_bundle)):
        if path is not None and not path.is_file():
            raise table.refuse(key, f"there is no file {path}")
    table.finish()
    return aws


def _sites(top: _Table) -> tuple[Site, ...]:
    sites: list[Site] = []
    for table in top.tables("site"):
        account = table.text("account_id")
        site = Site(
            name=table.checked("name", table.required("name"), names.site_name),
            region=table.checked("region", table.required("region"), names.region),
            account_id=None if account is None else table.checked("account_id", account, names.account_id),
            acknowledged_buckets=table.texts("acknowledged_buckets"),
            repository=_repository(table),
        )
        table.finish()
        for other in sites:
            if other.name == site.name:
                raise table.refuse("name", f"site {site.name} is there twice")
            if other.region == site.region:
                raise table.refuse(
                    "region",
                    f"sites {other.name} and {site.name} both move {site.region}; a region has one endpoint "
                    "on a server, so keep one of them",
                )
        sites.append(site)
    if not sites:
        raise top.refuse("site", "is missing; name at least one site under [[site]]")
    return tuple(sites)


def _repository(site: _Table) -> RepositorySettings | None:
    table = site.table("repository")
    if table is None:
        return None
    key = table.required("access_key_id")
    if not _ACCESS_KEY_ID.fullmatch(key):
        raise table.refuse("access_key_id", "is no access key id, such as AKIAIOSFODNN7EXAMPLE")
    settings = RepositorySettings(
        access_key_id=key,
        name=table.text("name", default="S3 through PrivateLink", origin="default") or "",
        gateway_servers=table.texts("gateway_servers"),
        write_cache_folder=table.text("write_cache_folder"),
    )
    table.finish()
    return settings


def _stand_in(top: _Table) -> StandIn | None:
    table = top.table("stand_in")
    if table is None:
        return None
    stand_in = StandIn(
        registry_file=table.required_path("registry_file"),
        services_folder=table.required_path("services_folder"),
    )
    table.finish()
    return stand_in
