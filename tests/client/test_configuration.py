"""client.toml: what is accepted, and what is refused with a sentence that names the key and the fix."""

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
        (GOOD.replace("regions-file", "service-point"), "not in this version"),
        (GOOD.replace("regions-file", "magic"), 'must be "regions-file"'),
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
    with pytest.raises(ConfigurationError, match="needs the Windows VBR server"):
        machine(state_folder=tmp_path, stand_in=None)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """The most frequent mistake of all."""
    with pytest.raises(ConfigurationError, match="does not exist"):
        load(tmp_path / "none.toml")
