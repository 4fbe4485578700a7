"""
What the client on a backup server may do in AWS: the one place that says so.

The stack gives it to the role of IAM Roles Anywhere, the sandbox to its user, and the documentation shows it.
It never covers `/vbr-privatelink/*`: a site's settings, which decide who gets in, lie beside its reports.
"""

from contract.parameters import ROOT


def client_policy(parameter_arn: str, *, site: str, server: str) -> dict[str, object]:
    """
    Return the policy of one server: its site's document, its own report and its own heartbeat.

    *parameter_arn* is what the ARNs of the account's parameters begin with, up to and with `parameter`;
    *server* may be a policy variable, so the two names aren't checked here.
    """
    below = f"{parameter_arn}{ROOT}/{site}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": f"{below}/endpoint"},
            {
                "Effect": "Allow",
                "Action": "ssm:PutParameter",
                "Resource": [f"{below}/adoption/{server}", f"{below}/seen/{server}"],
            },
        ],
    }
