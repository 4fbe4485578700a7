"""The endpoint and its group: found, made or repaired; what is somebody else's is only verified."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lambdas.core.drift import ONLY_CHECKED, Drift
from lambdas.core.errors import EndpointRefusedError
from lambdas.core.site import CREATOR_TAG, SITE_TAG, Site
from lambdas.ensure_endpoint.endpoint_policy import endpoint_policy
from lambdas.ensure_endpoint.logic import (
    Endpoint,
    EndpointChange,
    EnsuredEndpoint,
    SecurityGroup,
    ensure_endpoint,
    result,
)
from tests.unit.sites import SUBNETS, VPC, a_bucket, a_site

SERVICE = "com.amazonaws.ap-northeast-1.s3"
OTHER_VPC = "vpc-0fedcba9876543210"
FOREIGN_ENDPOINT = "vpce-0fedcba9876543210"
FOREIGN_GROUP = "sg-0fedcba9876543210"


@dataclass
class InMemoryEndpoints:
    """Endpoints and groups with their tags; `writes` names every call that changes something."""

    groups: dict[str, SecurityGroup] = field(default_factory=dict)
    all: dict[str, Endpoint] = field(default_factory=dict)
    tags: dict[str, Mapping[str, str]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)

    def service_name(self) -> str:
        return SERVICE

    def group(self, group_id: str) -> SecurityGroup | None:
        return self.groups.get(group_id)

    def groups_tagged(self, tags: Mapping[str, str | None], *, vpc_id: str) -> Sequence[SecurityGroup]:
        return [
            group
            for group in self.groups.values()
            if group.vpc_id == vpc_id and self._carries(group.id, tags)
        ]

    def create_group(self, name: str, *, vpc_id: str, tags: Mapping[str, str]) -> SecurityGroup:
        self.writes.append(f"create group {name}")
        group = SecurityGroup(
            id=f"sg-{len(self.groups):08x}", vpc_id=vpc_id, sources=frozenset(), other_rules=0
        )
        self.groups[group.id] = group
        self.tags[group.id] = tags
        return group

    def change_sources(self, group_id: str, *, add: frozenset[str], remove: frozenset[str]) -> None:
        self.writes.append(f"change sources of {group_id}")
        group = self.groups[group_id]
        self.groups[group_id] = replace(group, sources=group.sources - remove | add)

    def remove_other_rules(self, group_id: str) -> None:
        self.writes.append(f"remove other rules of {group_id}")
        self.groups[group_id] = replace(self.groups[group_id], other_rules=0)

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        return self.all.get(endpoint_id)

    def endpoints_tagged(self, tags: Mapping[str, str | None]) -> Sequence[Endpoint]:
        return [endpoint for endpoint in self.all.values() if self._carries(endpoint.id, tags)]

    def create_endpoint(
        self,
        *,
        service_name: str,
        vpc_id: str,
        subnet_ids: Sequence[str],
        group_ids: Sequence[str],
        policy: str,
        tags: Mapping[str, str],
        client_token: str,
    ) -> str:
        endpoint = Endpoint(
            id=f"vpce-{len(self.all):08x}",
            state="pending",
            kind="interface",
            service_name=service_name,
            vpc_id=vpc_id,
            subnet_ids=frozenset(subnet_ids),
            security_group_ids=frozenset(group_ids),
            private_dns=False,
            policy=json.loads(policy),
            created_at=f"2026-01-31 22:00:{len(self.all):02}",
        )
        self.writes.append(f"create endpoint {endpoint.id}")
        self.tokens.append(client_token)
        self.all[endpoint.id] = endpoint
        self.tags[endpoint.id] = tags
        return endpoint.id

    def change_endpoint(self, endpoint_id: str, change: EndpointChange) -> None:
        self.writes.append(f"change endpoint {endpoint_id}")
        endpoint = self.all[endpoint_id]
        assert endpoint.state == "available"
        self.all[endpoint_id] = replace(
            endpoint,
            subnet_ids=endpoint.subnet_ids - change.remove_subnets | change.add_subnets,
            security_group_ids=endpoint.security_group_ids - change.remove_groups | change.add_groups,
            policy=endpoint.policy if change.policy is None else json.loads(change.policy),
            private_dns=endpoint.private_dns and not change.private_dns_off,
        )

    def becomes(self, endpoint_id: str, **change: Any) -> None:
        """Change an endpoint behind the product's back."""
        self.all[endpoint_id] = replace(self.all[endpoint_id], **change)

    def _carries(self, thing: str, wanted: Mapping[str, str | None]) -> bool:
        tags = self.tags.get(thing, {})
        return all(key in tags and value in (None, tags[key]) for key, value in wanted.items())


def ensured_endpoint(
    endpoints: InMemoryEndpoints, site: Site, *, run: str, repair: bool = True, known: tuple[str, ...] = ()
) -> EnsuredEndpoint:
    """Run the step as a run that repairs a site of which no server was told, unless a test says otherwise."""
    return ensure_endpoint(endpoints, site, run=run, repair=repair, known=known)


def drifted(resource: str, what: str, found: str, wanted: str, *, why: str | None = None) -> Drift:
    """Return the drift of one property; one that says why was left as it is."""
    return Drift(resource=resource, property=what, found=found, wanted=wanted, repaired=why is None, why=why)


def provisioned(site: Site | None = None) -> tuple[InMemoryEndpoints, str, str]:
    """Return a world in which a first run has made endpoint and group, and its writes are forgotten."""
    endpoints = InMemoryEndpoints()
    group_id, endpoint_id = ensured_endpoint(endpoints, site or a_site(), run="run-1").created
    endpoints.becomes(endpoint_id, state="available")
    endpoints.writes.clear()
    return endpoints, group_id, endpoint_id


def test_a_missing_endpoint_is_created_with_its_group() -> None:
    """The group lets in the on-premises networks and nobody else; both can be found by their tags."""
    endpoints = InMemoryEndpoints()

    ensured = ensured_endpoint(endpoints, a_site(), run="run-1")
    group_id, endpoint_id = ensured.created

    assert endpoints.groups[group_id].sources == frozenset({"192.168.0.0/16"})
    assert endpoints.all[endpoint_id] == Endpoint(
        id=endpoint_id,
        state="pending",
        kind="interface",
        service_name=SERVICE,
        vpc_id=VPC,
        subnet_ids=frozenset(SUBNETS),
        security_group_ids=frozenset({group_id}),
        private_dns=False,
        policy=endpoint_policy(a_site()),
        created_at="2026-01-31 22:00:00",
    )
    tags = {"Name": "vbr-privatelink-tokyo", SITE_TAG: "tokyo", CREATOR_TAG: "run-1"}
    assert endpoints.tags == {group_id: tags, endpoint_id: tags}
    assert result(ensured) == {
        "changed": True,
        "vpc_endpoint_id": endpoint_id,
        "created": [group_id, endpoint_id],
        "others": [],
        "drift": [],
    }


def test_a_second_run_writes_nothing() -> None:
    """A converged run is a silent one; an endpoint costs money, so there must never be a second."""
    endpoints, _group_id, endpoint_id = provisioned()

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2")

    assert ensured.endpoint_id == endpoint_id
    assert result(ensured)["changed"] is False
    assert endpoints.writes == []


BOTH = ", ".join(SUBNETS)
DRIFTS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"subnet_ids": frozenset(SUBNETS[:1])}, "subnets", SUBNETS[0], BOTH),
    ({"subnet_ids": frozenset()}, "subnets", "none", BOTH),
    (
        {"subnet_ids": frozenset({*SUBNETS, "subnet-0000000f"})},
        "subnets",
        f"subnet-0000000f, {BOTH}",
        BOTH,
    ),
    (
        {"security_group_ids": frozenset({"sg-of-somebody"})},
        "security groups",
        "sg-of-somebody",
        "sg-00000000",
    ),
    ({"policy": {"Statement": []}}, "endpoint policy", "none", "BucketNames, OnlyTheseBuckets"),
    ({"policy": {}}, "endpoint policy", "none", "BucketNames, OnlyTheseBuckets"),
    (
        {"policy": {"Statement": [{"Effect": "Allow"}, {"Sid": "Mine"}]}},
        "endpoint policy",
        "Mine, unnamed",
        "BucketNames, OnlyTheseBuckets",
    ),
    # Written by hand, as IAM allows: the only statement is no list.
    (
        {"policy": {"Statement": {"Sid": "Mine"}}},
        "endpoint policy",
        "Mine",
        "BucketNames, OnlyTheseBuckets",
    ),
    ({"private_dns": True}, "private DNS", "on", "off"),
]


@pytest.mark.parametrize(("drift", "what", "found", "wanted"), DRIFTS)
def test_each_drift_of_the_endpoint_is_repaired(
    drift: dict[str, Any], what: str, found: str, wanted: str
) -> None:
    """Repaired once, in one call; then it is as it was made, and the next run is silent."""
    endpoints, _group_id, endpoint_id = provisioned()
    made = endpoints.all[endpoint_id]
    endpoints.becomes(endpoint_id, **drift)

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2")
    again = ensured_endpoint(endpoints, a_site(), run="run-3")

    assert ensured.drift == (drifted(endpoint_id, what, found, wanted),)
    assert result(ensured)["changed"] is True
    assert endpoints.all[endpoint_id] == made
    assert endpoints.writes == [f"change endpoint {endpoint_id}"]
    assert (result(again)["changed"], again.drift) == (False, ())


@pytest.mark.parametrize(("drift", "what", "found", "wanted"), DRIFTS)
def test_a_run_that_only_checks_says_what_it_found_and_changes_nothing(
    drift: dict[str, Any], what: str, found: str, wanted: str
) -> None:
    """A person wants to know first what the next run would do."""
    endpoints, _group_id, endpoint_id = provisioned()
    endpoints.becomes(endpoint_id, **drift)
    before = dict(endpoints.all)

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2", repair=False)

    assert ensured.endpoint_id == endpoint_id
    assert ensured.drift == (drifted(endpoint_id, what, found, wanted, why=ONLY_CHECKED),)
    assert result(ensured)["changed"] is False
    assert endpoints.writes == []
    assert endpoints.all == before


ZONES = {SUBNETS[0]: "zone-a", SUBNETS[1]: "zone-c", "subnet-0000000a": "zone-a"}


def test_an_endpoint_stays_in_its_subnet_when_a_further_one_of_the_zone_is_tagged() -> None:
    """Its addresses would change, and with them what firewalls on-premises let through."""
    endpoints, _group_id, _endpoint_id = provisioned()
    tagged_since = a_site(subnet_ids=("subnet-0000000a", SUBNETS[1]), subnet_zones=ZONES)

    ensured = ensured_endpoint(endpoints, tagged_since, run="run-2")

    assert ensured.drift == ()
    assert endpoints.writes == []


def test_an_endpoint_leaves_a_subnet_that_would_not_do_any_more() -> None:
    """Somebody has taken the tag off: the other one of the zone takes its place."""
    endpoints, _group_id, endpoint_id = provisioned()
    zones = {subnet: zone for subnet, zone in ZONES.items() if subnet != SUBNETS[0]}
    untagged = a_site(subnet_ids=("subnet-0000000a", SUBNETS[1]), subnet_zones=zones)

    for run in ("run-2", "run-3"):
        ensured_endpoint(endpoints, untagged, run=run)

    assert endpoints.all[endpoint_id].subnet_ids == frozenset({"subnet-0000000a", SUBNETS[1]})
    assert endpoints.writes == [f"change endpoint {endpoint_id}"]


def test_a_zone_that_joins_or_leaves_is_followed() -> None:
    """One subnet a zone, and only those that the site has."""
    endpoints, _group_id, endpoint_id = provisioned(a_site(subnet_ids=SUBNETS[:1], subnet_zones=ZONES))

    ensured_endpoint(endpoints, a_site(subnet_zones=ZONES), run="run-2")
    both = endpoints.all[endpoint_id].subnet_ids
    ensured_endpoint(endpoints, a_site(subnet_ids=SUBNETS[1:], subnet_zones=ZONES), run="run-3")

    assert both == frozenset(SUBNETS)
    assert endpoints.all[endpoint_id].subnet_ids == frozenset(SUBNETS[1:])


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "gateway"},
        {"service_name": "com.amazonaws.ap-northeast-1.ec2"},
        {"service_name": "com.amazonaws.ap-northeast-1.s3express"},
    ],
)
def test_what_only_carries_our_tags_is_neither_used_nor_named(change: dict[str, Any]) -> None:
    """Anyone who may tag can put the product's tags on something else."""
    endpoints, _group_id, tagged = provisioned()
    endpoints.becomes(tagged, **change)

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2", known=(tagged,))

    assert ensured.endpoint_id not in (None, tagged)
    assert ensured.others == ()


def test_what_ec2_writes_differently_is_no_drift() -> None:
    """AWS gives lists back in its own order, and a list of one as a text: repaired each day for nothing."""
    endpoints, _group_id, endpoint_id = provisioned()
    policy = json.loads(json.dumps(endpoint_policy(a_site())))
    policy["Statement"].reverse()
    for statement in policy["Statement"]:
        statement["Action"] = [statement["Action"]]
        if isinstance(statement["Resource"], list):
            statement["Resource"].reverse()
    endpoints.becomes(endpoint_id, policy=policy)

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2")

    assert policy != endpoint_policy(a_site())
    assert ensured.drift == ()
    assert endpoints.writes == []


def test_several_drifts_are_repaired_in_one_call() -> None:
    """While EC2 works on one change it refuses the next."""
    endpoints, _group_id, endpoint_id = provisioned()
    endpoints.becomes(endpoint_id, subnet_ids=frozenset(), private_dns=True, policy={})

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2")

    assert [drift.property for drift in ensured.drift] == ["subnets", "endpoint policy", "private DNS"]
    assert endpoints.writes == [f"change endpoint {endpoint_id}"]


@pytest.mark.parametrize("repair", [True, False])
def test_a_changed_network_of_the_group_is_told_and_repaired_unless_the_run_only_checks(
    *, repair: bool
) -> None:
    """A network that was added by hand is a hole; one that is missing keeps servers out."""
    endpoints, group_id, _endpoint_id = provisioned()
    opened = replace(endpoints.groups[group_id], sources=frozenset({"0.0.0.0/0"}), other_rules=2)
    made, endpoints.groups[group_id] = endpoints.groups[group_id], opened

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2", repair=repair)
    left = endpoints.groups[group_id]
    again = ensured_endpoint(endpoints, a_site(), run="run-3")

    why = None if repair else ONLY_CHECKED
    assert ensured.drift == (
        drifted(group_id, "sources of HTTPS", "0.0.0.0/0", "192.168.0.0/16", why=why),
        drifted(group_id, "other incoming rules", "2", "none", why=why),
    )
    assert left == (made if repair else opened)
    assert result(ensured)["changed"] is repair
    assert result(again)["changed"] is not repair


def test_a_changed_setting_reaches_the_endpoint() -> None:
    """Drift comes from the settings as well: a further bucket, another network."""
    endpoints, group_id, endpoint_id = provisioned()
    wider = a_site(onprem_cidrs=("10.0.0.0/8",), additional_buckets=("old-backups",))

    ensured_endpoint(endpoints, wider, run="run-2")

    assert endpoints.groups[group_id].sources == frozenset({"10.0.0.0/8"})
    assert endpoints.all[endpoint_id].policy == endpoint_policy(wider)


def test_a_pending_endpoint_is_not_modified() -> None:
    """EC2 refuses that, and the run would fail although nothing is wrong."""
    endpoints, _group_id, endpoint_id = provisioned()
    endpoints.becomes(endpoint_id, state="pending", policy={})

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2")

    assert ensured.endpoint_id == endpoint_id
    assert result(ensured)["changed"] is False
    assert endpoints.writes == []
    (drift,) = ensured.drift
    assert (drift.property, drift.repaired, drift.why) == ("endpoint policy", False, "it is pending")


@pytest.mark.parametrize("state", ["deleting", "deleted", "failed", "rejected", "expired"])
def test_an_endpoint_that_is_going_or_gone_counts_as_absent(state: str) -> None:
    """Its name must never be published: nothing answers there any more."""
    endpoints, group_id, old = provisioned()
    endpoints.becomes(old, state=state)

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2")

    assert ensured.endpoint_id not in (None, old)
    assert ensured.created == (ensured.endpoint_id,)
    assert ensured.others == ()
    assert endpoints.all[ensured.created[0]].security_group_ids == frozenset({group_id})


def test_a_group_that_an_aborted_run_left_is_adopted() -> None:
    """Otherwise its name is taken, and no run would ever succeed again."""
    endpoints = InMemoryEndpoints()
    left = endpoints.create_group(
        "vbr-privatelink-tokyo", vpc_id=VPC, tags={SITE_TAG: "tokyo", CREATOR_TAG: "dead"}
    )

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2")

    assert ensured.created == (ensured.endpoint_id,)
    assert ensured.drift == (drifted(left.id, "sources of HTTPS", "none", "192.168.0.0/16"),)


def test_of_several_own_endpoints_the_first_is_kept() -> None:
    """Two runs at once, or a lost answer: servers may use the first one already."""
    endpoints, _group_id, made = provisioned()
    first = "vpce-000000ff"
    endpoints.all[first] = replace(endpoints.all.pop(made), id=first)
    # Neither the order of the answer nor that of the ids tells which one is older.
    younger = replace(endpoints.all[first], id="vpce-000000aa", created_at="2026-02-01 00:00:00")
    endpoints.all = {younger.id: younger, **endpoints.all}
    endpoints.tags |= {endpoint: {SITE_TAG: "tokyo", CREATOR_TAG: "run-9"} for endpoint in endpoints.all}

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2")

    assert ensured.endpoint_id == first
    assert ensured.others == (younger.id,)
    assert endpoints.writes == []


def with_a_second(**changes: Any) -> tuple[InMemoryEndpoints, str, str]:
    """Return a world with a second endpoint of the site, made later by a run that was stopped."""
    endpoints, _group_id, first = provisioned()
    second = replace(
        endpoints.all[first], **{"id": "vpce-000000aa", "created_at": "2026-02-01 00:00:00", **changes}
    )
    endpoints.all[second.id] = second
    endpoints.tags[second.id] = {SITE_TAG: "tokyo", CREATOR_TAG: "stopped"}
    return endpoints, first, second.id


def test_the_endpoint_that_servers_were_told_of_is_kept_though_an_older_one_is_there() -> None:
    """The older one is what a stopped run left: moving every server to it would be for nothing."""
    endpoints, older, told = with_a_second()

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2", known=(told,))

    assert ensured == EnsuredEndpoint(endpoint_id=told, others=(older,))
    assert endpoints.writes == []


@pytest.mark.parametrize("known", [(), ("vpce-00000fff",)])
def test_a_leftover_is_adopted_when_the_known_one_is_gone(known: tuple[str, ...]) -> None:
    """What is there already is used; a third endpoint would cost money."""
    endpoints, older, younger = with_a_second()

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2", known=known)

    assert ensured == EnsuredEndpoint(endpoint_id=older, others=(younger,))


def test_a_known_endpoint_in_another_vpc_is_no_candidate_and_no_drift() -> None:
    """The settings have moved the site: a new one is made, and the old one is named until nobody uses it."""
    endpoints, _group_id, old = provisioned()

    moved = ensured_endpoint(endpoints, a_site(vpc_id=OTHER_VPC), run="run-2", known=(old,))
    group_id, new = moved.created

    assert moved == EnsuredEndpoint(endpoint_id=new, created=(group_id, new), others=(old,))
    assert endpoints.groups[group_id].vpc_id == endpoints.all[new].vpc_id == OTHER_VPC
    again = ensured_endpoint(endpoints, a_site(vpc_id=OTHER_VPC), run="run-3", known=(new, old))
    assert (again.endpoint_id, again.created, again.others) == (new, (), (old,))


@pytest.mark.parametrize("state", ["deleting", "deleted", "failed", "rejected", "expired"])
def test_others_that_are_going_or_gone_are_not_named(state: str) -> None:
    """They would be deleted again with each run."""
    endpoints, first, _second = with_a_second(state=state)

    assert ensured_endpoint(endpoints, a_site(), run="run-2").others == ()
    assert ensured_endpoint(endpoints, a_site(), run="run-2").endpoint_id == first


GONE = ("interface endpoint", "existence", "absent", "there")


def test_an_endpoint_that_servers_knew_and_that_is_gone_is_drift() -> None:
    """Somebody has deleted it by hand: it is replaced, and people hear of it."""
    endpoints, group_id, old = provisioned()
    del endpoints.all[old]

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2", known=(old,))

    assert ensured.created == (ensured.endpoint_id,)
    assert ensured.drift == (drifted(*GONE),)
    assert endpoints.all[ensured.created[0]].security_group_ids == frozenset({group_id})


def test_a_site_that_never_had_an_endpoint_has_not_drifted() -> None:
    """The first run is news enough."""
    assert ensured_endpoint(InMemoryEndpoints(), a_site(), run="run-1").drift == ()


@pytest.mark.parametrize("known", [(), ("vpce-00000fff",)])
def test_a_run_that_only_checks_makes_no_endpoint(known: tuple[str, ...]) -> None:
    """It says what is missing, whether servers knew of it or not, and has no endpoint to go on with."""
    endpoints = InMemoryEndpoints()

    ensured = ensured_endpoint(endpoints, a_site(), run="run-1", repair=False, known=known)

    assert result(ensured) == {
        "changed": False,
        "vpc_endpoint_id": None,
        "created": [],
        "others": [],
        "drift": [
            drifted(resource, *GONE[1:], why=ONLY_CHECKED).model_dump()
            for resource in ("security group", "interface endpoint")
        ],
    }
    assert endpoints.writes == []


def test_a_run_that_only_checks_notices_a_group_that_is_gone() -> None:
    """Somebody has given the endpoint another group and deleted ours."""
    endpoints, group_id, endpoint_id = provisioned()
    del endpoints.groups[group_id]
    endpoints.becomes(endpoint_id, security_group_ids=frozenset({"sg-of-somebody"}))

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2", repair=False)

    assert ensured.endpoint_id == endpoint_id
    assert ensured.drift == (drifted("security group", *GONE[1:], why=ONLY_CHECKED),)
    assert endpoints.writes == []


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {SITE_TAG: "tokyo"},
        {CREATOR_TAG: "run-1"},
        {SITE_TAG: "osaka", CREATOR_TAG: "run-1"},
    ],
)
def test_endpoints_of_others_are_left_alone(tags: dict[str, str]) -> None:
    """Without the creator tag it is somebody else's, and with another site's tag it is that site's."""
    endpoints, group_id, foreign = provisioned()
    endpoints.tags[foreign] = tags
    endpoints.tags[group_id] = tags
    endpoints.becomes(foreign, policy={})
    before = endpoints.all[foreign], endpoints.groups[group_id]

    ensured = ensured_endpoint(endpoints, a_site(), run="run-2")

    assert foreign not in (ensured.endpoint_id, *ensured.created)
    assert (endpoints.all[foreign], endpoints.groups[group_id]) == before
    assert len(ensured.created) == 2


def test_the_client_token_is_of_the_run_and_the_specification() -> None:
    """
    The same run gets the same endpoint when it asks again; another run never gets one that was deleted
    since, and a changed specification with an old token would be an error.
    """
    tokens = []
    for run, site in (
        ("run-1", a_site()),
        ("run-1", a_site()),
        ("run-2", a_site()),
        ("run-1", a_site(additional_buckets=("more",))),
        ("run-1", a_site(subnet_ids=SUBNETS[:1])),
    ):
        endpoints = InMemoryEndpoints()
        ensured_endpoint(endpoints, site, run=run)
        tokens.extend(endpoints.tokens)

    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 4
    # EC2 takes at most 64 ASCII characters.
    assert all(len(token) <= 64 for token in tokens)


def with_foreign(**changes: Any) -> InMemoryEndpoints:
    """Return a world with one endpoint that somebody else made."""
    endpoint = Endpoint(
        id=FOREIGN_ENDPOINT,
        state="available",
        kind="interface",
        service_name=SERVICE,
        vpc_id=VPC,
        subnet_ids=frozenset({"subnet-0000000f"}),
        security_group_ids=frozenset({"sg-of-somebody"}),
        private_dns=True,
        policy={"Statement": []},
        created_at="2020-01-01 00:00:00",
    )
    return InMemoryEndpoints(all={FOREIGN_ENDPOINT: replace(endpoint, **changes)})


@pytest.mark.parametrize("state", ["available", "pending", "pendingacceptance"])
def test_a_named_endpoint_is_used_and_never_modified(state: str) -> None:
    """Its owner decides about policy, groups and private DNS, however they differ from ours."""
    endpoints = with_foreign(state=state)
    before = dict(endpoints.all)

    ensured = [
        ensured_endpoint(endpoints, a_site(vpc_endpoint_id=FOREIGN_ENDPOINT), run=run)
        for run in ("run-1", "run-2")
    ]

    assert [one.endpoint_id for one in ensured] == [FOREIGN_ENDPOINT] * 2
    assert not any(result(one)["changed"] for one in ensured)
    assert endpoints.all == before
    assert endpoints.writes == []


@pytest.mark.parametrize("repair", [True, False])
def test_own_endpoints_beside_a_named_one_are_named_as_well(*, repair: bool) -> None:
    """The site is moved to the network team's endpoint: ours stays until nobody uses it, and then goes."""
    endpoints, _group_id, own = provisioned()
    endpoints.all |= with_foreign().all

    ensured = ensured_endpoint(
        endpoints, a_site(vpc_endpoint_id=FOREIGN_ENDPOINT), run="run-2", repair=repair, known=(own,)
    )

    assert ensured == EnsuredEndpoint(endpoint_id=FOREIGN_ENDPOINT, others=(own,))
    assert endpoints.writes == []


def test_a_named_endpoint_that_the_product_has_made_is_not_its_own_other() -> None:
    """Somebody writes our own endpoint's id into the settings: it must not be retired for that."""
    endpoints, _group_id, own = provisioned()

    assert ensured_endpoint(endpoints, a_site(vpc_endpoint_id=own), run="run-2") == EnsuredEndpoint(
        endpoint_id=own
    )


@pytest.mark.parametrize(
    ("endpoints", "words"),
    [
        (InMemoryEndpoints(), "does not exist any more; correct the settings"),
        (with_foreign(state="deleted"), "does not exist any more"),
        (with_foreign(state="failed"), "does not exist any more"),
        (with_foreign(kind="gateway"), "is a gateway endpoint of"),
        (with_foreign(service_name="com.amazonaws.ap-northeast-1.ec2"), "name an interface endpoint of S3"),
        (with_foreign(service_name="com.amazonaws.ap-northeast-1.s3express"), "name an interface endpoint"),
        (with_foreign(vpc_id=OTHER_VPC), f"is in {OTHER_VPC}, not in {VPC}; name an endpoint of the site's"),
    ],
)
def test_a_named_endpoint_that_is_not_fit_is_refused(endpoints: InMemoryEndpoints, words: str) -> None:
    """The message names the field and the fix; nothing is created in its place."""
    with pytest.raises(EndpointRefusedError, match=f"^vpc_endpoint_id: {FOREIGN_ENDPOINT} .*{words}"):
        ensured_endpoint(endpoints, a_site(vpc_endpoint_id=FOREIGN_ENDPOINT), run="run-1")

    assert endpoints.writes == []


def test_a_named_group_is_used_and_never_modified() -> None:
    """Networks are its owner's business."""
    theirs = SecurityGroup(id=FOREIGN_GROUP, vpc_id=VPC, sources=frozenset({"10.9.0.0/16"}), other_rules=7)
    endpoints = InMemoryEndpoints(groups={FOREIGN_GROUP: theirs})

    ensured = ensured_endpoint(endpoints, a_site(security_group_id=FOREIGN_GROUP), run="run-1")

    assert endpoints.groups == {FOREIGN_GROUP: theirs}
    assert ensured.created == (ensured.endpoint_id,)
    assert endpoints.all[ensured.created[0]].security_group_ids == frozenset({FOREIGN_GROUP})
    assert ensured.drift == ()


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({}, f"security_group_id: {FOREIGN_GROUP} does not exist; correct the settings"),
        (
            {
                FOREIGN_GROUP: SecurityGroup(
                    id=FOREIGN_GROUP, vpc_id=OTHER_VPC, sources=frozenset(), other_rules=0
                )
            },
            f"security_group_id: {FOREIGN_GROUP} is in {OTHER_VPC}, not in {VPC}",
        ),
    ],
)
def test_a_named_group_that_is_not_fit_is_refused(groups: dict[str, SecurityGroup], words: str) -> None:
    """EC2 would refuse it as well, without saying which setting is wrong."""
    endpoints = InMemoryEndpoints(groups=groups)

    with pytest.raises(EndpointRefusedError, match=f"^{words}"):
        ensured_endpoint(endpoints, a_site(security_group_id=FOREIGN_GROUP), run="run-1")

    assert endpoints.writes == []


def test_the_endpoint_reaches_the_buckets_of_the_site_and_no_other() -> None:
    """Otherwise a stolen key of another account carries data out through our own endpoint."""
    site = a_site(buckets=(a_bucket("b"), a_bucket("a")), additional_buckets=("c", "a"), partition="aws-cn")

    assert endpoint_policy(site) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyTheseBuckets",
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [
                    "arn:aws-cn:s3:::a",
                    "arn:aws-cn:s3:::b",
                    "arn:aws-cn:s3:::c",
                    "arn:aws-cn:s3:::a/*",
                    "arn:aws-cn:s3:::b/*",
                    "arn:aws-cn:s3:::c/*",
                ],
            },
            {
                "Sid": "BucketNames",
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:ListAllMyBuckets",
                "Resource": "*",
            },
        ],
    }


def test_a_full_endpoint_policy_is_a_setting() -> None:
    """Some sites share one endpoint for many buckets."""
    assert endpoint_policy(a_site(endpoint_policy="full")) == {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "Full", "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
    }
