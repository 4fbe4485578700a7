"""client.toml: what is accepted, and what is refused with a sentence that names the key and the fix."""

import re
import sys
from pathlib import Path

import pytest

import onprem_client
from onprem_client.configuration import load
from onprem_client.errors import ConfigurationError
from onprem_client.windows.machine import machine

GOOD = """
strategy = "regions-file"
state_folder = "state"
[[site]]
name = "tokyo"
region = "ap-northeast-1"
"""
VBR = '[vbr]\nurl = "https://vbr01"\nuser = "u"\n'


def _write(folder: Path, text: str) -> Path:
    file = folder / "client.toml"
    file.write_text(text)
    return file


def test_the_least_configuration_has_the_documented_defaults(tmp_path: Path) -> None:
    """Nothing is applied by itself unless somebody has said so."""
    configuration = load(_write(tmp_path, GOOD))

    assert configuration.auto_apply is False
    assert configuration.state_folder == tmp_path / "state"
    assert (configuration.stop_timeout, configuration.start_timeout) == (120, 300)
    assert configuration.sources["auto_apply"] == "default"
    assert configuration.sources["strategy"] == str(tmp_path / "client.toml")


def test_the_example_is_valid(tmp_path: Path) -> None:
    """It is what people copy."""
    example = (Path(onprem_client.__file__).parent / "client.example.toml").read_text()
    configuration = load(_write(tmp_path, example.replace("# state_folder", "state_folder")))

    assert [site.name for site in configuration.sites] == ["tokyo"]


def test_vbr_has_the_documented_defaults(tmp_path: Path) -> None:
    """The careful ones: nothing is stopped, nothing unseen is interrupted, everything is backed up first."""
    vbr = load(_write(tmp_path, GOOD + VBR)).vbr

    assert vbr is not None
    assert (vbr.host, vbr.port) == ("vbr01", 9419)
    assert (vbr.configuration_backup, vbr.stop_running, vbr.unseen_work) == (True, False, "postpone")
    assert (vbr.drain_timeout, vbr.answer_timeout) == (1800, 180)


def test_every_value_is_shown_with_where_it_came_from(tmp_path: Path) -> None:
    """Support asks for `status` first; a key without an origin would show as "not set"."""
    text = GOOD + f'acknowledged_buckets = ["b"]\nrepository = {{ access_key_id = "{"A" * 20}" }}\n' + VBR
    configuration = load(_write(tmp_path, text))
    file = str(tmp_path / "client.toml")

    assert set(configuration.values()) <= set(configuration.sources)
    assert configuration.sources["site[0].repository.access_key_id"] == file
    assert configuration.sources["site[0].repository.name"] == "default"
    assert configuration.sources["vbr.user"] == file


def test_every_setting_of_the_example_is_a_real_one(tmp_path: Path) -> None:
    """What is commented out there is what people uncomment; and nothing that exists is left out."""
    example = (Path(onprem_client.__file__).parent / "client.example.toml").read_text()
    # Files that exist nowhere here, and one of two settings that exclude each other.
    kept = [
        line for line in example.splitlines() if not re.match("# (ca_file|ca_bundle|credentials_file) ", line)
    ]
    text = re.sub(r"(?m)^# (\[[a-z_.]+\]|[a-z_0-9]+ = .*)$", r"\1", "\n".join(kept))
    configuration = load(_write(tmp_path, text))
    left_out = {key for key, source in configuration.sources.items() if source in ("default", "not set")}

    assert left_out == {"vbr.ca_file", "aws.ca_bundle", "aws.credentials_file"}


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    """Notepad writes one."""
    file = tmp_path / "client.toml"
    file.write_text(GOOD, encoding="utf-8-sig")

    assert load(file).sites


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("strategy = ", "not valid TOML"),
        ("", "strategy: is missing"),
        (GOOD.replace("regions-file", "service-point"), "vbr: is missing"),
        (
            GOOD.replace("regions-file", "service-point") + VBR,
            'site[0].repository: is missing: "service-point" needs it',
        ),
        (GOOD.replace("regions-file", "magic"), 'must be "regions-file" or "service-point"'),
        ("autoapply = true" + GOOD, 'autoapply: is not a known key; did you mean "auto_apply"'),
        (GOOD + 'acount_id = "1"', 'site[0].acount_id: is not a known key; did you mean "account_id"'),
        (GOOD + "[aws]\nsecret = 'x'", "aws.secret: is not a known key; known here: profile"),
        (GOOD + "[service]\nstop_timeout = -1", "service.stop_timeout: must be a number of seconds"),
        (GOOD + "[service]\nstop_timeout = true", "service.stop_timeout: must be a number of seconds"),
        (GOOD + "[service]\nstart_timeout = 1e9", "service.start_timeout: must be a number of seconds"),
        ('auto_apply = "yes"' + GOOD, "auto_apply: must be true or false"),
        ('server = "VBR 01"' + GOOD, "server: 'VBR 01' is not valid; use the host name in lower case"),
        (GOOD.replace("tokyo", "Tokyo"), "site[0].name: 'Tokyo' is not valid"),
        (GOOD.replace('"ap-northeast-1"', '"tokyo"'), "site[0].region: 'tokyo' is not valid"),
        (GOOD.replace('name = "tokyo"', ""), "site[0].name: is missing"),
        (GOOD + 'account_id = "12"', "site[0].account_id: '12' is not valid"),
        (GOOD + "account_id = 111122223333", "site[0].account_id: must be a text in quotes"),
        (GOOD.split("[[")[0], "site: is missing"),
        (GOOD.replace("[[site]]", "[site]"), "site: must be written as [[site]]"),
        (
            GOOD + GOOD.split("\n", 3)[3].replace("tokyo", "edo"),
            "sites tokyo and edo both move ap-northeast-1",
        ),
        (GOOD + GOOD.split("\n", 3)[3], "site tokyo is there twice"),
        (GOOD + '[aws]\nendpoint_url = "http://10.0.0.1"', "aws.endpoint_url: must begin with https://"),
        (GOOD + '[aws]\nca_bundle = "none.pem"', "aws.ca_bundle: there is no file"),
        (GOOD + '[stand_in]\nregistry_file = "r"', "stand_in.services_folder: is missing"),
        ("aws = 1" + GOOD, "aws must be a table"),
        ('server = " "' + GOOD, "server: is empty"),
        ('window = "22-4"' + GOOD, 'window: must be written as "22:00-04:00"'),
        (GOOD + '[vbr]\nuser = "u"', "vbr.url: is missing"),
        (GOOD + '[vbr]\nurl = "https://vbr01"', "vbr.user: is missing"),
        (GOOD + '[vbr]\nurl = "http://vbr01"\nuser = "u"', "vbr.url: must be written as https://host"),
        (GOOD + '[vbr]\nurl = "https://u:p@vbr01"\nuser = "u"', "vbr.url: must be written as https://host"),
        (GOOD + '[vbr]\nurl = "https://vbr01/api"\nuser = "u"', "vbr.url: must be written as https://host"),
        (GOOD + '[vbr]\nurl = "https://vbr01:x"\nuser = "u"', "vbr.url: is no address"),
        (GOOD + VBR + 'password = "x"', "vbr.password: is not a known key"),
        (GOOD + VBR + "verify = false", "vbr.verify: is not a known key"),
        (
            GOOD + VBR + 'fingerprint = "ab:cd"',
            "vbr.fingerprint: must be the certificate's SHA-256 fingerprint",
        ),
        (GOOD + VBR + 'ca_file = "none.pem"', "vbr.ca_file: there is no file"),
        (GOOD + VBR + f'ca_file = "x"\nfingerprint = "{"ab" * 32}"', "exclude each other"),
        (GOOD + VBR + 'unseen_work = "ignore"', 'vbr.unseen_work: must be "postpone" or "accept"'),
        (GOOD + VBR + "drain_timeout = 100000", "vbr.drain_timeout: must be a number of seconds"),
        (GOOD + VBR + 'stop_running = "yes"', "vbr.stop_running: must be true or false"),
        (GOOD + "acknowledged_buckets = 'x'", "site[0].acknowledged_buckets: must be a list of texts"),
        (GOOD + "acknowledged_buckets = [1]", "site[0].acknowledged_buckets: must be a list of texts"),
        (GOOD + "repository = {}", "site[0].repository.access_key_id: is missing"),
        (
            GOOD + "repository = { access_key_id = 'x' }",
            "site[0].repository.access_key_id: is no access key id",
        ),
        (GOOD + "repository = { secret_key = 'x' }", "site[0].repository.access_key_id: is missing"),
        (
            GOOD + '[aws]\ns3_proxy = "http://u:p@proxy:3128"',
            "aws.s3_proxy: must be written as http://host:port",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_fix(tmp_path: Path, text: str, said: str) -> None:
    """The operator has nobody to ask at night."""
    with pytest.raises(ConfigurationError) as error:
        load(_write(tmp_path, text))

    assert said in str(error.value)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a default")
def test_the_state_folder_must_be_named_outside_windows(tmp_path: Path) -> None:
    """No folder is guessed."""
    with pytest.raises(ConfigurationError, match="state_folder: is missing"):
        load(_write(tmp_path, GOOD.replace('state_folder = "state"', "")))


@pytest.mark.skipif(sys.platform == "win32", reason="this is the right machine there")
def test_another_machine_than_a_windows_server_is_refused(tmp_path: Path) -> None:
    """The procedure is for Windows; without stand-ins there is nothing to work on."""
    with pytest.raises(ConfigurationError, match=r'needs the Windows VBR server.*"service-point"'):
        machine(state_folder=tmp_path, stand_in=None)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """The most frequent mistake of all."""
    with pytest.raises(ConfigurationError, match="does not exist"):
        load(tmp_path / "none.toml")
