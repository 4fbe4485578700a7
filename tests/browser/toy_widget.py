"""
A dashboard whose custom widget isn't the product's: it brings everything that a widget may bring, and what it
must not.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.aws import EmbeddedAws
from sandbox.aws.testing import allow, embedded_aws, trust
from sandbox.console_page import ConsolePage, PageOptions
from sandbox.console_page.dashboards import Viewer

# What a function of the widget is told is in its answer, as text.
_CODE = """
import html, json

HOSTILE = '''<img src=x onerror="document.title='hostile'"><script>document.title = 'hostile'</script>
<iframe srcdoc="<script>parent.document.title='hostile'</script>"></iframe>
<a id="bad-link" href="javascript:document.title='hostile'">bad link</a>
<a id="console" href="https://ap-northeast-1.console.aws.amazon.com/states/home">run</a>
<svg width="20" height="20"><circle id="dot" cx="10" cy="10" r="9" onload="document.title='hostile'"/>
<use href="#dot"/></svg>'''

def button(name, action, content):
    return f'<button class="btn" id="{name}">{name}</button><cwdb-action {action}>{content}</cwdb-action>'

def handler(event, context):
    if event.get('describe'):
        return 'A toy.'
    if event.get('fail'):
        raise ValueError('<b>no</b> such site')
    if event.get('json'):
        return {'answer': '<b>text</b>'}
    me = context.invoked_function_arn
    told = html.escape(json.dumps(event, sort_keys=True))
    call = f'action="call" endpoint="{me}"'
    ask = 'confirmation="Sure &lt;b&gt;about&lt;/b&gt; it?"'
    return (
        '<style>#told { outline-color: rgb(1, 2, 3); } body { display: none }</style>'
        + f'<pre id="told">{told}</pre>'
        + button('in-place', call, '{"n": "<&>"}'.replace('<', '&lt;'))
        + button('in-popup', call + ' display="popup" ' + ask, '{"pressed": true}')
        + button('more', 'display="popup"', '<h3 id="more-text">More</h3>')
        + button('twice', call + ' event="dblclick"', '{"twice": true}')
        + button('hover', 'event="mouseenter" display="popup"', '<p id="hovered">Hovered</p>')
        + button('fails', call + ' display="popup"', '{"fail": true}')
        + button('gives-json', call + ' display="popup"', '{"json": true}')
        + button('bad-json', call + ' display="popup"', 'not JSON')
        + button('elsewhere', 'action="call" display="popup" endpoint="' + me + '-of-somebody-else"', '{}')
        + '<input name="field" aria-label="field" value="typed">'
        + HOSTILE
    )
"""

DASHBOARD = "toys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toys:
    """The running page and the AWS behind it."""

    aws: EmbeddedAws
    url: str
    function: str

    def invocations(self) -> list[dict[str, Any]]:
        """The calls of the function, from AWS's own log."""
        return [call for call in self.aws.requests() if call["action"] == "Invoke"]


@contextlib.contextmanager
def toys(folder: Path) -> Iterator[Toys]:
    """Serve the toy dashboard to an `operator`, who may call its function, and a `reader`, who may look."""
    with embedded_aws(folder) as aws:
        function = _function(aws)
        aws.client("cloudwatch").put_dashboard(DashboardName=DASHBOARD, DashboardBody=_body(function))
        look = ["cloudwatch:ListDashboards", "cloudwatch:GetDashboard"]
        keys = {
            "operator": aws.create_user("operator", allow(*look, "lambda:InvokeFunction")),
            "reader": aws.create_user("reader", allow(*look)),
            "guest": aws.create_user("guest"),
        }
        options = PageOptions(
            viewers={name: Viewer(aws, each) for name, each in keys.items()},
            account_id=aws.options.account_id,
            region=aws.options.region,
            backup_server=None,
        )
        with ConsolePage(options) as page:
            yield Toys(aws=aws, url=page.url, function=function)


def _function(aws: EmbeddedAws) -> str:
    template = {
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": trust("lambda.amazonaws.com")},
            },
            "Fn": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "FunctionName": "customWidgetToy",
                    "Code": {"ZipFile": _CODE},
                    "Handler": "index.handler",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Runtime": "python3.13",
                    "Timeout": 10,
                },
            },
        },
        "Outputs": {"Function": {"Value": {"Fn::GetAtt": ["Fn", "Arn"]}}},
    }
    return aws.deploy_template("toys", template)["Function"]


def _body(function: str) -> str:
    widgets = [
        {
            "type": "custom",
            "x": 0,
            "y": 0,
            "width": 16,
            "height": 12,
            "properties": {"endpoint": function, "title": "Toy <i>one</i>", "params": {"a": 1}},
        },
        {"type": "explorer", "x": 16, "y": 0, "width": 8, "height": 3, "properties": {}},
    ]
    return json.dumps({"widgets": widgets})
