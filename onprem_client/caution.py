"""
What must be known, and be so, before the service is restarted, and before anybody relies on it.

What VBR shows of its work and of other repositories; the checks; and whether an unattended run may restart
the service at this time. Nothing in here changes anything but through the changes that it describes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from contract import names
from onprem_client.adoption import Decision, Goal, Wish
from onprem_client.checks.check import Check, Checked, failing, look
from onprem_client.checks.of_server import Region, others_check, region_checks, rest_check, service_check
from onprem_client.checks.of_site import SiteChecks, document_check
from onprem_client.checks.protocols import Network
from onprem_client.clock import Clock
from onprem_client.configuration import Configuration
from onprem_client.errors import (
    CheckFailedError,
    ClientError,
    ConfigurationError,
    JobsDisabledError,
    NotPublishedError,
    OtherRepositoryError,
)
from onprem_client.journal import Journal
from onprem_client.plan import Change
from onprem_client.resources import service_restart, vbr_jobs
from onprem_client.resources.other_repositories import strangers
from onprem_client.resources.vbr_jobs import Quiesce, Work
from onprem_client.result import NOT_BY_ITSELF
from onprem_client.secret import Secret
from onprem_client.veeam.protocols import Repository, ServerInfo, Vbr
from onprem_client.windows.machine import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What VBR's REST API shows of the server before anything is changed."""

    info: ServerInfo
    work: Work
    repositories: tuple[Repository, ...]


class Caution:
    """Looks, on one server with one configuration; without [vbr] it sees less."""

    def __init__(
        self,
        configuration: Configuration,
        machine: Machine,
        clock: Clock,
        *,
        vbr: Vbr | None,
        secret: Callable[[str], Secret | None],
        network: Network | None,
        stop_running: bool,
    ) -> None:
        self._configuration = configuration
        self._machine = machine
        self._clock = clock
        self._vbr = vbr
        self._secret = secret
        self._network = network
        self._quiesce = _quiesce(configuration, vbr, clock, stop_running=stop_running)
        self.seen_version: str | None = None

    def enable_jobs(self, journal: Journal) -> str | None:
        """Enable the jobs that an interrupted run has put aside; return what was done."""
        aside = journal.aside
        if aside is None:
            return None
        if self._quiesce is None:
            raise JobsDisabledError(
                f"jobs put aside at {aside.since} are disabled ({', '.join(aside.names)}), and client.toml "
                "has no [vbr] any more: put it back, or enable them in VBR"
            )
        self._quiesce.enable(journal)
        return f"jobs that had been put aside are enabled again: {len(aside.jobs)}"

    def look(self) -> Seen | None:
        """Ask VBR what is there; None without [vbr]."""
        if self._vbr is None:
            return None
        info = self._vbr.info()
        self.seen_version = info.version
        if info.linux:
            raise ConfigurationError(
                f"{info.name or 'VBR'} runs on Linux, where AmazonS3Regions.xml must not be edited; use "
                'strategy = "service-point"'
            )
        return Seen(info=info, work=vbr_jobs.read(self._vbr), repositories=self._vbr.repositories())

    def refusals(self, decision: Decision, seen: Seen | None) -> dict[names.SiteName, ClientError]:
        """Say which sites must be left as they are though they want to move, and why."""
        found: dict[names.SiteName, ClientError] = {}
        for wish in decision.wishes:
            if wish.goal is not Goal.ADOPT or wish.problem is not None or wish.region not in decision.moved:
                continue
            problem = self._strangers(wish, seen) or self._check_before(wish)
            if problem is not None:
                found[wish.site] = problem
        return found

    def _strangers(self, wish: Wish, seen: Seen | None) -> ClientError | None:
        if seen is None:
            return None
        known = self._region(wish).known_buckets
        found = strangers(seen.repositories, region=wish.region, known=known)
        if not found:
            return None
        named = ", ".join(f"{one.name} (bucket {one.bucket or 'unknown'})" for one in found)
        return OtherRepositoryError(
            f"the endpoint of site {wish.site} does not serve every repository of {wish.region}: {named}; "
            "let the endpoint serve these buckets (settings of the site), or acknowledge them in "
            "site.acknowledged_buckets"
        )

    def reason_to_wait(self) -> str | None:
        """Say why an unattended run must not restart the service now, and until when."""
        if not self._configuration.auto_apply:
            return NOT_BY_ITSELF
        window, settings = self._configuration.window, self._configuration.vbr
        if window is not None:
            now = self._clock.local()
            if window.is_open(now):
                return None
            return f"waits for the maintenance window {window}: until {window.opens(now):%Y-%m-%d %H:%M}"
        if self._vbr is None or settings is None or settings.unseen_work == "accept":
            return None
        service_restart.read(self._machine.services)  # While the service is down, VBR has nothing to say.
        info = self._vbr.info()
        if not info.blind:
            return None
        return (
            f"postponed: this VBR does not show {', '.join(info.unseen)}, so nobody can say that nothing "
            'runs; set a maintenance `window` or unseen_work = "accept", or call `apply`'
        )

    def status(self) -> dict[str, object]:
        """Say which VBR answers."""
        if self._vbr is None:
            return {}
        info = self._vbr.info()
        return {
            "name": info.name,
            "version": info.version,
            "rest_revision": info.revision,
            "does_not_show": list(info.unseen),
        }

    def around(
        self, core: Sequence[Change], command: str, journal: Journal, seen: Seen | None
    ) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
        """Put what brings the server to rest before *core*; return that, and what comes when all is done."""
        quiesce = self._quiesce
        if quiesce is None or seen is None:
            return tuple(core), ()
        window, now = self._configuration.window, self._clock.local()
        if command == "run" and window is not None and window.is_open(now):
            # The restart belongs into the window: what isn't drained when it closes waits for the next one.
            left = (window.closes(now) - now).total_seconds()
            quiesce = replace(quiesce, drain_timeout=min(quiesce.drain_timeout, left))
        before = quiesce.before(seen.work, journal)
        return (*before, *core), (quiesce.after(seen.work, journal),)

    def warnings(self, decision: Decision, seen: Seen | None) -> tuple[str, ...]:
        """Say what an operator must know before saying yes."""
        moved = [
            f"every Amazon S3 repository of {region} on this server follows the region file, not only "
            "the site's"
            for region in sorted(decision.moved)
        ]
        if seen is not None:
            unseen = (
                f"VBR {seen.info.version} does not show {', '.join(seen.info.unseen)}: what of it runs is "
                "interrupted by the restart"
            )
            unknown = [job.name for job in seen.work.jobs if job.enabled is None]
            strange = [f"not touched, because their status is not known here: {', '.join(unknown)}"]
            return (*moved, unseen, *(strange if unknown else ()))
        if self._vbr is not None:
            return (
                *moved,
                "before the restart, jobs are disabled and what runs is waited for; `plan` says more",
            )
        unseen = (
            "what runs on the server can't be seen without [vbr] in client.toml: restarting the service "
            "interrupts its tasks"
        )
        return (*moved, unseen)

    # Checks.

    def doctor(self, wishes: Sequence[Wish]) -> list[tuple[names.SiteName | None, Checked]]:
        """Look at everything that must be so; changes nothing."""
        found: list[tuple[names.SiteName | None, Checked]] = []
        for one in wishes:
            checks: list[Check] = []
            if one.published is None:
                problem = one.problem or NotPublishedError(site=one.site, parameter="its document")
                checks.append(document_check(problem))
            else:
                checks += self._site_checks(one).all()
            region = self._region(one)
            checks += [*region_checks(self._machine, region), others_check(self._vbr, region)]
            found += [(one.site, checked) for checked in look(checks)]
        return [*found, *((None, one) for one in look([service_check(self._machine), rest_check(self._vbr)]))]

    def _site_checks(self, wish: Wish) -> SiteChecks:
        if wish.published is None:
            raise AssertionError("only a published document can be checked")
        (site,) = (one for one in self._configuration.sites if one.name == wish.site)
        return SiteChecks(
            site=site,
            published=wish.published,
            network=self._network,
            secret=self._secret,
            clock=self._clock,
            required=True,
        )

    def _region(self, wish: Wish) -> Region:
        (site,) = (one for one in self._configuration.sites if one.name == wish.site)
        document = None if wish.published is None else wish.published.document
        follows = document is not None and wish.goal is Goal.ADOPT
        served = () if document is None else (bucket.name for bucket in document.buckets)
        return Region(
            name=wish.region,
            host=document.endpoint_host if document is not None and follows else None,
            known_buckets=frozenset((*served, *site.acknowledged_buckets)),
        )

    def _check_before(self, wish: Wish) -> ClientError | None:
        bad = failing(look(one for one in self._site_checks(wish).all() if one.required))
        if not bad:
            return None
        return CheckFailedError(
            f"site {wish.site}: nothing was changed for it, because {'; '.join(map(str, bad))}; `doctor` "
            "says what to do"
        )

    def check_after(self, wish: Wish) -> list[Checked]:
        """Look at what must be so before anybody may rely on it."""
        checks = [
            *self._site_checks(wish).all(),
            *region_checks(self._machine, self._region(wish)),
            service_check(self._machine),
        ]
        return look(one for one in checks if one.required)


def _quiesce(
    configuration: Configuration, vbr: Vbr | None, clock: Clock, *, stop_running: bool
) -> Quiesce | None:
    settings = configuration.vbr
    if vbr is None or settings is None:
        return None
    return Quiesce(
        vbr=vbr,
        clock=clock,
        configuration_backup=settings.configuration_backup,
        drain_timeout=settings.drain_timeout,
        stop_timeout=configuration.stop_timeout,
        stop_running=stop_running or settings.stop_running,
    )
