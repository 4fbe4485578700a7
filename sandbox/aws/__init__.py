"""
An AWS on 127.0.0.1: moto inside this process, corrected where it differs from AWS in ways that matter here.

    from sandbox.aws import EmbeddedAws, EmbeddedAwsOptions

    with EmbeddedAws(EmbeddedAwsOptions(state=Path("state"), pending_seconds=2.0)) as aws:
        network = aws.create_network("tokyo")            # VPC and two subnets, tagged vbr-privatelink=tokyo
        outputs = aws.deploy(Path("cdk.out"))            # assets and stack, or DeploymentError
        states = aws.client("stepfunctions")             # as the user `administrator`
        states.start_execution(stateMachineArn=outputs["StateMachineArn"])
        repository = aws.create_user("vbr-repository", policy)     # keys of a new user with this one policy
        through_endpoint = aws.client("s3", repository, endpoint_url="https://bucket.vpce-….vpce.amazonaws.com")
        calls = aws.requests()                           # state/aws/requests.jsonl, parsed

Many accounts: `organization = aws.create_organization(management, delegated_administrator=…)`, then
`organization.add_unit(name)` and `add_account(account_id, unit_id=…)`, `move_account`, `remove_account`;
`create_network`, `deploy` and `client(…, aws.root(account_id), region=…)` take another account and Region.

Further: `deploy_template(name, template)`, `root(account_id)`, `administrator_of(account_id)` (another
account, through its OrganizationAccountAccessRole), `fire_schedule(rule_name)`, `delivery_failures` (what
EventBridge could not deliver), `faults.armed(strike)` (what goes wrong with chosen calls, see `faults.py`);
the option `waits=0.01` lets retries wait a hundredth as long. For pytest there is
`sandbox.aws.testing.embedded_aws(folder)`, with `wait_until`, `finished`, `trust` and `allow`.

What other processes need to reach it:

- `aws.endpoint_url` (`https://127.0.0.1:PORT`) as AWS_ENDPOINT_URL and `aws.ca_file` as AWS_CA_BUNDLE, with
  the keys in `aws.administrator` (`access_key_id`, `secret_access_key`). `aws.client` and `aws.session` do
  the same in this process.
- To use a real host name (an interface endpoint's, or S3's public one) keep that name as endpoint URL and
  make `aws.proxy_url` the proxy for https: the port terminates the tunnel itself and sees the true host.

What is in `requests.jsonl`, one line for each call of a client: at, service (boto3's name), action (the
operation's name), parameters, principal (ARN), account, source (`client`, `states`, `events`,
`lambda:<function>`), host, region, vpce, tls, readonly (None where it depends on what is started), status,
error_code, error_message, user_agent, fault. What `deploy`, `create_network` and `create_user` do is not in
it: they are the sandbox's own set-up.

One module for each correction (`correct_*.py`), each with what moto gets wrong in its first lines; all of
them are taken back when the `with` ends. The gateway (`gateway.py`) stands in front of moto: host name,
principal, policies, log.
"""

from sandbox.aws.deployment import DeploymentError as DeploymentError
from sandbox.aws.embedded import EmbeddedAws as EmbeddedAws
from sandbox.aws.embedded import EmbeddedAwsOptions as EmbeddedAwsOptions
from sandbox.aws.embedded import Network as Network
from sandbox.aws.embedded import Organization as Organization
from sandbox.aws.identity import Credentials as Credentials
