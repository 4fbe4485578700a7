"""
Many accounts: one deployment of the hub brings a site into each, each provisions itself, one fails, and
whoever looks at the hub sees which, and why.

It is judged from outside: StackSets' own results, each account's own executions, S3's answers to its
buckets, the log of AWS calls. The fleet's table is only asked who told what.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from contract.documents import EndpointDocument
from contract.names import site_name
from contract.parameters import endpoint_parameter
from sandbox.aws import Credentials
from sandbox.demo.console import Console
from sandbox.demo.teller import Statements
from sandbox.fleet import MANAGEMENT, OUTSIDE, REGIONS, Fleet, account_number

WITHOUT_NETWORK = 3
"""The account, by number, that has no VPC for its site in the first Region."""
ATTENTION = "Needs attention"
SHOW, START = "customWidgetVbrPrivateLinkFleet", "customWidgetVbrPrivateLinkFleetStart"
Place = tuple[str, str]
_ACCOUNT = re.compile(rf"(?<!\d){MANAGEMENT[:9]}\d{{3}}(?!\d)")


class FleetStory(Statements):
    """From an organization without the product to a fleet that is all green."""

    def __init__(self, fleet: Fleet, console: Console, *, open_page: Callable[[Credentials], str]) -> None:
        super().__init__(console)
        self._fleet = fleet
        self._open_page = open_page
        self._failing: Place = (account_number(WITHOUT_NETWORK), REGIONS[0])

    def tell(self) -> None:
        """Tell it to the end, or raise UntrueError."""
        self._deploy()
        self._provision()
        self._look()
        self._lie()
        self._join()
        self._mend()

    def _deploy(self) -> None:
        accounts = len(self._fleet.accounts)
        self._console.chapter(f"The hub is deployed, and StackSets brings the sites into {accounts} accounts")
        with self._console.waiting("the hub and its StackSet"):
            self._fleet.deploy()
        cloudformation = self._fleet.client("cloudformation")
        name = self._fleet.outputs["StackSetName"]
        operation = cloudformation.list_stack_set_operations(StackSetName=name)["Summaries"][0]
        results = cloudformation.list_stack_set_operation_results(
            StackSetName=name, OperationId=operation["OperationId"]
        )["Summaries"]
        self._console.evidence(f"{operation['Action']} {operation['Status']}: {len(results)} stacks")
        self._check(
            f"StackSets made a stack in each of {accounts} accounts and {len(REGIONS)} Regions",
            {(item["Account"], item["Region"]) for item in results} == set(self._places())
            and {item["Status"] for item in results} == {"SUCCEEDED"},
            str([item for item in results if item["Status"] != "SUCCEEDED"][:1]),
        )

    def _provision(self) -> None:
        self._console.chapter("Every account provisions itself")
        with self._console.waiting("each account's own workflow"):
            self._eventually("every run ended", lambda: self._ended(self._places()))
        runs = {place: self._fleet.runs(*place) for place in self._places()}
        outcome = Counter(run["status"] for found in runs.values() for run in found)
        self._console.evidence(", ".join(f"{status} {count}" for status, count in sorted(outcome.items())))
        self._check(
            "each ran once, and nobody started it but the account's own EventBridge",
            {len(found) for found in runs.values()} == {1} and self._starters() == {"events"},
            str(self._starters()),
        )
        self._check_provisioned([place for place in self._places() if place != self._failing])
        self._check(
            "one failed: the account without a network for the site",
            [place for place, found in runs.items() if found[0]["status"] == "FAILED"] == [self._failing],
            str(outcome),
        )
        strangers = self._strangers()
        self._check("no call of a function names another account", strangers == [], str(strangers[:1]))

    def _look(self) -> None:
        self._console.chapter("Whoever looks at the hub sees which one, and why")
        self._operator = self._fleet.operator()
        self._console.evidence(f"the page: {self._open_page(self._operator)}")
        rows = self._eventually("every site told the hub how it is", lambda: self._all_told(self._places()))
        states = Counter(row["state"] for row in rows.values())
        self._console.evidence(", ".join(f"{count} {state}" for state, count in sorted(states.items())))
        failed = {place: row for place, row in rows.items() if row["state"] == "failed"}
        for (account, region), row in failed.items():
            self._console.evidence(f"{account} {region}: {row['error']}")
        self._check("the hub names the account that failed, and no other", set(failed) == {self._failing})
        self._check("it says what to do", "vbr-privatelink=" in failed[self._failing]["error"])
        shown = self._shown()
        self._check(
            "the fleet's page shows it first, as the only one that needs attention",
            len(shown) == len(rows)
            and [self._failing[0] in row and self._failing[1] in row for row in shown][:1] == [True]
            and sum(ATTENTION in row for row in shown) == 1,
            shown[0] if shown else "nothing is shown",
        )

    def _lie(self) -> None:
        self._console.chapter("Nobody speaks for another account, and nobody from outside speaks at all")
        liar, victim = (account_number(1), REGIONS[0]), (account_number(2), REGIONS[0])
        before = self._rows()
        lie = {
            "site": self._fleet.site,
            "account": victim[0],
            "account_id": victim[0],
            "region": victim[1],
            "state": "released",
            "intent": "released",
        }
        self._fleet.client("events", *liar).put_events(Entries=[self._entry("Site Status", lie)])
        with self._console.waiting("an event that claims to be another account's"):
            self._eventually(
                "the hub took the event as its sender's",
                lambda: (
                    self._rows().get(liar, {}).get("state") == "released"
                    or self._rows().get(victim) != before[victim]
                ),
            )
        self._check("the event changed no row but its sender's", self._changed(before) == [liar])
        hub = self._fleet.client("events", OUTSIDE)
        try:
            hub.put_events(
                Entries=[{**self._entry("Site Status", lie), "EventBusName": self._output("EventBusArn")}]
            )
            refused = "it was accepted"
        except ClientError as error:
            refused = str(error)
        self._console.evidence(refused)
        self._check(
            "an account outside the organization is refused by the hub's bus",
            "because no resource-based policy allows the events:PutEvents action" in refused,
            refused,
        )
        self._press(liar)
        with self._console.waiting("the liar's site says how it really is"):
            self._eventually("it told again", lambda: self._rows()[liar]["state"] == "enforced")

    def _join(self) -> None:
        self._console.chapter("One more account joins the organization")
        newcomer = self._fleet.add_account(len(self._fleet.accounts) + 1)
        places = [(newcomer, region) for region in REGIONS]
        with self._console.waiting(f"account {newcomer} gets its stacks, and its sites provision themselves"):
            self._eventually("its runs ended", lambda: self._ended(places))
        self._check_provisioned(places)
        rows = self._eventually("it told the hub", lambda: self._all_told(places))
        self._check("the hub knows it", {rows[place]["state"] for place in places} == {"enforced"})

    def _mend(self) -> None:
        account, region = self._failing
        self._console.chapter(f"Account {account} gets its network, and all is green")
        self._fleet.make_network(account, region)
        self._press(self._failing)
        with self._console.waiting("the site provisions itself"):
            self._eventually(
                "the hub heard that it is well", lambda: self._rows()[self._failing]["state"] == "enforced"
            )
        self._check_provisioned([self._failing])
        states = Counter(row["state"] for row in self._rows().values())
        self._console.evidence(", ".join(f"{count} {state}" for state, count in sorted(states.items())))
        self._check(f"all {sum(states.values())} sites are enforced", set(states) == {"enforced"})
        self._check(
            "nothing on the fleet's page needs attention: every site waits for its backup server only",
            all("No backup server uses the endpoint yet" in row for row in self._shown()),
            str([row for row in self._shown() if ATTENTION in row][:1]),
        )

    # What the outside world says

    def _places(self) -> list[Place]:
        return [(account, region) for region in REGIONS for account in self._fleet.accounts]

    def _ended(self, places: list[Place]) -> bool:
        for place in places:
            try:
                runs = self._fleet.runs(*place)
            except self._fleet.client("stepfunctions", *place).exceptions.StateMachineDoesNotExist:
                return False
            if not runs or any(run["status"] == "RUNNING" for run in runs):
                return False
        return True

    def _starters(self) -> set[str]:
        calls = self._fleet.aws.requests()
        return {str(call["source"]) for call in calls if call["action"] == "StartExecution"}

    def _check_provisioned(self, places: list[Place]) -> None:
        """See that each has published its own endpoint, and that its bucket is closed to everybody else."""
        own, closed = 0, 0
        for account, region in places:
            ssm = self._fleet.client("ssm", account, region)
            name = endpoint_parameter(site_name(self._fleet.site))
            try:
                value = ssm.get_parameter(Name=name)["Parameter"]["Value"]
            except ssm.exceptions.ParameterNotFound:
                continue
            document = EndpointDocument.from_json(value)
            own += (document.account_id, document.region) == (account, region)
            s3 = self._fleet.client("s3", account, region)
            try:
                s3.put_object(Bucket=document.buckets[0].name, Key="upload.txt", Body=b"")
            except ClientError as error:
                closed += "explicit deny in a resource-based policy" in str(error)
        count = len(places)
        self._check(
            f"{count} published an endpoint that is its own account's", own == count, f"{own} of {count}"
        )
        self._check(
            f"S3 refuses an upload to {count} buckets by the bucket's policy", closed == count, f"{closed}"
        )

    def _strangers(self) -> list[str]:
        """Return the calls of functions that name another account of the organization than their own."""
        return [
            f"{call['principal']}: {call['action']}"
            for call in self._fleet.aws.requests()
            if call["source"].startswith("lambda:")
            and call["account"] != self._fleet.hub_account
            and set(_ACCOUNT.findall(json.dumps(call["parameters"]))) - {call["account"]}
        ]

    def _rows(self) -> dict[Place, dict[str, Any]]:
        """Return what the hub keeps of each site, by the account and Region that it keeps it under."""
        dynamodb = self._fleet.client("dynamodb")
        rows: dict[Place, dict[str, Any]] = {}
        for page in dynamodb.get_paginator("scan").paginate(TableName=self._output("FleetTable")):
            for item in page["Items"]:
                if "status" in item:
                    place = (item["account"]["S"], item["place"]["S"].split("/")[0])
                    rows[place] = json.loads(item["status"]["S"])
        return rows

    def _all_told(self, places: list[Place]) -> dict[Place, dict[str, Any]] | None:
        rows = self._rows()
        return rows if set(places) <= set(rows) else None

    def _changed(self, before: dict[Place, dict[str, Any]]) -> list[Place]:
        now = self._rows()
        return [place for place in {*now, *before} if now.get(place) != before.get(place)]

    def _output(self, name: str) -> str:
        [value] = [value for key, value in self._fleet.outputs.items() if name in key]
        return value

    # What people do

    def _entry(self, kind: str, detail: dict[str, Any]) -> dict[str, Any]:
        return {"Source": "vbr-privatelink", "DetailType": kind, "Detail": json.dumps(detail)}

    def _press(self, place: Place) -> None:
        """The hub's operator presses the button of a site."""
        account, region = place
        press = {"request": "provision", "account": account, "region": region, "site": self._fleet.site}
        answer = self._call(START, press)
        self._check(
            f"the hub's button asks account {account} for a run", "was asked to provision" in answer, answer
        )

    def _shown(self) -> list[str]:
        """Return the rows of the fleet's page, as text."""
        table = self._call(SHOW, {"show": "all"}).partition("<tbody>")[2].partition("</tbody>")[0]
        return [re.sub(r"<[^>]*>", " ", row) for row in table.split("<tr>")[1:]]

    def _call(self, function: str, parameters: dict[str, Any]) -> str:
        """Call a function as CloudWatch would, with the operator's own permissions."""
        lambda_ = self._fleet.aws.client("lambda", self._operator)
        answer = lambda_.invoke(FunctionName=function, Payload=json.dumps(parameters))
        text = re.sub(r"<style.*?</style>", "", str(json.loads(answer["Payload"].read())), flags=re.DOTALL)
        lambda_.close()
        return text
