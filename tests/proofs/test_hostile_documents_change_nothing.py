"""
What a refused document changes: nothing, neither on the backup server nor in the cloud.

The whole client runs on a server in memory, the step that reads reports on a Parameter Store of the test's.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from hypothesis import assume, given
from hypothesis import strategies as st

from contract.documents import AdoptionReport
from contract.names import SiteName
from lambdas.read_adoption.logic import adoption
from lambdas.read_adoption.ssm_site_parameters import SsmSiteParameters
from tests.client.region_files import FILES, REGION
from tests.client.server import Memory, document, memory_server
from tests.contract.golden_documents import golden
from tests.proofs.mutations import damaged_bytes, mutated_text
from tests.proofs.oracle import accepts
from tests.proofs.region_reader import seen
from tests.proofs.test_hostile_documents import assert_one_sentence, few_and_many, hostile
from tests.proofs.test_hostile_region_files import PIECES

Record = Callable[[str, object], None]

REPORT = golden("adoption-report-1-adopted")
SERVER = REPORT["server"]


def picture(server: Memory) -> tuple[object, ...]:
    """Everything of a server that a run can change: files, registry, services, the client's own state."""
    state = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(server.configuration.state_folder.rglob("*"))
        if path.is_file() and "log" not in path.name
    }
    return (
        dict(server.fake_files.contents),
        dict(server.fake_files.staged),
        dict(cast("Any", server.registry).values),
        dict(server.fake_services.states),
        server.fake_services.restarts,
        state,
    )


@few_and_many
def test_a_refused_document_changes_nothing_on_the_server(
    examples: int, record_property: Record, tmp_path: Path
) -> None:
    """A server that has adopted the endpoint goes on with it, whatever stands in the parameter."""
    server = memory_server(tmp_path)
    adopted = server.run()
    good, before = document(), picture(server)
    counts = Counter[str]()

    @hostile(examples // 2)
    @given(text=mutated_text([json.loads(good)]))
    def each(text: str) -> None:
        assume(not accepts("endpoint document", text))
        server.parameters.puts.clear()
        server.parameters.publish(text)
        result = server.run()

        assert picture(server) == before, text
        assert result.problems
        for problem in result.problems:
            assert_one_sentence(str(problem))
        for _name, report in server.parameters.puts:
            assert AdoptionReport.from_json(report).outcome == "failed"
        counts["refused"] += 1

    each()
    server.parameters.publish(good)
    again = server.run()

    assert (adopted.problems, again.problems) == ((), ())
    assert picture(server) == before
    record_property("figures", f"refused documents on a server: {counts['refused']}, nothing written")


@few_and_many
def test_a_region_file_that_nobody_understands_is_left_alone(
    examples: int, record_property: Record, tmp_path: Path
) -> None:
    """No service is stopped and no registry value set for an edit that can't be made."""
    counts = Counter[str]()
    server = memory_server(tmp_path)
    untouched = picture(server)[2:]

    @hostile(examples // 8)
    @given(content=st.sampled_from(FILES).flatmap(lambda file: damaged_bytes(file.before, PIECES)))
    def each(content: bytes) -> None:
        assume(seen(content, region=REGION) is None)
        server.fake_files.contents[server.path] = content
        result = server.run()

        assert server.xml == content
        assert picture(server)[2:5] == untouched[:3]
        assert result.problems
        for problem in result.problems:
            assert_one_sentence(str(problem))
        counts["left alone"] += 1

    each()

    record_property("figures", f"damaged region files on a server: {dict(counts)}, nothing written")


class StoreWith:
    """A Parameter Store that has one report, and knows nothing but reading."""

    def __init__(self, name: str, value: str) -> None:
        self._parameter = {"Name": name, "Value": value}

    def get_paginator(self, operation: str) -> "StoreWith":
        assert operation == "get_parameters_by_path"
        return self

    def paginate(self, **_arguments: object) -> list[dict[str, object]]:
        return [{"Parameters": [self._parameter]}]


@few_and_many
def test_a_hostile_report_never_counts_as_an_adoption(examples: int, record_property: Record) -> None:
    """A bucket in use is locked when its servers have adopted: who forges that breaks the backups."""
    counts = Counter[str]()

    @hostile(examples // 2)
    @given(text=mutated_text([REPORT]), place=st.sampled_from((SERVER, SERVER, SERVER, "vbr02", "VBR01", "")))
    def each(text: str, place: str) -> None:
        store: Any = StoreWith(f"/vbr-privatelink/tokyo/adoption/{place}", text)
        parameters = SsmSiteParameters(store).read(SiteName("tokyo"))
        weighed = adoption(
            parameters,
            endpoint_id=REPORT["vpc_endpoint_id"],
            expected=[SERVER],
            known=[REPORT["vpc_endpoint_id"]],
            others=[],
            enforced=[],
            pending=["backups"],
        )
        report = json.loads(text) if accepts("adoption report", text) else {}
        adopts = (
            report.get("server") == SERVER == place
            and report["outcome"] == "adopted"
            and report["vpc_endpoint_id"] == REPORT["vpc_endpoint_id"]
        )

        assert (weighed.enforce == ("backups",)) == adopts, (place, text)
        counts["adopts" if adopts else "does not count"] += 1

    each()

    assert counts["adopts"] > 0
    record_property("figures", f"reports in Parameter Store: {dict(counts)}, nothing else raised")
