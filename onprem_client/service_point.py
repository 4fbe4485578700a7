"""
The strategy `service-point`: S3-compatible repositories whose service point is the endpoint, by REST alone.

No file, no registry, no restart; it runs from any host that reaches VBR's REST API. What it can't do is
change or remove a repository: for another endpoint, for `withdrawn` and for `undo` it lists the steps for a
person, and the outcome is `failed` until they are done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from contract import names
from contract.documents import CheckResult, Outcome
from onprem_client import report
from onprem_client.adoption import Goal, Wish
from onprem_client.checks.check import Checked, look
from onprem_client.checks.of_server import rest_check
from onprem_client.checks.of_site import SiteChecks, document_check
from onprem_client.checks.protocols import Network
from onprem_client.clock import Clock
from onprem_client.configuration import Configuration, Site
from onprem_client.errors import (
    ClientError,
    ConfigurationError,
    ManualStepsError,
    NotConfirmedError,
    NotPublishedError,
)
from onprem_client.journal import Held, Journal, Memory
from onprem_client.parameter_store import ParameterStore, ParameterStores
from onprem_client.report import News
from onprem_client.resources.repository import Repositories, service_point_host
from onprem_client.result import NOT_BY_ITSELF, Confirm, Result
from onprem_client.site_repositories import RepositoryPlan, SiteRepositories
from onprem_client.site_source import Published, fetch
from onprem_client.veeam.protocols import Repository, Vbr
from onprem_client.windows.protocols import Files, Lock, Secrets
from onprem_client.wishes import wish_of

_GONE = "gone"


class ServicePointClient:
    """The commands, for one VBR server and one configuration."""

    def __init__(
        self,
        configuration: Configuration,
        parameters: ParameterStores,
        clock: Clock,
        *,
        files: Files,
        lock: Lock,
        vbr: Vbr,
        secrets: Secrets,
        network: Network | None = None,
        take_ownership: bool = False,
    ) -> None:
        self._configuration = configuration
        self._parameters = parameters
        self._stores: dict[names.Region, ParameterStore] = {}
        self._clock = clock
        self._files = files
        self._lock = lock
        self._vbr = vbr
        self._secrets = secrets
        self._network = network
        self._repositories = SiteRepositories(
            Repositories(vbr=vbr, clock=clock, secret=secrets.read, take_ownership=take_ownership),
            configuration.sites,
            through_service_point=True,
        )
        self._seen_version: str | None = None

    def plan(self) -> Result:
        """Say what `apply` would do; changes nothing."""
        journal = self._journal()
        wishes, plans = self._planned(journal.memory, "plan")
        changes = tuple(change for one in plans.values() for change in one.changes)
        return Result(command="plan", wishes=wishes, changes=changes, waiting=bool(changes))

    def apply(self, confirm: Confirm) -> Result:
        """Add what is missing; sites held by `undo` too."""
        with self._lock.held():
            journal = self._journal()
            configured = {site.name for site in self._configuration.sites}
            left = {site: one for site, one in journal.memory.held.items() if site not in configured}
            return self._finish(journal, "apply", confirm, held=left)

    def run(self) -> Result:
        """Do what the scheduled task is for."""
        with self._lock.held():
            journal = self._journal()
            return self._finish(journal, "run", lambda _result: True, held=journal.memory.held)

    def undo(self, confirm: Confirm, *, site: str | None = None) -> Result:
        """Hold the sites, and list the steps for the repositories that still go through their endpoints."""
        sites = [one for one in self._configuration.sites if site in (None, one.name)]
        if not sites:
            known = ", ".join(one.name for one in self._configuration.sites)
            raise ConfigurationError(f"site {site} is not known here; known: {known}")
        with self._lock.held():
            journal = self._journal()
            found = self._vbr.repositories()
            wishes = tuple(_undone(one, found) for one in sites)
            result = Result(command="undo", wishes=wishes)
            held = {
                **journal.memory.held,
                **{one.name: Held(region=one.region, adopted=None) for one in sites},
            }
            if held == journal.memory.held:
                return result
            if not confirm(result):
                return replace(result, problem=NotConfirmedError("not confirmed: nothing was changed"))
            journal.commit(replace(journal.memory, held=held))
            return replace(result, changed=True)

    def doctor(self) -> list[tuple[names.SiteName | None, Checked]]:
        """Look at everything that can be seen from this host, which need not be the one that backs up."""
        memory = self._journal().memory
        found: list[tuple[names.SiteName | None, Checked]] = []
        for site in self._configuration.sites:
            wish = wish_of(site, self._store(site.region), held=site.name in memory.held, held_too=True)
            if wish.published is None:
                problem = wish.problem or NotPublishedError(site=site.name, parameter="its document")
                checks = [document_check(problem)]
            else:
                checks = SiteChecks(
                    site=site,
                    published=wish.published,
                    network=self._network,
                    secret=self._secrets.read,
                    clock=self._clock,
                    required=False,
                ).all()
            found += [(site.name, checked) for checked in look(checks)]
        return [*found, *((None, checked) for checked in look([rest_check(self._vbr)]))]

    def status(self) -> dict[str, object]:
        """Return everything there is to know; what can't be read says why instead."""
        configuration = self._configuration
        journal = self._journal()
        return {
            "configuration": {
                key: {"value": value, "from": configuration.sources.get(key, "not set")}
                for key, value in configuration.values().items()
            },
            "sites": {site.name: self._site_status(site, journal.memory) for site in configuration.sites},
            "server": {"vbr": self._vbr_status()},
            "journal": {
                "held": sorted(journal.memory.held),
                "repositories": sorted(journal.memory.repositories),
                "reported": dict(journal.memory.reported),
            },
        }

    def _site_status(self, site: Site, memory: Memory) -> dict[str, object]:
        shown: dict[str, object] = {"region": site.region, "held": site.name in memory.held}
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

    def _vbr_status(self) -> object:
        try:
            info = self._vbr.info()
            found = self._vbr.repositories()
        except ClientError as error:
            return f"can't be read: {error}"
        return {
            "name": info.name,
            "version": info.version,
            "rest_revision": info.revision,
            "platform": "Linux" if info.linux else "Windows",
            "through_endpoints": [
                f"{one.name}: {host}"
                for one in found
                if (host := service_point_host(one)) is not None and ".vpce." in host
            ],
        }

    # Deciding.

    def _journal(self) -> Journal:
        return Journal(self._configuration.state_folder, files=self._files)

    def _store(self, region: names.Region) -> ParameterStore:
        if region not in self._stores:
            self._stores[region] = self._parameters(region)
        return self._stores[region]

    def _planned(
        self, memory: Memory, command: str
    ) -> tuple[tuple[Wish, ...], dict[names.SiteName, RepositoryPlan]]:
        """Return what each site wants with what stands in its way, and what is missing for it."""
        wishes: list[Wish] = []
        plans: dict[names.SiteName, RepositoryPlan] = {}
        for site in self._configuration.sites:
            held = site.name in memory.held
            wish = wish_of(site, self._store(site.region), held=held, held_too=command != "run")
            match wish.goal:
                case Goal.ADOPT:
                    todo = self._repositories.plan(
                        [wish], seen=memory.repositories, found=None, always=command != "run"
                    )
                    plans[site.name] = todo
                    wish = replace(wish, problem=todo.problem)
                case Goal.REVERT:
                    wish = self._withdrawn(wish, memory, always=command != "run")
                case Goal.LEAVE:
                    pass
            wishes.append(wish)
        return tuple(wishes), plans

    def _withdrawn(self, wish: Wish, memory: Memory, *, always: bool) -> Wish:
        if wish.published is None:
            raise AssertionError("only a published document can be withdrawn")
        if memory.repositories.get(wish.site) == _gone(wish.published) and not always:
            return wish
        try:
            left = _through(self._vbr.repositories(), wish.published.document.vpc_endpoint_id)
        except ClientError as problem:
            return replace(wish, problem=problem)
        return replace(wish, problem=_to_be_removed(left, "the endpoint is withdrawn") if left else None)

    # Doing.

    def _finish(
        self,
        journal: Journal,
        command: str,
        confirm: Confirm,
        *,
        held: Mapping[names.SiteName, Held],
    ) -> Result:
        wishes, plans = self._planned(journal.memory, command)
        changes = tuple(change for one in plans.values() for change in one.changes)
        result = Result(command=command, wishes=wishes, changes=changes)
        if changes and command == "run" and not self._configuration.auto_apply:
            return replace(result, waiting=True, notes=(NOT_BY_ITSELF,))
        if changes and not confirm(result):
            return replace(result, problem=NotConfirmedError("not confirmed: nothing was changed"))
        if held != journal.memory.held:
            journal.commit(replace(journal.memory, held=held))
        wishes = tuple(self._done(wish, plans.get(wish.site), journal) for wish in wishes)
        changed = any(
            plans[wish.site].changes and wish.problem is None for wish in wishes if wish.site in plans
        )
        untold = self._tell(wishes, journal)
        return replace(result, wishes=wishes, changed=changed, problem=untold)

    def _done(self, wish: Wish, todo: RepositoryPlan | None, journal: Journal) -> Wish:
        if wish.problem is not None or wish.published is None:
            return wish
        if todo is not None:
            return replace(wish, problem=self._repositories.carry_out(todo, journal))
        if wish.goal is Goal.REVERT:
            gone = {**journal.memory.repositories, wish.site: _gone(wish.published)}
            if gone != journal.memory.repositories:
                journal.commit(replace(journal.memory, repositories=gone))
        return wish

    def _tell(self, wishes: Sequence[Wish], journal: Journal) -> ClientError | None:
        news = [
            News(
                site=wish.site,
                region=wish.region,
                vpc_endpoint_id=wish.published.document.vpc_endpoint_id,
                document_version=wish.published.version,
                document_meaning=wish.published.meaning(),
                adopting=wish.goal is Goal.ADOPT,
                outcome=_outcome(wish),
                error=None if wish.problem is None else str(wish.problem),
            )
            for wish in wishes
            if wish.published is not None and wish.goal is not Goal.LEAVE
        ]
        if any(journal.memory.reported.get(one.site) != one.digest() for one in news):
            self._seen_version = self._version()
        return report.tell(
            news,
            journal,
            server=self._configuration.server,
            checks=_checks,
            vbr_version=self._seen_version,
            clock=self._clock,
            store=self._store,
        )

    def _version(self) -> str | None:
        try:
            return self._vbr.info().version
        except ClientError:
            return None


def _outcome(wish: Wish) -> Outcome:
    if wish.problem is not None:
        return Outcome.FAILED
    return Outcome.ADOPTED if wish.goal is Goal.ADOPT else Outcome.REVERTED


def _checks(news: News) -> list[CheckResult]:
    return [
        CheckResult(id="repository", ok=news.outcome is not Outcome.FAILED, detail=news.error or "as wanted")
    ]


def _gone(published: Published) -> str:
    return f"{_GONE} {published.meaning()}"


def _through(found: Sequence[Repository], endpoint: names.EndpointId) -> list[Repository]:
    """Return the repositories whose service point is a name of the endpoint."""
    return [one for one in found if f".{endpoint}-" in (service_point_host(one) or "")]


def _undone(site: Site, found: Sequence[Repository]) -> Wish:
    left = [one for one in found if f".s3.{site.region}.vpce." in (service_point_host(one) or "")]
    wish = Wish(site=site.name, region=site.region, goal=Goal.LEAVE, note="held; `apply` resumes")
    return replace(wish, problem=_to_be_removed(left, "undo") if left else None)


def _to_be_removed(left: Sequence[Repository], why: str) -> ManualStepsError:
    named = ", ".join(f"{one.name} ({one.bucket}/{one.folder})" for one in left)
    return ManualStepsError(
        f"{why}, and a repository is never removed by this program: in the VBR console, 1. let the jobs of "
        f"{named} write to another repository, or disable them; 2. remove the repository from VBR (the "
        "backups stay in the bucket) or give it another service point; the next run looks again"
    )
