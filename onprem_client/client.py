"""
What each command does: gather, decide, confirm, carry out, tell.

What can be decided is decided by `adoption.decide`, what changes the server is in `transaction`; this module
reads the server and the documents, asks, and tells the cloud what came of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from contract import names
from contract.documents import CheckResult, Outcome
from onprem_client import report
from onprem_client.adoption import Decision, Goal, Wish, decide
from onprem_client.caution import Caution, Seen
from onprem_client.checks.check import Checked, failing
from onprem_client.checks.protocols import Network
from onprem_client.clock import Clock
from onprem_client.configuration import Configuration, Site
from onprem_client.errors import (
    ChangedMeanwhileError,
    CheckFailedError,
    ClientError,
    ConfigurationError,
    JobsDisabledError,
    NotConfirmedError,
    RepositoryError,
    RollbackError,
    ServiceNotRunningError,
    VbrError,
)
from onprem_client.journal import Direction, Held, Journal, Memory, Pending
from onprem_client.parameter_store import ParameterStore, ParameterStores
from onprem_client.plan import Change
from onprem_client.report import News
from onprem_client.resources import region_file, registry_value, service_restart
from onprem_client.resources.region_xml import region_endpoints
from onprem_client.resources.repository import Repositories
from onprem_client.resources.service_restart import ServiceImage
from onprem_client.result import NOT_BY_ITSELF, Confirm, Result
from onprem_client.secret import Secret
from onprem_client.site_repositories import RepositoryPlan, SiteRepositories
from onprem_client.site_source import fetch
from onprem_client.transaction import Transactions
from onprem_client.veeam.protocols import Vbr
from onprem_client.windows.machine import Machine
from onprem_client.windows.protocols import Secrets
from onprem_client.wishes import wish_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Everything that is done to the server; `afterwards` is no longer taken back."""

    pending: Pending
    changes: tuple[Change, ...]
    afterwards: tuple[Change, ...]

    @property
    def all(self) -> tuple[Change, ...]:
        """Return them as a person reads them."""
        return (*self.changes, *self.afterwards)


T = TypeVar("T")


class Client:
    """The commands, on one server with one configuration."""

    def __init__(
        self,
        configuration: Configuration,
        machine: Machine,
        parameters: ParameterStores,
        clock: Clock,
        *,
        vbr: Vbr | None = None,
        secrets: Secrets | None = None,
        network: Network | None = None,
        stop_running: bool = False,
        take_ownership: bool = False,
    ) -> None:
        self._configuration = configuration
        self._vbr = vbr
        self._looked: dict[names.SiteName, list[Checked]] = {}

        def secret(name: str) -> Secret | None:
            return None if secrets is None else secrets.read(name)

        self._caution = Caution(
            configuration,
            machine,
            clock,
            vbr=vbr,
            secret=secret,
            network=network,
            stop_running=stop_running,
        )
        self._repositories = (
            None
            if vbr is None
            else SiteRepositories(
                Repositories(
                    vbr=vbr,
                    clock=clock,
                    secret=secret,
                    take_ownership=take_ownership,
                ),
                configuration.sites,
                through_service_point=False,
            )
        )
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
        return self._proposal(journal, "plan", decision, notes=notes)

    def apply(self, confirm: Confirm) -> Result:
        """Make the server follow what is published; sites held by `undo` too."""
        with self._machine.lock.held():
            journal = self._journal()
            recovered = self._recover(journal)
            wishes = self._wishes(journal.memory, held_too=True)
            configured = {site.name for site in self._configuration.sites}
            held = {site: one for site, one in journal.memory.held.items() if site not in configured}
            decision = self._decide(wishes, replace(journal.memory, held=held))
            return self._finish(journal, "apply", decision, confirm, notes=recovered)

    def run(self) -> Result:
        """Do what the scheduled task is for: finish what was interrupted, then apply if that is allowed."""
        with self._machine.lock.held():
            journal = self._journal()
            recovered = self._recover(journal)
            decision = self._decide(self._wishes(journal.memory, held_too=False), journal.memory)
            failed: ClientError | None = None
            if decision.changes_server:
                try:
                    waits = self._caution.reason_to_wait()
                except ClientError as error:
                    waits, failed = None, error
                if waits is not None:
                    result = self._proposal(
                        journal, "run", decision, notes=(*recovered, waits), with_vbr=False
                    )
                    return replace(result, changed=bool(recovered))
            return self._finish(journal, "run", decision, _yes, notes=recovered, failed=failed)

    def undo(self, confirm: Confirm, *, site: str | None = None) -> Result:
        """Go back to before the first apply, and hold the sites so that `run` doesn't bring them on again."""
        configured = {one.name: one.region for one in self._configuration.sites}
        with self._machine.lock.held():
            journal = self._journal()
            recovered = self._recover(journal)
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

    def doctor(self) -> list[tuple[names.SiteName | None, Checked]]:
        """Look at everything that must be so; changes nothing."""
        return self._caution.doctor(self._wishes(self._journal().memory, held_too=True))

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
                "vbr": None if self._vbr is None else _or_reason(self._caution.status),
                "run_may_restart_it": _or_reason(lambda: self._caution.reason_to_wait() or "now"),
            },
            "journal": {
                "under_way": None
                if pending is None
                else {"command": pending.command, "direction": pending.direction, "since": pending.since},
                "jobs_put_aside": [] if journal.aside is None else journal.aside.names,
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
        return [
            wish_of(site, self._store(site.region), held=site.name in memory.held, held_too=held_too)
            for site in self._configuration.sites
        ]

    def _decide(self, wishes: Sequence[Wish], memory: Memory) -> Decision:
        return decide(
            registry=registry_value.read(self._machine.registry),
            file=region_file.read(self._machine.files, registry_value.region_file(self._machine.registry)),
            memory=memory,
            wishes=wishes,
        )

    def _proposal(
        self,
        journal: Journal,
        command: str,
        decision: Decision,
        *,
        notes: tuple[str, ...],
        with_vbr: bool = True,
    ) -> Result:
        """Say what would be done, and what stands in the way; changes nothing."""
        problem: ClientError | None = None
        seen: Seen | None = None
        image = ServiceImage(service=service_restart.SERVICE, dependents=())
        if decision.changes_server:
            try:
                image = service_restart.read(self._machine.services)
                if with_vbr:
                    seen = self._caution.look()
                    decision = self._spared(decision, seen)
            except ClientError as error:
                problem = error
        if journal.pending is not None and isinstance(problem, ServiceNotRunningError):
            problem = None  # Then a stopped service is our own doing, and `run` starts it.
        todo = RepositoryPlan()
        if with_vbr and problem is None:
            todo = self._plan_repositories(journal, command, decision, seen)
            problem = todo.problem
        if not decision.changes_server:
            return Result(
                command=command,
                wishes=decision.wishes,
                changes=todo.changes,
                waiting=bool(notes or todo.changes),
                notes=notes,
                problem=problem,
            )
        steps = self._steps(journal, self._pending(command, decision, image), decision, seen)
        return Result(
            command=command,
            wishes=decision.wishes,
            changes=(*steps.all, *todo.changes),
            waiting=True,
            restarts=True,
            notes=(*notes, *self._caution.warnings(decision, seen)),
            problem=problem,
        )

    def _spared(self, decision: Decision, seen: Seen | None) -> Decision:
        """Leave out each site that must not move now; it keeps its reason."""
        refused = self._caution.refusals(decision, seen)
        if not refused:
            return decision
        wishes = [replace(one, problem=refused.get(one.site, one.problem)) for one in decision.wishes]
        return self._decide(wishes, decision.memory_before)

    def _steps(self, journal: Journal, pending: Pending, decision: Decision, seen: Seen | None) -> Steps:
        core = self._transactions.changes(
            pending, memory=decision.memory_before, before_stop=journal.service_will_stop
        )
        changes, afterwards = self._caution.around(core, pending.command, journal, seen)
        return Steps(pending=pending, changes=changes, afterwards=afterwards)

    def _interrupted(self, journal: Journal) -> tuple[str, ...]:
        notes: list[str] = []
        if journal.pending is not None:
            notes.append(
                f"{journal.pending.command} of {journal.pending.since} was interrupted; the next `run` puts "
                "that right first"
            )
        if journal.aside is not None:
            notes.append(
                f"jobs put aside at {journal.aside.since} are enabled again by the next `run`: "
                f"{', '.join(journal.aside.names) or 'none'}"
            )
        return tuple(notes)

    # Doing.

    def _recover(self, journal: Journal) -> tuple[str, ...]:
        """Finish or take back what was interrupted, and enable the jobs that were put aside for it."""
        try:
            notes = self._transactions.recover(journal)
        except ClientError as error:
            # What can't be put right may stay so for days: where VBR answers, its jobs must not.
            try:
                self._caution.enable_jobs(journal)
            except ClientError as disabled:
                raise RollbackError(f"{error}; {disabled}") from error
            raise
        enabled = self._caution.enable_jobs(journal)
        return notes if enabled is None else (*notes, enabled)

    def _finish(
        self,
        journal: Journal,
        command: str,
        decision: Decision,
        confirm: Confirm,
        *,
        notes: tuple[str, ...],
        failed: ClientError | None = None,
    ) -> Result:
        """Carry the decision out if there is anything to do, and tell the cloud what is news."""
        result = Result(command=command, wishes=decision.wishes, changed=bool(notes), notes=notes)
        steps: Steps | None = None
        todo = RepositoryPlan()
        if failed is None:
            try:
                decision, steps, said, todo = self._prepared(journal, command, decision)
                changes = (*(steps.all if steps else ()), *todo.changes)
                result = replace(
                    result,
                    wishes=decision.wishes,
                    changes=changes,
                    restarts=steps is not None,
                    notes=(*notes, *said),
                )
                if changes and command == "run" and not self._configuration.auto_apply:
                    return replace(result, waiting=True, notes=(*result.notes, NOT_BY_ITSELF))
                if changes and not confirm(result):
                    return replace(result, problem=NotConfirmedError("not confirmed: nothing was changed"))
                if steps is not None:
                    pending = steps.pending
                    self._transactions.carry_out(journal, pending, steps.changes, steps.afterwards)
                    result = replace(result, changed=True)
                    self._verify(decision)
                elif decision.memory_after != journal.memory:
                    journal.commit(decision.memory_after)
            except NotConfirmedError:
                raise
            except JobsDisabledError as error:
                failed, result = error, replace(result, changed=True)
            except ClientError as error:
                failed = error
        untidy = todo.problem
        if failed is None and self._repositories is not None:
            untidy = self._repositories.carry_out(todo, journal)
            result = replace(result, changed=result.changed or (untidy is None and bool(todo.changes)))
        news = [
            self._confirmed(journal, one, decision)
            for one in self._news(journal.memory, decision, failed, untidy=untidy)
        ]
        doubt = next((one.doubt for one in news if one.doubt is not None), None)
        untold = self._tell(journal, news)
        return replace(result, problem=failed or doubt or untidy or untold)

    def _confirmed(self, journal: Journal, news: News, decision: Decision) -> News:
        """Look before `adopted` is said for the first time: the cloud locks the bucket because of it."""
        if news.outcome is not Outcome.ADOPTED or journal.memory.reported.get(news.site) == news.digest():
            return news
        (wish,) = (one for one in decision.wishes if one.site == news.site)
        self._looked[news.site] = self._caution.check_after(wish)
        bad = failing(self._looked[news.site])
        if not bad:
            return news
        doubt = CheckFailedError(
            f"site {news.site} follows the endpoint, but {'; '.join(map(str, bad))}; `doctor` says what to do"
        )
        # The report's own words hold no detail that changes from run to run.
        said = f"checks failed: {', '.join(one.check.id for one in bad)}"
        return replace(news, outcome=Outcome.FAILED, error=said, doubt=doubt)

    def _prepared(
        self, journal: Journal, command: str, decision: Decision
    ) -> tuple[Decision, Steps | None, tuple[str, ...], RepositoryPlan]:
        """Read all that must be known before anybody says yes; raises what stands in the way."""
        seen: Seen | None = None
        steps: Steps | None = None
        said: tuple[str, ...] = ()
        if decision.changes_server:
            # The service first: while it is down, VBR has nothing to say.
            image = service_restart.read(self._machine.services)
            seen = self._caution.look()
            decision = self._spared(decision, seen)
        if decision.changes_server:
            steps = self._steps(journal, self._pending(command, decision, image), decision, seen)
            said = self._caution.warnings(decision, seen)
        return decision, steps, said, self._plan_repositories(journal, command, decision, seen)

    def _plan_repositories(
        self, journal: Journal, command: str, decision: Decision, seen: Seen | None
    ) -> RepositoryPlan:
        if self._repositories is None or command == "undo":
            return RepositoryPlan()
        return self._repositories.plan(
            decision.wishes,
            seen=journal.memory.repositories,
            found=None if seen is None else seen.repositories,
            always=command != "run",
        )

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

    def _tell(self, journal: Journal, news: Sequence[News]) -> ClientError | None:
        return report.tell(
            news,
            journal,
            server=self._configuration.server,
            checks=self._checks,
            vbr_version=self._caution.seen_version,
            clock=self._clock,
            store=self._store,
        )

    def _news(
        self, memory: Memory, decision: Decision, failed: ClientError | None, *, untidy: ClientError | None
    ) -> list[News]:
        news: list[News] = []
        looked_at = {site.name for site in self._configuration.sites if site.repository is not None}
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
                    repository_problem=_told(untidy, memory.reported.get(wish.site))
                    if wish.site in looked_at
                    else None,
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
        repository = []
        if news.adopting and any(
            site.name == news.site and site.repository is not None for site in self._configuration.sites
        ):
            problem = news.repository_problem
            detail = "as wanted" if problem is None else str(problem)
            repository.append(CheckResult(id="repository", ok=problem is None, detail=detail))
        return [
            CheckResult(id="registry-value", ok=guarded or not news.adopting, detail=str(value)),
            CheckResult(id="region-file", ok=follows is news.adopting, detail=str(endpoints)),
            CheckResult(id="service", ok=state == "running", detail=str(state)),
            *repository,
            *(
                CheckResult(id=one.check.id, ok=one.finding.ok, detail=one.finding.detail)
                for one in self._looked.get(news.site, ())
                if one.finding.ok is not None and one.check.id not in _TOLD_ANYWAY
            ),
        ]


# The report says these in any case, also when nothing else was looked at.
_TOLD_ANYWAY = ("registry-value", "region-file", "service")


def _told(problem: ClientError | None, reported: str | None) -> ClientError | None:
    """While VBR doesn't answer, what was reported of the repository stays as it was."""
    if isinstance(problem, VbrError) and (reported or "").endswith(report.REPOSITORY_FAILS):
        return RepositoryError(str(problem))
    return problem


def _or_reason(read: Callable[[], T]) -> T | str:
    try:
        return read()
    except ClientError as error:
        return f"can't be read: {error}"


def _absent(value: object) -> str:
    return "absent" if value is None else str(value)


def _yes(_result: Result) -> bool:
    return True
