"""Functions are forked from one process, and can't tell."""

import io
import json
import os
import subprocess
import sys
import zipfile
from typing import Any

from sandbox.aws import EmbeddedAws
from sandbox.aws.lambda_runtime import BOOTSTRAP
from tests.sandbox.aws.templates import function, stack

FACTS = """
import locale, os, random, signal, ssl, sys, threading, time, uuid
import aws_lambda_powertools, boto3, botocore.loaders, pydantic
from aws_lambda_powertools.shared import user_agent
from aws_lambda_powertools.metrics.provider import cold_start

logger = aws_lambda_powertools.Logger()
FACTS = {
    "environment": dict(os.environ),
    "path": sys.path,
    "folder": os.getcwd(),
    "zone": time.tzname,
    "locale": locale.setlocale(locale.LC_ALL, None),
    "encodings": [sys.stdout.encoding, sys.getfilesystemencoding(), str(sys.flags)],
    "input": os.readlink("/proc/self/fd/0"),
    "signals": {number.name: repr(signal.getsignal(number)) for number in signal.valid_signals()
                if isinstance(number, signal.Signals)},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "threads": threading.active_count(),
    "service": logger.service,
    "level": logger.log_level,
    "agent": user_agent.EXEC_ENV,
    "start": cold_start.initialization_type,
    "session": repr(boto3.DEFAULT_SESSION),
    "models": botocore.loaders.Loader.CUSTOMER_DATA_PATH,
    "product": [name for name in sys.modules
                if name.partition(".")[0] in {"contract", "lambdas", "moto", "onprem_client", "sandbox"}],
}
DESCRIPTORS = len(os.listdir("/proc/self/fd"))

def handler(event, context):
    luck = [random.random(), ssl.RAND_bytes(8).hex(), str(uuid.uuid4())]
    return {"facts": FACTS, "descriptors": DESCRIPTORS, "luck": luck}
"""
OTHER_VARIABLES = {
    "POWERTOOLS_LOG_LEVEL": "DEBUG",
    "POWERTOOLS_SERVICE_NAME": "other",
    "TZ": "Asia/Tokyo",
}
READS = f"""
import os, runpy
kind = type(os.environ)
original = kind.__getitem__
read = set()
def remember(self, name):
    read.add(name)
    return original(self, name)
kind.__getitem__ = remember
runpy.run_path({str(BOOTSTRAP)!r})["preload"]()
print(sorted(name for name in read if "PYTHON" not in name))
"""


def invoke(aws: EmbeddedAws, name: str) -> Any:
    """Return what the function answers."""
    return json.loads(aws.client("lambda").invoke(FunctionName=name)["Payload"].read())


def test_each_is_as_in_an_interpreter_of_its_own(aws: EmbeddedAws) -> None:
    """What a library reads of its environment when it is imported would otherwise be another function's."""
    answers = []
    for number, (runtime, variables) in enumerate([("python3.13", {}), ("python3.12", OTHER_VARIABLES)]):
        template = stack(function(FACTS, Runtime=runtime, Environment={"Variables": variables}))
        answer = invoke(aws, aws.deploy_template(f"facts-{number}", template)["Function"])
        facts = answer["facts"]
        plain = subprocess.run(
            [sys.executable, "-P", "-u", "-c", "import json, index; print(json.dumps(index.handler({}, 0)))"],
            env=facts["environment"],
            cwd=facts["folder"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        expected = json.loads(plain.stdout)
        # An interpreter that starts where LANG's locale isn't installed adds this by itself.
        expected["facts"]["environment"].pop("LC_CTYPE", None)

        assert facts == expected["facts"]
        # Its pipes for events and outcomes.
        assert answer["descriptors"] == expected["descriptors"] + 2
        assert facts["product"] == []
        answers.append(answer)
    first, second = answers

    assert first["facts"]["agent"] == "AWS_Lambda_python3.13"
    assert second["facts"]["agent"] == "AWS_Lambda_python3.12"
    assert second["facts"]["service"] == "other"
    assert (first["facts"]["zone"][0], second["facts"]["zone"][0]) == ("UTC", "JST")
    assert not set(first["luck"]) & set(second["luck"])


def test_what_is_preloaded_reads_nothing_of_the_environment(aws: EmbeddedAws) -> None:
    """But HOME, which is neither the template's nor a function's, and the interpreter's own settings."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", READS],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    facts = invoke(aws, aws.deploy_template("home", stack(function(FACTS)))["Function"])["facts"]

    assert done.stdout == "['HOME']\n"
    assert "HOME" not in facts["environment"]


def test_a_library_in_the_asset_comes_before_the_layers(aws: EmbeddedAws) -> None:
    """As on AWS, although the layer's is imported already."""
    code = "import jmespath, boto3, pydantic\ndef handler(e, c): return [jmespath.OWN, pydantic.__file__]"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.py", code)
        file.writestr("jmespath.py", "OWN = 'own'\nfunctions = exceptions = None")
        file.writestr("boto3.py", "")
    name = aws.deploy_template("own", stack(function("def handler(e, c): return 0")))["Function"]
    aws.client("lambda").update_function_code(FunctionName=name, ZipFile=archive.getvalue())
    own, layers = invoke(aws, name)

    assert own == "own"
    assert "site-packages" in layers
