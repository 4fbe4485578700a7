"""
A backup server that exists only in memory, or as the stand-ins' files.

The fakes and the stand-in adapters take the same tests. `Watched` sees every call that changes something,
finds out by itself which those are, and can end the program there.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self, cast

from contract import names
from contract.documents import EndpointDocument, EndpointState, RepositoryBucket
from onprem_client.adoption import Wish
from onprem_client.checks.protocols import Network
from onprem_client.client import Client
from onprem_client.configuration import Configuration, load
from onprem_client.errors import CloudError, ServerError
from onprem_client.journal import Journal
from onprem_client.parameter_store import Parameter, ParameterStore
from onprem_client.resources.registry_value import KEY, NAME
from onprem_client.resources.service_restart import SERVICE
from onprem_client.result import Result
from onprem_client.secret import Secret
from onprem_client.veeam.protocols import Vbr
from onprem_client.windows.files import WholeFiles
from onprem_client.windows.machine import Machine, machine
from onprem_client.windows.protocols import Files, Lock, Registry, RegistryValue, Services, ServiceState
from tests.client.fake_vbr import FakeVbr
from tests.client.region_files import DEFAULT, ENDPOINT_ID, HOST, REGION

SITE = names.SiteName("tokyo")
READS = {
    "has_key",
    "read",
    "state",
    "dependents",
    "info",
    "jobs",
    "work",
    "session",
    "repositories",
    "is_online",
    "credentials",
    "managed_servers",
    "folders",
}
VBR = """[vbr]
url = "https://vbr01.example"
user = "administrator"
"""


class FakeRegistry:
    """A registry with VBR's key."""

    def __init__(self, folder: Path) -> None:
        self.values: dict[str, RegistryValue] = {"CorePath": RegistryValue("REG_SZ", str(folder))}

    def has_key(self, key: str) -> bool:
        return key == KEY

    def read(self, key: str, name: str) -> RegistryValue | None:
        assert key == KEY
        return self.values.get(name)

    def write(self, key: str, name: str, value: RegistryValue) -> None:
        assert key == KEY
        self.values[name] = value

    def delete(self, key: str, name: str) -> None:
        assert key == KEY
        self.values.pop(name, None)


class FakeFiles:
    """Files in memory, with what is staged for them."""

    def __init__(self) -> None:
        self.contents: dict[Path, bytes] = {}
        self.staged: dict[Path, bytes] = {}

    def read(self, path: Path) -> bytes | None:
        return self.contents.get(path)

    def stage(self, path: Path, content: bytes) -> None:
        self.staged[path] = content

    def put_in_place(self, path: Path) -> None:
        if path not in self.staged:
            raise ServerError(f"{path} can't be replaced: nothing is staged")
        self.contents[path] = self.staged.pop(path)

    def discard(self, path: Path) -> None:
        self.staged.pop(path, None)


class FakeServices:
    """
    Services that need one look in a pending state before they arrive.

    The main service remembers the file and the registry value that it read when it started, as VBR does.
    """

    def __init__(self, loads: Callable[[], tuple[bytes | None, RegistryValue | None]]) -> None:
        self.states = {
            SERVICE: ServiceState.RUNNING,
            "Catalog": ServiceState.RUNNING,
            "Idle": ServiceState.STOPPED,
        }
        self.order: tuple[str, ...] = ("Catalog", "Idle")
        self.restarts = 0
        self.on_stop: Callable[[], None] = lambda: None
        self.stuck: set[tuple[str, str]] = set()
        self._loads = loads
        self.loaded = loads()

    def state(self, name: str) -> ServiceState:
        if name not in self.states:
            raise ServerError(f"service {name} does not exist")
        state = self.states[name]
        if state is ServiceState.STOP_PENDING and (name, "stop") not in self.stuck:
            self.states[name] = ServiceState.STOPPED
        elif state is ServiceState.START_PENDING and (name, "start") not in self.stuck:
            self.states[name] = ServiceState.RUNNING
            if name == SERVICE:
                self.restarts += 1
                self.loaded = self._loads()
        return state

    def dependents(self, name: str) -> tuple[str, ...]:
        return self.order if name == SERVICE else ()

    def request_stop(self, name: str) -> None:
        if self.states[name] is ServiceState.RUNNING:
            self.states[name] = ServiceState.STOP_PENDING
            if name == SERVICE:
                self.on_stop()

    def request_start(self, name: str) -> None:
        if self.states[name] is ServiceState.STOPPED:
            self.states[name] = ServiceState.START_PENDING


class FakeLock:
    """A lock that nobody else wants."""

    @contextmanager
    def held(self) -> Iterator[None]:
        yield


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.wall = datetime(2026, 1, 31, 12, 0)  # noqa: DTZ001 - local time names no zone

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def now(self) -> str:
        return "2026-01-31T22:00:00Z"

    def local(self) -> datetime:
        return self.wall


class FakeParameters:
    """Parameter Store in memory."""

    def __init__(self) -> None:
        self.values: dict[str, Parameter] = {}
        self.puts: list[tuple[str, str]] = []
        self.unreachable = False

    def get(self, name: str) -> Parameter | None:
        self._reach()
        return self.values.get(name)

    def put(self, name: str, value: str) -> None:
        self._reach()
        self.puts.append((name, value))

    def publish(self, value: str, *, site: str = SITE) -> None:
        name = f"/vbr-privatelink/{site}/endpoint"
        version = self.values[name].version + 1 if name in self.values else 1
        self.values[name] = Parameter(value, version)

    def _reach(self) -> None:
        if self.unreachable:
            raise CloudError("AWS Systems Manager can't be reached")

    def outcomes(self) -> list[str]:
        return [json.loads(value)["outcome"] for _name, value in self.puts]


class FakeSecrets:
    """Secrets in memory."""

    def __init__(self) -> None:
        self.values: dict[str, Secret] = {}

    def read(self, name: str) -> Secret | None:
        return self.values.get(name)

    def write(self, name: str, value: Secret) -> None:
        self.values[name] = value

    def delete(self, name: str) -> None:
        self.values.pop(name, None)


class Watched:
    """Passes calls on; `on_change` is told of each one that changes something, before and after it."""

    def __init__(self, target: object, on_change: Callable[[str, str], None]) -> None:
        self._target = target
        self._on_change = on_change

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if name in READS or not callable(method):
            return method

        def watched(*arguments: Any, **named: Any) -> Any:
            what = f"{type(self._target).__name__}.{name}"
            self._on_change("before", what)
            result = method(*arguments, **named)
            self._on_change("after", what)
            return result

        return watched


def document(**changes: Any) -> str:
    """Return the site's document, with fields changed."""
    value = EndpointDocument(
        site=SITE,
        region=names.Region(REGION),
        account_id=names.AccountId("111122223333"),
        vpc_endpoint_id=names.EndpointId(ENDPOINT_ID),
        endpoint_host=names.EndpointHost(HOST),
        endpoint_addresses=("10.0.1.10",),
        buckets=(RepositoryBucket(name=names.BucketName("vbr-tokyo"), folder="vbr01", immutability_days=0),),
        state=EndpointState.ACTIVE,
        published_at="2026-01-31T21:00:00Z",
        execution="arn:aws:states:ap-northeast-1:111122223333:execution:reconcile:1",
    )
    return json.dumps({**json.loads(value.to_json()), **changes})


def configured(
    folder: Path, *, more: str = "", auto_apply: bool = True, sites: str | None = None
) -> Configuration:
    """Write a client.toml into *folder* and read it."""
    file = folder / "client.toml"
    site = f'[[site]]\nname = "{SITE}"\nregion = "{REGION}"\naccount_id = "111122223333"\n'
    file.write_text(
        f'strategy = "regions-file"\nserver = "vbr01"\nstate_folder = "state"\n'
        f"auto_apply = {str(auto_apply).lower()}\n"
        f"{more}\n{site if sites is None else sites}"
    )
    return load(file)


@dataclass(kw_only=True)
class Server:
    """A server, the cloud it talks to, and the means to look at both."""

    folder: Path
    registry: Registry
    services: Services
    files: Files
    clock: FakeClock = field(default_factory=FakeClock)
    parameters: FakeParameters = field(default_factory=FakeParameters)
    lock: Lock = field(default_factory=FakeLock)
    on_change: Callable[[str, str], None] | None = None
    configuration: Configuration
    vbr: Vbr | None = None
    secrets: FakeSecrets = field(default_factory=FakeSecrets)
    network: Network | None = None
    stop_running: bool = False
    take_ownership: bool = False

    def client(self) -> Client:
        return Client(
            self.configuration,
            self._machine(),
            self._store,
            self.clock,
            vbr=self._vbr(),
            secrets=self.secrets,
            network=self.network,
            stop_running=self.stop_running,
            take_ownership=self.take_ownership,
        )

    def _vbr(self) -> Vbr | None:
        if self.vbr is None or self.on_change is None:
            return self.vbr
        return cast("Vbr", Watched(self.vbr, self.on_change))

    def _machine(self) -> Machine:
        adapters = (self.registry, self.services, self.files)
        if self.on_change is not None:
            adapters = cast(
                "tuple[Registry, Services, Files]", tuple(Watched(one, self.on_change) for one in adapters)
            )
        registry, services, files = adapters
        return Machine(registry=registry, services=services, files=files, lock=self.lock)

    def _store(self, _region: names.Region) -> ParameterStore:
        return self.parameters

    def apply(self) -> Result:
        return self.client().apply(lambda _result: True)

    def run(self) -> Result:
        return self.client().run()

    def undo(self, site: str | None = None) -> Result:
        return self.client().undo(lambda _result: True, site=site)

    @property
    def path(self) -> Path:
        return self.folder / "Backup" / "AmazonS3Regions.xml"

    @property
    def xml(self) -> bytes:
        content = self.files.read(self.path)
        assert content is not None
        return content

    def replace_xml(self, content: bytes) -> None:
        self.files.stage(self.path, content)
        self.files.put_in_place(self.path)

    @property
    def value(self) -> RegistryValue | None:
        return self.registry.read(KEY, NAME)

    def journal(self) -> Journal:
        return Journal(self.configuration.state_folder, files=self.files)

    def service(self) -> ServiceState:
        return self.services.state(SERVICE)


class Memory(Server):
    """A server in memory, whose fakes can be looked at and tampered with."""

    @property
    def fake_services(self) -> FakeServices:
        assert isinstance(self.services, FakeServices)
        return self.services

    @property
    def fake_vbr(self) -> FakeVbr:
        assert isinstance(self.vbr, FakeVbr)
        return self.vbr

    @property
    def fake_files(self) -> FakeFiles:
        assert isinstance(self.files, FakeFiles)
        return self.files


def memory_server(
    folder: Path, *, more: str = "", auto_apply: bool = True, sites: str | None = None, rest: bool = False
) -> Memory:
    """Return a server in memory with a default file and a published document, with its REST API or not."""
    files = FakeFiles()
    install = folder / "Backup"
    xml = install / "AmazonS3Regions.xml"
    registry = FakeRegistry(install)
    files.contents[xml] = DEFAULT.before
    services = FakeServices(lambda: (files.contents.get(xml), registry.values.get(NAME)))
    vbr = FakeVbr(lambda: services.states[SERVICE] is ServiceState.RUNNING) if rest else None
    if vbr is not None:
        services.on_stop = vbr.witness_stop
    server = Memory(
        folder=folder,
        registry=registry,
        services=services,
        files=files,
        configuration=configured(
            folder, more=f"{more}{VBR}" if rest else more, auto_apply=auto_apply, sites=sites
        ),
        vbr=vbr,
    )
    server.parameters.publish(document())
    return server


class StandInVbr:
    """The other side of the stand-in adapters: obeys the command files, through the pending states."""

    def __init__(self, folder: Path) -> None:
        self.services_folder = folder / "services"
        self.registry_file = folder / "registry.json"
        self.install = folder / "Backup"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.services_folder.mkdir(parents=True)
        self.install.mkdir()
        (self.install / "AmazonS3Regions.xml").write_bytes(DEFAULT.before)
        key = {"CorePath": {"type": "REG_SZ", "value": str(self.install)}}
        self.registry_file.write_text(json.dumps({KEY: key}, indent=2, sort_keys=True) + "\n")
        self._write("Catalog", "running", [])
        self._write(SERVICE, "running", ["Catalog"])

    def _write(self, name: str, state: str, dependents: list[str]) -> None:
        value = {
            "name": name,
            "display_name": name,
            "state": state,
            "dependents": dependents,
            "started_at": None,
        }
        new = self.services_folder / f"{name}.new"
        new.write_text(json.dumps(value))
        new.replace(self.services_folder / f"{name}.json")

    def _serve(self) -> None:
        while not self._ended.wait(0.001):
            for command in self.services_folder.glob("*.command"):
                name, wanted = command.stem, command.read_text()
                dependents = json.loads((self.services_folder / f"{name}.json").read_text())["dependents"]
                self._write(name, f"{wanted}_pending", dependents)
                command.unlink()
                self._write(name, {"stop": "stopped", "start": "running"}[wanted], dependents)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()


class ShortClock(FakeClock):
    """Real time in small sips: the stand-in's thread must get its turn."""

    def sleep(self, seconds: float) -> None:
        threading.Event().wait(0.002)
        self.seconds += seconds / 50


def stand_in_server(vbr: StandInVbr, folder: Path) -> Server:
    """Return the server behind the stand-in adapters, with real files and the real lock."""
    configuration = configured(
        folder,
        more=f'[stand_in]\nregistry_file = "{vbr.registry_file}"\n'
        f'services_folder = "{vbr.services_folder}"\n',
    )
    adapters = machine(state_folder=configuration.state_folder, stand_in=configuration.stand_in)
    server = Server(
        folder=vbr.install.parent,
        registry=adapters.registry,
        services=adapters.services,
        files=WholeFiles(),
        clock=ShortClock(),
        lock=adapters.lock,
        configuration=configuration,
    )
    server.parameters.publish(document())
    return server


def only(result: Result) -> Wish:
    """Return the only site of a result."""
    (wish,) = result.wishes
    return wish
