"""
What is to be done about the repositories of the sites, decided from what VBR lists.

Once a site's repositories have been seen to be right, an unattended run doesn't look again until the
document or the configuration says something else: so it signs in to VBR only when there is something to do,
and doesn't argue with an administrator who has removed a repository. `plan` and `apply` always look.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from contract import names
from onprem_client import plan
from onprem_client.adoption import Goal, Wish
from onprem_client.configuration import Site
from onprem_client.errors import ClientError
from onprem_client.journal import Journal
from onprem_client.plan import Change
from onprem_client.resources.repository import Repositories, Wanted, wanted
from onprem_client.site_source import Published
from onprem_client.veeam.protocols import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryPlan:
    """What is missing in VBR, and why it can't be said or done."""

    wanted: tuple[Wanted, ...] = ()
    seen: Mapping[names.SiteName, str] | None = None
    changes: tuple[Change, ...] = ()
    problem: ClientError | None = None


class SiteRepositories:
    """The repositories of all configured sites."""

    def __init__(
        self, repositories: Repositories, sites: Sequence[Site], *, through_service_point: bool
    ) -> None:
        self._repositories = repositories
        self._sites = {site.name: site for site in sites}
        self._through_service_point = through_service_point

    def plan(
        self,
        wishes: Sequence[Wish],
        *,
        seen: Mapping[names.SiteName, str],
        found: Sequence[Repository] | None,
        always: bool,
    ) -> RepositoryPlan:
        """Say what is missing; *found* is VBR's list, if somebody has read it already."""
        due: dict[names.SiteName, str] = {}
        wanted_all: list[Wanted] = []
        for wish in wishes:
            site = self._sites.get(wish.site)
            if site is None or site.repository is None or wish.goal is not Goal.ADOPT:
                continue
            if wish.published is None or wish.problem is not None:
                continue
            digest = self._digest(site, wish.published)
            if always or seen.get(wish.site) != digest:
                due[wish.site] = digest
                wanted_all += wanted(
                    site.repository,
                    wish.published.document,
                    through_service_point=self._through_service_point,
                )
        if not due:
            return RepositoryPlan()
        try:
            listed = self._repositories.vbr.repositories() if found is None else found
            changes = self._repositories.changes(wanted_all, listed)
        except ClientError as error:
            return RepositoryPlan(wanted=tuple(wanted_all), seen=due, problem=error)
        return RepositoryPlan(wanted=tuple(wanted_all), seen=due, changes=tuple(changes))

    def carry_out(self, todo: RepositoryPlan, journal: Journal) -> ClientError | None:
        """Add what is missing and look whether everything is online; return what went wrong."""
        if todo.problem is not None or todo.seen is None:
            return todo.problem
        try:
            plan.apply(todo.changes, on_failure=_nothing)
            self._repositories.ensure_online(todo.wanted)
        except ClientError as error:
            return error
        remembered = {**journal.memory.repositories, **todo.seen}
        if remembered != journal.memory.repositories:
            journal.commit(replace(journal.memory, repositories=remembered))
        return None

    def _digest(self, site: Site, published: Published) -> str:
        said = f"{published.meaning()} {site.repository} {self._through_service_point}"
        return hashlib.sha256(said.encode()).hexdigest()[:16]


def _nothing() -> None:
    """There is nothing to prepare for the way back: there is none."""
