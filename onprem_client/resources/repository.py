"""
The repository in VBR: credential, look into the bucket, folder, repository, online.

What exists is adopted: the same bucket and folder are the same repository, whatever its name. Nothing is ever
removed or converted, and another server's folder is taken over only on explicit consent. Each step finds what
an earlier, interrupted run has left, so that a second run goes on where the first was killed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from contract import names
from contract.documents import EndpointDocument
from onprem_client.clock import Clock
from onprem_client.configuration import RepositorySettings
from onprem_client.errors import ManualStepsError, RepositoryError, VbrError
from onprem_client.plan import Change
from onprem_client.secret import Secret, repository_secret
from onprem_client.veeam.protocols import NewRepository, Place, Repository, Session, Vbr

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_SESSION_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One repository as it must be; with a service point it is S3-compatible storage."""

    site: names.SiteName
    region: names.Region
    bucket: names.BucketName
    folder: str
    immutability_days: int
    service_point: str | None
    name: str
    settings: RepositorySettings

    def __str__(self) -> str:
        through = "" if self.service_point is None else f" through {self.service_point}"
        days = f", immutable for {self.immutability_days} days" if self.immutability_days else ""
        return f"{self.bucket}/{self.folder}{through}{days}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repositories:
    """Adds repositories through VBR's REST API."""

    vbr: Vbr
    clock: Clock
    secret: Callable[[str], Secret | None]
    take_ownership: bool

    def changes(self, wanted: Iterable[Wanted], found: Iterable[Repository]) -> list[Change]:
        """Describe what is missing; raises RepositoryError for what a person must put right."""
        found = list(found)
        return [self._change(one) for one in wanted if existing(one, found) is None]

    def ensure_online(self, wanted: Iterable[Wanted]) -> None:
        """Look at every repository; one that is offline gets one more chance by a rescan."""
        found = self.vbr.repositories()
        for one in wanted:
            repository = existing(one, found)
            if repository is None:
                raise RepositoryError(f"VBR does not list the repository on {one.bucket}/{one.folder}")
            if self.vbr.is_online(repository) is not False:
                continue
            session = self.vbr.rescan(repository)
            if session is not None:
                self._ended(session)
            if self.vbr.is_online(repository) is False:
                raise RepositoryError(f"the repository {repository.name} is offline: look at it in VBR")

    def _change(self, wanted: Wanted) -> Change:
        return Change(
            resource=f"repository {wanted.name}",
            before=None,
            after=str(wanted),
            do=lambda: self._add(wanted),
            undo=_nothing,
        )

    def _add(self, wanted: Wanted) -> None:
        try:
            place = Place(
                credential_id=self._ensure_credential(wanted),
                region=wanted.region,
                bucket=wanted.bucket,
                service_point=wanted.service_point,
                gateway_ids=self._gateways(wanted.settings),
            )
            self._ensure_folder(place, wanted)
            self._ensure_repository(place, wanted)
        except VbrError as error:
            raise RepositoryError(f"the repository {wanted.name} could not be added: {error}") from error

    def _ensure_credential(self, wanted: Wanted) -> str:
        key = wanted.settings.access_key_id
        for credential in self.vbr.credentials():
            if credential.access_key_id == key:
                return credential.id
        secret = self.secret(repository_secret(wanted.site))
        if secret is None:
            raise RepositoryError(
                f"there is no secret key for {key}: call `secret set {repository_secret(wanted.site)}`"
            )
        return self.vbr.add_credential(key, secret, f"VBR PrivateLink, site {wanted.site}")

    def _gateways(self, settings: RepositorySettings) -> tuple[str, ...]:
        if not settings.gateway_servers:
            return ()
        known = self.vbr.managed_servers()
        unknown = [name for name in settings.gateway_servers if name.lower() not in known]
        if unknown:
            raise RepositoryError(
                f"VBR does not manage {', '.join(unknown)}; site.repository.gateway_servers may name "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        return tuple(known[name.lower()] for name in settings.gateway_servers)

    def _ensure_folder(self, place: Place, wanted: Wanted) -> None:
        """Look into the bucket, which proves that VBR reaches it, and make the folder if it isn't there."""
        if wanted.folder not in self.vbr.folders(place):
            self.vbr.add_folder(place, wanted.folder)

    def _ensure_repository(self, place: Place, wanted: Wanted) -> None:
        new = NewRepository(
            name=wanted.name,
            description=f"Site {wanted.site}, through its interface endpoint",
            place=place,
            folder=wanted.folder,
            immutability_days=wanted.immutability_days,
            write_cache_folder=wanted.settings.write_cache_folder,
            take_ownership=self.take_ownership,
        )
        try:
            session = self._ended(self.vbr.add_repository(new))
            said = None if (session.result or "").lower() in ("success", "warning") else session.message
        except VbrError as error:
            said = str(error)
        # An earlier run may have begun the same, and VBR may have finished it meanwhile: then all is well.
        if existing(wanted, self.vbr.repositories()) is None:
            raise RepositoryError(
                f"VBR did not add the repository {wanted.name} ({said or 'without a reason'}); a folder of "
                "another backup server is taken over only with --take-ownership"
            )

    def _ended(self, session_id: str) -> Session:
        give_up, pause = self.clock.monotonic() + _SESSION_SECONDS, _FIRST_PAUSE_SECONDS
        while not (session := self.vbr.session(session_id)).over:
            if self.clock.monotonic() >= give_up:
                raise RepositoryError(f"{session} did not end within {_SESSION_SECONDS:g} s")
            self.clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        return session


def wanted(
    settings: RepositorySettings, document: EndpointDocument, *, through_service_point: bool
) -> list[Wanted]:
    """Return the repositories of a site: one for each bucket of its document."""
    several = len(document.buckets) > 1
    return [
        Wanted(
            site=document.site,
            region=document.region,
            bucket=bucket.name,
            folder=bucket.folder,
            immutability_days=bucket.immutability_days,
            service_point=document.endpoint_host if through_service_point else None,
            name=f"{settings.name} {bucket.name}" if several else settings.name,
            settings=settings,
        )
        for bucket in document.buckets
    ]


def existing(wanted: Wanted, found: Iterable[Repository]) -> Repository | None:
    """
    Return the repository on the same bucket and folder.

    Raises RepositoryError when it is there but can't be what is wanted: of another kind, or with another
    immutability; and ManualStepsError when it goes through another endpoint.
    """
    for one in found:
        if one.bucket != wanted.bucket or (one.folder or "").lower() != wanted.folder.lower():
            continue
        if one.follows_region_file is (wanted.service_point is not None):
            raise RepositoryError(
                f"{wanted.bucket}/{wanted.folder} is the repository {one.name} of type {one.type}, which "
                "can't be converted: use the other strategy, or another folder"
            )
        if wanted.service_point is not None and service_point_host(one) != wanted.service_point:
            raise ManualStepsError(
                f"the repository {one.name} uses the service point {one.service_point}, and the endpoint is "
                f"now {wanted.service_point}; this program doesn't change repositories: in the VBR console, "
                f"1. disable the jobs of {one.name}; 2. give its account the new service point, or remove "
                "the repository from VBR (the backups stay in the bucket) and call `apply`, which adds it "
                "again; 3. rescan it and enable the jobs"
            )
        if one.immutability_days != wanted.immutability_days:
            raise RepositoryError(
                f"the repository {one.name} keeps backups immutable for {one.immutability_days} days, the "
                f"site's document says {wanted.immutability_days}: change one of them by hand"
            )
        return one
    return None


def service_point_host(repository: Repository) -> str | None:
    """Return the host of a repository's service point, which may be written as an address."""
    point = repository.service_point
    if point is None:
        return None
    return point.lower().removeprefix("https://").rstrip("/").removesuffix(":443")


def _nothing() -> None:
    """Take nothing back: what exists is found again by the next run."""
