"""The checks of one site: its document, and the way from this machine through its endpoint to its buckets."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from contract.documents import EndpointDocument
from onprem_client.checks.check import Check, Finding
from onprem_client.checks.protocols import Bucket, Network
from onprem_client.clock import Clock
from onprem_client.configuration import Site
from onprem_client.errors import ClientError
from onprem_client.secret import Secret, repository_secret
from onprem_client.site_source import Published

HTTPS = 443
HTTP = 80
# AWS refuses signatures that are 15 minutes off; this leaves time to do something about it.
_MOST_SKEW_SECONDS = 300
_OLD_DAYS = 400

_TITLE = "The site's document is one for this server"
_WHY = "It names the endpoint; a wrong one would lead backups elsewhere."
_REMEDY = "Start the workflow of the site again; compare region and account with client.toml."

_NO_NETWORK = Finding(None, "a stand-in server without aws.s3_proxy has no network to look at")


def document_check(problem: ClientError) -> Check:
    """Return the check of a document that can't be had."""

    def refuse() -> Finding:
        return Finding(False, str(problem))

    return Check(id="document", title=_TITLE, why=_WHY, remedy=_REMEDY, look=refuse, required=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteChecks:
    """The checks of one site with one document."""

    site: Site
    published: Published
    network: Network | None
    secret: Callable[[str], Secret | None]
    clock: Clock
    required: bool
    """Whether this machine is the one whose connections count."""

    def all(self) -> list[Check]:
        """Return them, the first ones being the reason for later ones."""
        host = self._document.endpoint_host
        return [
            Check(
                id="document",
                title=_TITLE,
                why=_WHY,
                remedy=_REMEDY,
                look=self._check_document,
                required=True,
            ),
            Check(
                id="dns",
                title="The endpoint's name leads to its addresses",
                why="VBR, its proxies and gateways find the endpoint by this name.",
                remedy=(
                    f"Ask your DNS server for {host}. A public name with private addresses is hidden by "
                    "rebinding protection (dnsmasq, Unbound, pfSense, some firewalls): allow amazonaws.com "
                    "there, or forward the name to a Route 53 Resolver inbound endpoint."
                ),
                look=self._check_dns,
                required=self.required,
            ),
            Check(
                id="tcp",
                title="The endpoint takes connections on port 443",
                why="Routing, firewalls and the endpoint's security group must let this server through.",
                remedy="Look at the route to the VPC, at firewalls, and at the site's on-premises networks.",
                look=self._check_tcp,
                required=self.required,
            ),
            Check(
                id="tls",
                title="The endpoint shows AWS's certificate for its name",
                why="Whatever opens TLS in between would read the backups; VBR refuses it.",
                remedy="Take the endpoint out of TLS inspection; add the Amazon roots if they are missing.",
                look=self._check_tls,
                required=self.required,
            ),
            Check(
                id="revocation",
                title="The certificate's revocation hosts answer on port 80",
                why="VBR asks them before it trusts the certificate.",
                remedy="Let this server, proxies and gateways reach *.amazontrust.com on port 80.",
                look=self._check_revocation,
            ),
            Check(
                id="s3",
                title="S3 answers through the endpoint with the repository's key",
                why="Endpoint policy, bucket policy and the key's own policy must all let it through.",
                remedy="Compare the key in site.repository with the site's IAM user; look at the policies.",
                look=self._check_s3,
                required=self.required,
            ),
            Check(
                id="permissions",
                title="The key may do what VBR needs",
                why="A missing action shows only when a backup, or its removal, fails.",
                remedy="Add the actions to the policy of the repository's IAM user.",
                look=self._check_permissions,
            ),
            Check(
                id="clock",
                title="This server's clock is right",
                why="AWS refuses requests whose time is more than 15 minutes off.",
                remedy="Let this server take its time from a time server.",
                look=self._check_clock,
            ),
        ]

    @property
    def _document(self) -> EndpointDocument:
        return self.published.document

    def _check_document(self) -> Finding:
        published = datetime.strptime(self._document.published_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        days = (self._now() - published).days
        said = f"version {self.published.version}, {self._document.state}, {max(days, 0)} days old"
        if days < -1:
            return Finding(False, f"{said}: it is from the future")
        return Finding(True, f"{said}; a long time for a document" if days > _OLD_DAYS else said)

    def _check_dns(self) -> Finding:
        if self.network is None:
            return _NO_NETWORK
        if self.network.through_proxy:
            return Finding(None, "names are looked up by the proxy in aws.s3_proxy")
        found, wanted = set(self.network.resolve(self._document.endpoint_host)), set(self._addresses)
        if not found:
            return Finding(
                False,
                f"no answer for {self._document.endpoint_host}: look for rebinding protection in your DNS",
            )
        said = f"{', '.join(sorted(found))}"
        if wanted and not found <= wanted:
            return Finding(False, f"{said}, but the endpoint has {', '.join(sorted(wanted))}")
        return Finding(True, said)

    @property
    def _addresses(self) -> tuple[str, ...]:
        return self._document.endpoint_addresses

    def _check_tcp(self) -> Finding:
        if self.network is None:
            return _NO_NETWORK
        self.network.connect(self._document.endpoint_host, HTTPS)
        return Finding(True, "through aws.s3_proxy" if self.network.through_proxy else "connected")

    def _check_tls(self) -> Finding:
        if self.network is None:
            return _NO_NETWORK
        certificate = self.network.certificate(self._document.endpoint_host)
        return Finding(True, f"trusted, until {certificate.expires}")

    def _check_revocation(self) -> Finding:
        if self.network is None:
            return _NO_NETWORK
        if self.network.through_proxy:
            return Finding(None, "only the proxy in aws.s3_proxy could look")
        hosts = self.network.certificate(self._document.endpoint_host).revocation_hosts
        if not hosts:
            return Finding(None, "the certificate names none")
        for host in hosts:
            self.network.connect(host, HTTP)
        return Finding(True, ", ".join(hosts))

    def _check_s3(self) -> Finding:
        return self._with_each_bucket(self._look_into)

    def _look_into(self, network: Network, bucket: Bucket) -> Finding:
        refused = network.look_into(bucket).refused
        return Finding(refused is None, f"{bucket.name}: {refused or 'listed'}")

    def _check_permissions(self) -> Finding:
        return self._with_each_bucket(self._try_permissions)

    def _try_permissions(self, network: Network, bucket: Bucket) -> Finding:
        missing = network.missing_permissions(bucket)
        if missing:
            return Finding(False, f"{bucket.name}: refused: {', '.join(missing)}")
        return Finding(True, f"{bucket.name}: all that can be tried without changing anything")

    def _check_clock(self) -> Finding:
        return self._with_each_bucket(self._compare_clocks)

    def _compare_clocks(self, network: Network, bucket: Bucket) -> Finding:
        theirs = network.look_into(bucket).at
        if theirs is None:
            return Finding(None, "S3 did not say what time it is")
        skew = self._now().timestamp() - theirs
        return Finding(abs(skew) <= _MOST_SKEW_SECONDS, f"{skew:+.0f} s from Amazon S3")

    def _with_each_bucket(self, check: Callable[[Network, Bucket], Finding]) -> Finding:
        """Look at every bucket; one that is not well is the finding."""
        if self.network is None:
            return _NO_NETWORK
        settings = self.site.repository
        secret = None if settings is None else self.secret(repository_secret(self.site.name))
        if settings is None or secret is None:
            return Finding(None, "no key: site.repository and its secret are not both there")
        findings = [
            check(
                self.network,
                Bucket(
                    host=self._document.endpoint_host,
                    region=self._document.region,
                    name=bucket.name,
                    folder=bucket.folder,
                    immutable=bucket.immutability_days > 0,
                    access_key_id=settings.access_key_id,
                    secret_key=secret,
                ),
            )
            for bucket in self._document.buckets
        ]
        bad = [one for one in findings if one.ok is not True]
        return bad[0] if bad else Finding(True, "; ".join(one.detail for one in findings))

    def _now(self) -> datetime:
        return datetime.strptime(self.clock.now(), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
