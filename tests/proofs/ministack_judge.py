"""
Judge a batch of requests with ministack's evaluator: JSON in on stdin, JSON out on stdout.

Runs in ministack's own environment. The evaluator is called as a library, with the keys that a request to
the server could never carry: the endpoint, and the role's ARN as `aws:PrincipalArn`.
"""

import json
import sys
from typing import Any

from ministack.core import iam_evaluator as judge


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return ministack's decision, and the Sid that made it."""
    context = {key.lower(): value for key, value in request["context"].items()}
    asked = judge.EvalContext(
        principal_arn=request["principal"],
        principal_type=context.get("aws:principaltype", ""),
        principal_account=request["account"],
        action=request["action"],
        resource_arn=request["resource"],
        region=request["region"],
        source_ip=context.get("aws:sourceip", ""),
        secure_transport=context["aws:securetransport"] == "true",
        service_context=context,
    )
    through = request["endpoint_policy"]
    if through is not None:
        # ministack's endpoints have no policy: its evaluator reads the document, and both must agree.
        gate = judge.evaluate_resource_policy(through, asked, service=request["service"])
        if gate.decision != "Allow":
            first = _decide(request, asked)
            return first if first["answer"] == "Deny" else {"answer": gate.decision, "sid": gate.matched_sid}
    return _decide(request, asked)


def _decide(request: dict[str, Any], asked: judge.EvalContext) -> dict[str, Any]:
    policy = request["bucket_policy"]
    if request["service"] or not request["account"]:
        # Services and anonymous callers have no policies of their own.
        found = judge.evaluate_resource_policy(policy, asked, service=request["service"])
    else:
        own = judge.evaluate(asked, [judge.parse_policy_document(one) for one in request["own_policies"]])
        found = judge.combine_resource_policy(own, asked, policy, request["owner"])
    return {"answer": found.decision, "sid": found.matched_sid}


json.dump([answer(request) for request in json.load(sys.stdin)], sys.stdout)
