"""
What each command does: gather, decide, confirm, carry out, tell.

What can be decided is decided by `adoption.decide`, what changes the server is in `transaction`; this module
reads the server and the documents, asks, and tells the cloud what came of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from contract import names
from contract.documents import CheckResult, EndpointState, Outcome
from onprem_client import report
from onprem_client.adoption import Decision, Goal, Wish, decide
from onprem_client.clock import Clock
from onprem_client.configuration import Configuration, Site
from onprem_client.errors import (
    EXIT_DONE,
    EXIT_SOMETHING_WAITS,
    ChangedMeanwhileError,
    ClientError,
    CloudError,
    ConfigurationError,
    NotConfirmedError,
    NotPublishedError,
    ServiceNotRunningError,
)
from onprem_client.journal import Direction, Held, Journal, Memory, Pending
from onprem_client.parameter_store import ParameterStore, ParameterStores
from onprem_client.plan import Change
from onprem_client.report import News
from onprem_client.resources import region_file, registry_value, service_restart
from onprem_client.resources.region_xml import region_endpoints
from onprem_client.resources.service_restart import ServiceImage
from onprem_client.site_source import fetch
from onprem_client.transaction import Transactions
from onprem_client.windows.machine import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command found and did, for the operator and for `--json`."""

    command: str
    wishes: tuple[Wish, ...]
    changes: tuple[Change, ...] = ()
    changed: bool = False
    waiting: bool = False
    notes: tuple[str, ...] = ()
    problem: ClientError | None = None

    @property
    def problems(self) -> tuple[ClientError, ...]:
        """Return what went wrong, the most important first."""
        own = () if self.problem is None else (self.problem,)
        return (*own, *(wish.problem for wish in self.wishes if wish.problem is not None))

    @property
    def exit_code(self) -> int:
        """Return the first problem's code; a site that isn't published yet is none for `run`."""
        for problem in self.problems:
            if not (self.command == "run" and isinstance(problem, NotPublishedError)):
                return problem.exit_code
        return EXIT_SOMETHING_WAITS if self.waiting else EXIT_DONE


T = TypeVar("T")

Confirm = Callable[[Result], bool]


class Client:
    """The commands, on one server with one configuration."""

    def __init__(
        self, configuration: Configuration, machine: Machine, parameters: ParameterStores, clock: Clock
    ) -> None:
        self._configuration = configuration
        self._machine = machine
        self._parameters = parameters
        self._stores: dict[names.Region, ParameterStore] = {}
        self._clock = clock
        self._transactions = Transactions(
            machine=machine,
            clock=clock,
            stop_timeout=configuration.stop_timeout,
            start_timeout=configuration.start_timeout,
        )

    def plan(self) -> Result:
        """Say what `apply` would do; changes nothing."""
        journal = self._journal()
        decision = self._decide(self._wishes(journal.memory, held_too=True), journal.memory)
        notes = self._interrupted(journal)
        if not decision.changes_server:
            return Result(command="plan", wishes=decision.wishes, waiting=bool(notes), notes=notes)
        changes, problem = self._preview(decision)
        if journal.pending is not None:
            problem = None  # Then a stopped service is our own doing, and `run` starts it.
        return Result(
            command="plan",
            wishes=decision.wishes,
            changes=changes,
            waiting=True,
            notes=(*notes, *_warnings(decision)),
            problem=problem,
        )

    def apply(self, confirm: Confirm) -> Result:
        """Make the server follow what is published; sites held by `undo` too."""
        with self._machine.lock.held():
            journal = self._journal()
            recovered = self._transactions.recover(journal)
            wishes = self._wishes(journal.memory, held_too=True)
            configured = {site.name for site in self._configuration.sites}
            held = {site: one for site, one in journal.memory.held.items() if site not in configured}
            decision = self._decide(wishes, replace(journal.memory, held=held))
            return self._finish(journal, "apply", decision, confirm, notes=recovered)

    def run(self) -> Result:
        """Do what the scheduled task is for: finish what was interrupted, then apply if that is allowed."""
        with self._machine.lock.held():
            journal = self._journal()
            recovered = self._transactions.recover(journal)
            decision = self._decide(self._wishes(journal.memory, held_too=False), journal.memory)
            if decision.changes_server and not self._configuration.auto_apply:
                changes, problem = self._preview(decision)
                return Result(
                    command="run",
                    wishes=decision.wishes,
                    changes=changes,
                    changed=bool(recovered),
                    waiting=True,
                    notes=(*recovered, "auto_apply is off: nothing was changed; `apply` does it"),
                    problem=problem,
                )
            return self._finish(journal, "run", decision, _yes, notes=recovered)

    def undo(self, confirm: Confirm, *, site: str | None = None) -> Result:
        """Go back to before the first apply, and hold the sites so that `run` doesn't bring them on again."""
        configured = {one.name: one.region for one in self._configuration.sites}
        with self._machine.lock.held():
            journal = self._journal()
            recovered = self._transactions.recover(journal)
            memory = journal.memory
            known = {*configured, *(one.site for one in memory.adopted.values())}
            if site is not None and site not in known:
                raise ConfigurationError(f"site {site} is not known here; known: {', '.join(sorted(known))}")
            wishes = [
                Wish(site=one.site, region=region, goal=Goal.REVERT)
                for region, one in memory.adopted.items()
                if site in (None, one.site)
            ]
            held = {
                one.site: Held(region=region, adopted=(one.vpc_endpoint_id, one.document_version))
                for region, one in memory.adopted.items()
                if site in (None, one.site)
            }
            decision = self._decide(wishes, memory)
            if not wishes and not decision.changes_server:
                held_now = ", ".join(sorted(memory.held))
                result = self._finish(journal, "undo", decision, confirm, notes=recovered)
                note = f"nothing to undo{f' (held: {held_now})' if held_now else ''}"
                return replace(result, notes=(*result.notes, note))
            if site is None:
                # A site that was set up by hand before us: nothing of it to undo, but `run` must not go on.
                for name, region in configured.items():
                    held.setdefault(name, Held(region=region, adopted=None))
            for wish in decision.wishes:
                if wish.problem is not None:
                    held.pop(wish.site, None)
            after = replace(decision.memory_after, held={**memory.held, **held})
            decision = replace(decision, memory_after=after)
            return self._finish(journal, "undo", decision, confirm, notes=recovered)

    def status(self) -> dict[str, object]:
        """Return everything there is to know; what can't be read says why instead."""
        configuration = self._configuration
        journal = self._journal()
        memory, pending = journal.memory, journal.pending
        path = _or_reason(lambda: str(registry_value.region_file(self._machine.registry)))
        service = service_restart.SERVICE
        return {
            "configuration": {
                key: {"value": value, "from": configuration.sources.get(key, "not set")}
                for key, value in configuration.values().items()
            },
            "sites": {site.name: self._site_status(site, memory) for site in configuration.sites},
            "server": {
                "registry": _or_reason(lambda: _absent(registry_value.read(self._machine.registry))),
                "region_file": path,
                "service": _or_reason(lambda: self._machine.services.state(service).value),
            },
            "journal": {
                "under_way": None
                if pending is None
                else {"command": pending.command, "direction": pending.direction, "since": pending.since},
                "registry_before_first_apply": None
                if memory.registry is None
                else _absent(memory.registry.value),
                "adopted": {
                    region: {"site": one.site, "host": one.host, "before": list(one.original.texts)}
                    for region, one in memory.adopted.items()
                },
                "held": sorted(memory.held),
                "reported": dict(memory.reported),
            },
        }

    def _site_status(self, site: Site, memory: Memory) -> dict[str, object]:
        shown: dict[str, object] = {
            "region": site.region,
            "held": site.name in memory.held,
            "endpoints_on_server": _or_reason(lambda: list(self._endpoints_now(site.region))),
        }
        try:
            published = fetch(site, self._store(site.region))
        except ClientError as error:
            return {**shown, "document": None, "problem": str(error)}
        document = published.document
        return {
            **shown,
            "document": {
                "version": published.version,
                "state": document.state,
                "vpc_endpoint_id": document.vpc_endpoint_id,
                "endpoint_host": document.endpoint_host,
                "published_at": document.published_at,
            },
            "problem": None,
        }

    # Reading.

    def _journal(self) -> Journal:
        return Journal(self._configuration.state_folder, files=self._machine.files)

    def _store(self, region: names.Region) -> ParameterStore:
        if region not in self._stores:
            self._stores[region] = self._parameters(region)
        return self._stores[region]

    def _endpoints_now(self, region: names.Region) -> tuple[str, ...]:
        return region_endpoints(
            region_file.read(self._machine.files, registry_value.region_file(self._machine.registry)),
            region=region,
        )

    def _wishes(self, memory: Memory, *, held_too: bool) -> list[Wish]:
        return [self._wish(site, memory, held_too=held_too) for site in self._configuration.sites]

    def _wish(self, site: Site, memory: Memory, *, held_too: bool) -> Wish:
        wish = Wish(site=site.name, region=site.region, goal=Goal.LEAVE)
        held = site.name in memory.held
        if held and not held_too:
            return replace(wish, note="held by undo; `apply` resumes")
        try:
            published = fetch(site, self._store(site.region))
        except ClientError as problem:
            return replace(wish, problem=problem)
        note = "held by undo: `run` leaves it, `apply` resumes" if held else None
        match published.document.state:
            case EndpointState.ACTIVE:
                return replace(wish, goal=Goal.ADOPT, published=published, note=note)
            case EndpointState.WITHDRAWN:
                return replace(wish, goal=Goal.REVERT, published=published, note=note)

    def _decide(self, wishes: Sequence[Wish], memory: Memory) -> Decision:
        return decide(
            registry=registry_value.read(self._machine.registry),
            file=region_file.read(self._machine.files, registry_value.region_file(self._machine.registry)),
            memory=memory,
            wishes=wishes,
        )

    def _preview(self, decision: Decision) -> tuple[tuple[Change, ...], ClientError | None]:
        problem: ClientError | None = None
        try:
            image = service_restart.read(self._machine.services)
        except ServiceNotRunningError as error:
            image, problem = ServiceImage(service=service_restart.SERVICE, dependents=()), error
        pending = self._pending("plan", decision, image)
        return tuple(
            self._transactions.changes(pending, memory=decision.memory_before, before_stop=lambda: None)
        ), problem

    def _interrupted(self, journal: Journal) -> tuple[str, ...]:
        if journal.pending is None:
            return ()
        pending = journal.pending
        return (
            f"{pending.command} of {pending.since} was interrupted; the next `run` puts that right first",
        )

    # Doing.

    def _finish(
        self, journal: Journal, command: str, decision: Decision, confirm: Confirm, *, notes: tuple[str, ...]
    ) -> Result:
        """Carry the decision out if there is anything to do, and tell the cloud what is news."""
        result = Result(command=command, wishes=decision.wishes, changed=bool(notes), notes=notes)
        failed: ClientError | None = None
        if decision.changes_server:
            try:
                image = service_restart.read(self._machine.services)
                pending = self._pending(command, decision, image)
                changes = tuple(
                    self._transactions.changes(
                        pending, memory=decision.memory_before, before_stop=journal.service_will_stop
                    )
                )
                result = replace(result, changes=changes, notes=(*notes, *_warnings(decision)))
                if not confirm(result):
                    return replace(result, problem=NotConfirmedError("not confirmed: nothing was changed"))
                self._transactions.carry_out(journal, pending, changes)
                result = replace(result, changed=True)
                self._verify(decision)
            except NotConfirmedError:
                raise
            except ClientError as error:
                failed = error
        elif decision.memory_after != journal.memory:
            journal.commit(decision.memory_after)
        said = self._tell(journal, decision, failed)
        return replace(result, problem=failed or said)

    def _verify(self, decision: Decision) -> None:
        """Read everything again: the report must say what is so, not what was meant."""
        now = (
            registry_value.read(self._machine.registry),
            region_file.read(self._machine.files, registry_value.region_file(self._machine.registry)),
        )
        if now != (decision.registry_after, decision.file_after):
            raise ChangedMeanwhileError(
                "the region file or the registry value was changed by something else during the restart; the "
                "next run looks at it again"
            )

    def _pending(self, command: str, decision: Decision, image: ServiceImage) -> Pending:
        return Pending(
            command=command,
            direction=Direction.FORWARD,
            registry_before=decision.registry_before,
            registry_after=decision.registry_after,
            file_before=decision.file_before,
            file_after=decision.file_after,
            service=image,
            service_touched=False,
            memory_after=decision.memory_after,
            since=self._clock.now(),
        )

    # Telling.

    def _tell(self, journal: Journal, decision: Decision, failed: ClientError | None) -> ClientError | None:
        """Put a report for each site that has news; what can't be told now is told by the next run."""
        problem: ClientError | None = None
        for news in self._news(journal.memory, decision, failed):
            if journal.memory.reported.get(news.site) == news.digest():
                continue
            try:
                report.put(
                    news,
                    server=self._configuration.server,
                    checks=self._checks(news),
                    at=self._clock.now(),
                    parameters=self._store(news.region),
                )
            except CloudError as error:
                problem = problem or CloudError(
                    f"the server is done ({news.outcome}), but that could not be reported; the next run "
                    f"tries again: {error}"
                )
                continue
            if journal.pending is None:
                reported = {**journal.memory.reported, news.site: news.digest()}
                journal.commit(replace(journal.memory, reported=reported))
        return problem

    def _news(self, memory: Memory, decision: Decision, failed: ClientError | None) -> list[News]:
        news: list[News] = []
        for wish in decision.wishes:
            problem = failed or wish.problem
            if wish.published is None or wish.goal is Goal.LEAVE:
                continue
            outcome = Outcome.ADOPTED if wish.goal is Goal.ADOPT else Outcome.REVERTED
            news.append(
                News(
                    site=wish.site,
                    region=wish.region,
                    vpc_endpoint_id=wish.published.document.vpc_endpoint_id,
                    document_version=wish.published.version,
                    document_meaning=wish.published.meaning(),
                    adopting=wish.goal is Goal.ADOPT,
                    outcome=outcome if problem is None else Outcome.FAILED,
                    error=None if problem is None else str(problem),
                )
            )
        told = {one.site for one in news}
        for site, held in memory.held.items():
            if held.adopted is not None and site not in told:
                endpoint, version = held.adopted
                news.append(
                    News(
                        site=site,
                        region=held.region,
                        vpc_endpoint_id=endpoint,
                        document_version=version,
                        document_meaning="undo",
                        adopting=False,
                        outcome=Outcome.REVERTED,
                        error=None,
                    )
                )
        return news

    def _checks(self, news: News) -> list[CheckResult]:
        """Look at the server once more, the way an operator would."""
        value = _or_reason(lambda: _absent(registry_value.read(self._machine.registry)))
        endpoints = _or_reason(lambda: ", ".join(self._endpoints_now(news.region)))
        state = _or_reason(lambda: self._machine.services.state(service_restart.SERVICE).value)
        follows = f".{news.vpc_endpoint_id}-" in str(endpoints)
        guarded = value == str(registry_value.WANTED)
        return [
            CheckResult(id="registry-value", ok=guarded or not news.adopting, detail=str(value)),
            CheckResult(id="region-file", ok=follows is news.adopting, detail=str(endpoints)),
            CheckResult(id="service", ok=state == "running", detail=str(state)),
        ]


def _warnings(decision: Decision) -> tuple[str, ...]:
    """Say what an operator must know before saying yes."""
    regions = [
        region
        for region in sorted({*decision.memory_before.adopted, *decision.memory_after.adopted})
        if decision.memory_before.adopted.get(region) != decision.memory_after.adopted.get(region)
    ]
    moved = [
        f"every Amazon S3 repository of {region} on this server follows the region file, not only the site's"
        for region in regions
    ]
    return (
        *moved,
        "what runs on the server can't be seen by this version: restarting the service interrupts its tasks",
    )


def _or_reason(read: Callable[[], T]) -> T | str:
    try:
        return read()
    except ClientError as error:
        return f"can't be read: {error}"


def _absent(value: object) -> str:
    return "absent" if value is None else str(value)


def _yes(_result: Result) -> bool:
    return True
