"""
The private control plane: how backup servers without internet get to Parameter Store.

The embedded AWS has neither IAM Roles Anywhere nor endpoints of other services than S3, so this is what the
templates say, and what an evaluator of policies makes of them.
"""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from contract.errors import ContractError
from contract.permissions import client_policy
from sandbox.aws.policy import PolicyRequest, Verdict, evaluate
from stacks.settings import AppSettings
from tests.stacks.synthesized import HUB, ROOT, STACK_SET, Synthesized, as_text, synthesize

ACCOUNT, REGION = "111122223333", "ap-northeast-1"
PARAMETERS = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter"
AUTHORITY = trustme.CA(organization_name="Example")
CERTIFICATE = AUTHORITY.cert_pem.bytes().decode()
PLANE = {"certificate_authority": CERTIFICATE, "session_minutes": 30, "interface_endpoints": True}
COMMON_NAME = "aws:PrincipalTag/x509Subject/CN"


def one_account(**plane: object) -> dict[str, Any]:
    """Return the settings of cdk.json with a private control plane."""
    settings: dict[str, Any] = copy.deepcopy(
        json.loads((ROOT / "cdk.json").read_text())["context"]["settings"]
    )
    settings["sites"][0] |= {
        "vpc_id": "vpc-0123456789abcdef0",
        "subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        "onprem_cidrs": ["192.168.0.0/16", "172.16.0.0/12"],
        "expected_servers": ["vbr01", "vbr02"],
    }
    return {**settings, "private_control_plane": {**PLANE, **plane}}


def many_accounts() -> dict[str, Any]:
    """Return the settings of the example with a private control plane."""
    settings: dict[str, Any] = json.loads((ROOT / "tests/stacks/organization.json").read_text())["settings"]
    del settings["hub"]["overrides"][1]["onprem_cidrs"]
    return {**settings, "private_control_plane": PLANE}


@pytest.fixture(name="private", scope="module")
def _private(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    folder = tmp_path_factory.mktemp("private") / "cdk.out"
    answer = synthesize(folder, context={"settings": one_account()})
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return Synthesized(folder)


@pytest.fixture(name="private_set", scope="module")
def _private_set(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    folder = tmp_path_factory.mktemp("private-set") / "cdk.out"
    answer = synthesize(folder, context={"settings": many_accounts()})
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (template,) = folder.glob(STACK_SET)
    return Synthesized(folder, template.name)


def client_role(of: Synthesized) -> tuple[str, dict[str, Any]]:
    (found,) = [
        (name, role)
        for name, role in of.of_type("AWS::IAM::Role").items()
        if "rolesanywhere" in json.dumps(role["AssumeRolePolicyDocument"])
    ]
    return found


def resolved(value: Any) -> Any:
    """Return a policy of the template as IAM would get it."""
    match value:
        case dict() if "Fn::Join" in value or "Ref" in value:
            return as_text(value).replace("<AWS::Partition>", "aws")
        case dict():
            return {key: resolved(each) for key, each in value.items()}
        case list():
            return [resolved(each) for each in value]
        case _:
            return value


# Who gets in


def test_the_anchor_trusts_the_given_authority_alone(private: Synthesized) -> None:
    """Nothing is fetched or added: the certificate is the one of the settings."""
    (anchor,) = private.of_type("AWS::RolesAnywhere::TrustAnchor").values()

    assert anchor["Source"] == {
        "SourceType": "CERTIFICATE_BUNDLE",
        "SourceData": {"X509CertificateData": CERTIFICATE},
    }


def test_the_profile_leads_to_the_clients_role_for_a_limited_time(private: Synthesized) -> None:
    """Stolen credentials end by themselves."""
    name, _role = client_role(private)
    (profile,) = private.of_type("AWS::RolesAnywhere::Profile").values()

    assert [as_text(arn) for arn in profile["RoleArns"]] == [f"<{name}.Arn>"]
    assert profile["DurationSeconds"] == 30 * 60


def test_the_role_is_for_the_expected_servers_by_the_anchor(private: Synthesized) -> None:
    """Another anchor of the account, or a certificate of another server, gets no credentials."""
    (anchor,) = private.of_type("AWS::RolesAnywhere::TrustAnchor")
    _name, role = client_role(private)
    statements = role["AssumeRolePolicyDocument"]["Statement"]
    actions: set[str] = set()

    for statement in statements:
        given = statement["Action"]
        actions |= set(given) if isinstance(given, list) else {given}
        assert statement["Principal"] == {"Service": "rolesanywhere.amazonaws.com"}
        assert statement["Condition"] == {
            "ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [anchor, "TrustAnchorArn"]}},
            "StringEquals": {COMMON_NAME: ["vbr01", "vbr02"]},
        }
    assert actions == {"sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"}


# What a server may do


@pytest.mark.parametrize(
    ("common_name", "action", "parameter", "allowed"),
    [
        ("vbr01", "ssm:GetParameter", "tokyo/endpoint", True),
        ("vbr01", "ssm:PutParameter", "tokyo/adoption/vbr01", True),
        ("vbr01", "ssm:PutParameter", "tokyo/seen/vbr01", True),
        ("vbr01", "ssm:PutParameter", "tokyo/adoption/vbr02", False),
        ("vbr01", "ssm:PutParameter", "tokyo/seen/vbr02", False),
        ("vbr01", "ssm:PutParameter", "tokyo/endpoint", False),
        ("vbr01", "ssm:PutParameter", "tokyo/settings", False),
        ("vbr01", "ssm:GetParameter", "tokyo/settings", False),
        ("vbr01", "ssm:GetParameter", "tokyo/adoption/vbr01", False),
        ("vbr01", "ssm:GetParameter", "osaka/endpoint", False),
        ("vbr01", "ssm:GetParametersByPath", "tokyo", False),
        ("vbr01", "ssm:DeleteParameter", "tokyo/adoption/vbr01", False),
        (None, "ssm:PutParameter", "tokyo/adoption/vbr01", False),
        (None, "ssm:PutParameter", "tokyo/adoption/", False),
    ],
)
def test_a_server_reaches_its_own_parameters_alone(
    private: Synthesized, common_name: str | None, action: str, parameter: str, *, allowed: bool
) -> None:
    """The name in its certificate decides, which the authority wrote."""
    name, _role = client_role(private)
    (policy,) = [
        policy["PolicyDocument"]
        for policy in private.of_type("AWS::IAM::Policy").values()
        if {"Ref": name} in policy["Roles"]
    ]
    caller = f"arn:aws:iam::{ACCOUNT}:role/client"
    request = PolicyRequest(
        action=action,
        resource=f"{PARAMETERS}/vbr-privatelink/{parameter}",
        caller_arns=(caller,),
        caller_account=ACCOUNT,
        context={} if common_name is None else {"aws:principaltag/x509subject/cn": common_name},
    )

    assert (evaluate(resolved(policy), request) is Verdict.ALLOWED) is allowed


def test_the_role_has_no_other_policy(private: Synthesized) -> None:
    """One inline policy, which is the contract's."""
    name, role = client_role(private)
    documents = [
        resolved(policy["PolicyDocument"])
        for policy in private.of_type("AWS::IAM::Policy").values()
        if {"Ref": name} in policy["Roles"]
    ]

    assert documents == [client_policy(PARAMETERS, site="tokyo", server=f"${{{COMMON_NAME}}}")]
    assert not {"ManagedPolicyArns", "Policies"} & set(role)


def test_the_documented_policy_is_the_contracts() -> None:
    """People paste it: one that has drifted would let in too much, or too little."""
    wanted = client_policy(PARAMETERS, site="tokyo", server="vbr01")
    found = [
        json.loads(block)
        for file in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
        for block in re.findall(r"```json\n(.*?)```", file.read_text(), re.DOTALL)
        if "ssm:PutParameter" in block
    ]

    assert found
    assert all(policy == wanted for policy in found)


# The endpoints


def test_the_endpoints_are_reached_from_the_on_premises_networks_alone(private: Synthesized) -> None:
    """Port 443, and nothing goes out from them."""
    (group,) = private.of_type("AWS::EC2::SecurityGroup").values()

    assert [
        (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["CidrIp"])
        for rule in group["SecurityGroupIngress"]
    ] == [("tcp", 443, 443, "192.168.0.0/16"), ("tcp", 443, 443, "172.16.0.0/12")]
    assert [rule["CidrIp"] for rule in group["SecurityGroupEgress"]] == ["127.0.0.1/32"]


def test_each_endpoint_carries_the_clients_calls_alone(private: Synthesized) -> None:
    """Private DNS stays off: it would lead everybody in the VPC here. No policy would let everything out."""
    (group,) = private.of_type("AWS::EC2::SecurityGroup")
    endpoints = {
        endpoint["ServiceName"]: endpoint for endpoint in private.of_type("AWS::EC2::VPCEndpoint").values()
    }
    allowed = {
        name: sorted(
            (statement["Action"], as_text(resource).split(":parameter")[-1])
            for statement in endpoint["PolicyDocument"]["Statement"]
            for resource in (
                statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            )
        )
        for name, endpoint in endpoints.items()
    }

    assert allowed == {
        f"com.amazonaws.{REGION}.ssm": [
            ("ssm:GetParameter", "/vbr-privatelink/tokyo/endpoint"),
            ("ssm:PutParameter", "/vbr-privatelink/tokyo/adoption/*"),
            ("ssm:PutParameter", "/vbr-privatelink/tokyo/seen/*"),
        ],
        f"com.amazonaws.{REGION}.rolesanywhere": [("rolesanywhere:CreateSession", "*")],
    }
    for endpoint in endpoints.values():
        assert endpoint["VpcEndpointType"] == "Interface"
        assert endpoint["PrivateDnsEnabled"] is False
        assert endpoint["VpcId"] == "vpc-0123456789abcdef0"
        assert [as_text(each) for each in endpoint["SecurityGroupIds"]] == [f"<{group}.GroupId>"]
        assert len(endpoint["SubnetIds"]) == 2


def test_the_operator_is_told_what_the_client_needs(private: Synthesized) -> None:
    """Three ARNs for the signing helper, and two addresses."""
    outputs = json.loads(private.template_file.read_text())["Outputs"]

    for wanted in (
        "TrustAnchorArn",
        "ProfileArn",
        "ClientRoleArn",
        "EndpointUrlssm",
        "EndpointUrlrolesanywhere",
    ):
        assert [name for name in outputs if wanted in name], wanted


def test_without_the_setting_there_is_none_of_it(synthesized: Synthesized) -> None:
    """Endpoints cost money by the hour, and trust is given by people."""
    kinds = {resource["Type"] for resource in synthesized.resources.values()}

    assert not {kind for kind in kinds if kind.startswith(("AWS::RolesAnywhere::", "AWS::EC2::"))}


# In many accounts


def test_an_account_that_names_no_network_gets_no_endpoints(private_set: Synthesized) -> None:
    """The ids are parameters; the default is none."""
    template = json.loads(private_set.template_file.read_text())
    parameters = template["Parameters"]
    (condition,) = template["Conditions"]

    assert template["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Vpctokyo"}, ""]}]}
    assert (parameters["Vpctokyo"]["Default"], parameters["Subnetstokyo"]["Default"]) == ("", "")
    for resource in private_set.resources.values():
        if resource["Type"].startswith("AWS::EC2::"):
            assert resource["Condition"] == condition
    for name, output in template["Outputs"].items():
        assert ("EndpointUrl" in name) == (output.get("Condition") == condition), name


def test_servers_and_network_of_an_account_are_those_of_its_override(private_set: Synthesized) -> None:
    """What the settings document says, the roles and the endpoints must say as well."""
    hub = Synthesized(private_set.folder, f"{HUB}.template.json")
    (properties,) = hub.of_type("AWS::CloudFormation::StackSet").values()
    given = [
        {one["ParameterKey"]: one["ParameterValue"] for one in group["ParameterOverrides"]}
        for group in properties["StackInstancesGroup"]
        if "ParameterOverrides" in group
    ]
    _name, role = client_role(private_set)

    assert [each["Serverstokyo"] for each in given] == ["vbr01,vbr02", ""]
    assert [each["Vpctokyo"] for each in given] == ["", "vpc-0123456789abcdef0"]
    assert given[1]["Subnetstokyo"] == "subnet-0123456789abcdef0,subnet-0123456789abcdef1"
    for statement in role["AssumeRolePolicyDocument"]["Statement"]:
        assert statement["Condition"]["StringEquals"] == {COMMON_NAME: {"Ref": "Serverstokyo"}}


def test_cfn_lint_finds_nothing_in_either_template(private: Synthesized, private_set: Synthesized) -> None:
    """cdk-nag has looked when they were synthesized."""
    answer = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--", private.template_file, private_set.template_file],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert (answer.returncode, answer.stdout) == (0, ""), answer.stderr


# Settings


def without(*names: str) -> dict[str, Any]:
    settings = one_account()
    for name in names:
        del settings["sites"][0][name]
    return settings


SERVER_CERTIFICATE = AUTHORITY.issue_cert("vbr01.example.com")
BAD = [
    (one_account(certificate_authority="x"), "settings.private_control_plane.certificate_authority"),
    (one_account(certificate_authority=None), "settings.private_control_plane.certificate_authority"),
    (
        one_account(certificate_authority=CERTIFICATE + CERTIFICATE),
        "settings.private_control_plane.certificate_authority",
    ),
    (
        one_account(certificate_authority=CERTIFICATE[:200] + "\n-----END CERTIFICATE-----\n"),
        "settings.private_control_plane.certificate_authority",
    ),
    (
        one_account(certificate_authority=SERVER_CERTIFICATE.cert_chain_pems[0].bytes().decode()),
        "settings.private_control_plane.certificate_authority",
    ),
    (
        one_account(certificate_authority=AUTHORITY.private_key_pem.bytes().decode() + CERTIFICATE),
        "settings.private_control_plane.certificate_authority",
    ),
    (one_account(session_minutes=600), "settings.private_control_plane.session_minutes"),
    (one_account(interface_endpoints="yes"), "settings.private_control_plane.interface_endpoints"),
    (one_account(private_dns=True), "settings.private_control_plane.private_dns"),
    (without("expected_servers"), "settings.sites[0].expected_servers"),
    (without("vpc_id", "subnet_ids"), "settings.sites[0].vpc_id"),
    (without("subnet_ids"), "settings.sites[0].subnet_ids"),
    (
        {
            **json.loads((ROOT / "tests/stacks/organization.json").read_text())["settings"],
            "private_control_plane": PLANE,
        },
        "settings.hub.overrides[1].onprem_cidrs",
    ),
]


@pytest.mark.parametrize(("given", "field"), BAD, ids=[f"{field}-{n}" for n, (_, field) in enumerate(BAD)])
def test_a_bad_setting_is_refused_naming_the_field(given: dict[str, Any], field: str) -> None:
    """And a private key that was pasted by mistake is not shown again in the refusal."""
    with pytest.raises(ContractError) as refusal:
        AppSettings.from_context(given)

    assert refusal.value.field == field
    assert "KEY-----" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_trust_without_endpoints_needs_no_network() -> None:
    """For servers that have a way to the internet, but no access keys."""
    settings = without("vpc_id", "subnet_ids")
    settings["private_control_plane"]["interface_endpoints"] = False

    plane = AppSettings.from_context(settings).private_control_plane

    assert plane is not None
    assert plane.certificate_authority == CERTIFICATE
