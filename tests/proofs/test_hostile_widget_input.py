"""
What a dashboard, or whoever may call its functions, sends: a run is started, or asked for, when and only when
a button could have sent it, and with nothing but what the button says.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given

from contract.errors import ContractError
from lambdas.core.errors import InvalidRequestError
from lambdas.core.widget import theme_of
from lambdas.request_run import logic as fleet
from lambdas.start_run import logic as site
from tests.proofs.mutations import mutated, put_together
from tests.proofs.oracle import accepts_press
from tests.proofs.test_hostile_documents import assert_one_sentence, few_and_many, hostile

Record = Callable[[str, object], None]

CONTEXT = {"theme": "dark", "dashboardName": "vbr-privatelink", "params": {}, "timeRange": {"start": 1}}
SITE = {"request": "provision", "site": "tokyo", "widgetContext": CONTEXT}
FLEET = {**SITE, "account": "111122223333", "region": "ap-northeast-1", "request": "release"}
WANTED = {
    "provision": {"site": "tokyo", "intent": "provisioned"},
    "check": {"site": "tokyo", "purpose": "check"},
    "release": {"site": "tokyo", "intent": "released"},
}


class Started:
    """Keeps what was started, or asked of an account."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def start(self, request: dict[str, str]) -> str:
        self.requests.append(request)
        return "arn:aws:states:ap-northeast-1:111122223333:execution:vbr-privatelink-reconcile:run"

    def knows(self, *, account_id: str, region: str, site: str) -> bool:
        return (account_id, region, site) == ("111122223333", "ap-northeast-1", "tokyo")

    def put(self, request: fleet.RunRequest) -> None:
        self.requests.append((request.bus_arn, json.loads(request.detail)))


def press_here(event: dict[str, Any], started: Started) -> None:
    """As the function behind the site's buttons does."""
    site.start(started, site.pressed(event, sites=["tokyo"]))


def press_in_the_fleet(event: dict[str, Any], started: Started) -> None:
    """As the function behind the fleet's buttons does."""
    fleet.ask(started, started, fleet.pressed(event))


@few_and_many
def test_nothing_is_started_but_what_a_button_says(examples: int, record_property: Record) -> None:
    """Dashboards call at every refresh, and whoever may press may also send what no button says."""
    counts = Counter[str]()

    @hostile(examples // 2)
    @given(event=mutated([SITE, {**SITE, "request": "check"}, FLEET]).map(put_together))
    def each(event: dict[str, Any]) -> None:
        for kind, press in (("site", press_here), ("fleet", press_in_the_fleet)):
            started = Started()
            try:
                press(event, started)
            except (InvalidRequestError, ContractError) as error:
                refusal = str(error)
            else:
                refusal = ""
            if refusal:
                assert_one_sentence(refusal)
            good = accepts_press(kind, event)

            assert bool(started.requests) == good == (not refusal), (kind, event)
            if good:
                bus = "arn:aws:events:ap-northeast-1:111122223333:event-bus/default"
                wanted = WANTED[event["request"]] if kind == "site" else (bus, {"site": "tokyo"})
                assert started.requests == [wanted]
            counts[f"{kind}: {'started' if good else 'refused'}"] += 1
        assert theme_of(event) in ("dark", "light")

    each()

    assert counts["site: started"] > 0
    assert counts["fleet: started"] > 0
    record_property("figures", f"widget input: {dict(counts)}, nothing else raised")
