"""Secrets: a type that will not print, files that others can't read, and the command that puts them in."""

import copy
import io
import json
import logging
import pickle
import stat
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest

from contract.names import SiteName
from onprem_client import cli
from onprem_client.errors import SecretError, ServerError
from onprem_client.secret import VBR_PASSWORD, Secret, repository_secret, secret_name, typed_secret
from onprem_client.windows.machine import secrets
from onprem_client.windows.permissions import ensure_private_folder, strangers
from onprem_client.windows.protocols import Secrets
from tests.client.region_files import REGION

PLAIN = "Geheim&s"
ME = "S-1-5-21-1-2-3-1000"


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Secrets:
    return secrets(tmp_path / "state")


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    file = tmp_path / "client.toml"
    file.write_text(
        'strategy = "regions-file"\nstate_folder = "state"\nserver = "vbr01"\n'
        f'[[site]]\nname = "tokyo"\nregion = "{REGION}"\n'
    )
    return file


def test_a_secret_does_not_print(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever somebody does with it by mistake, it is not in what comes out."""
    secret = Secret(PLAIN)
    logging.getLogger().error("signed in with %s %r", secret, {"password": secret})
    with pytest.raises(ValueError, match=r"Secret\(\*\*\*\)") as caught:
        _fail_with(secret)
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    texts = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>20}",
        f"{[secret]}",
        f"{secret:>20}",
        caplog.text,
        *trace.format(),
    ]

    assert not [text for text in texts if PLAIN in text]
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == PLAIN


def _fail_with(secret: Secret) -> None:
    raise ValueError(secret)


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_a_secret_can_not_be_written_down(take: object) -> None:
    """A pickle, a copied dataclass or a JSON report would be one more place where it lies about."""
    with pytest.raises(TypeError):
        take(Secret(PLAIN))  # type: ignore[operator]


def test_secrets_can_be_compared() -> None:
    """So that a second `secret set` could be told from a change."""
    assert Secret(PLAIN) == Secret(PLAIN)
    assert Secret(PLAIN) != Secret("other")
    assert Secret(PLAIN) != PLAIN
    assert len({Secret(PLAIN), Secret(PLAIN)}) == 1


@pytest.mark.parametrize(
    "name",
    ["", "password", "VBR-PASSWORD", "repository-", "repository-../x", "repository-Tokyo", "../vbr-password"],
)
def test_only_known_names_are_taken(name: str, store: Secrets) -> None:
    """The name becomes part of a path, in a program that runs as SYSTEM."""
    with pytest.raises(SecretError, match="names no secret"):
        secret_name(name)
    with pytest.raises(SecretError, match="names no secret"):
        store.write(name, Secret(PLAIN))


@pytest.mark.parametrize("text", [f"{PLAIN}\r\n", f"{PLAIN}\n", PLAIN, f"\ufeff{PLAIN}\r\n"])
def test_a_line_end_and_a_mark_are_not_part_of_a_secret(text: str) -> None:
    """`echo` and PowerShell put them there, and the operator would never find out why the sign-in fails."""
    assert typed_secret(text).reveal() == PLAIN


@pytest.mark.parametrize("text", ["", "\n", "\ufeff\r\n", "two\nlines\n", "nul\0"])
def test_what_can_not_be_a_secret_is_refused_without_showing_it(text: str) -> None:
    """A file piped in by mistake, or nothing at all."""
    with pytest.raises(SecretError) as caught:
        typed_secret(text)

    assert "lines" not in str(caught.value)


def test_a_secret_is_kept_changed_and_removed(store: Secrets, tmp_path: Path) -> None:
    """Put in twice, the second one counts; a removed one is simply not there."""
    tokyo = repository_secret(SiteName("tokyo"))
    absent = store.read(VBR_PASSWORD)
    store.write(VBR_PASSWORD, Secret("first"))
    store.write(VBR_PASSWORD, Secret("pässwörd 😀"))
    store.write(tokyo, Secret("key"))
    both = store.read(VBR_PASSWORD), store.read(tokyo)
    for _twice in range(2):
        store.delete(VBR_PASSWORD)

    assert absent is None
    assert both == (Secret("pässwörd 😀"), Secret("key"))
    assert store.read(VBR_PASSWORD) is None
    assert [path.name for path in (tmp_path / "state" / "secrets").iterdir()] == ["repository-tokyo"]


def test_only_the_owner_can_read_a_stored_secret(store: Secrets, tmp_path: Path) -> None:
    """Also when the folder was there before, with other permissions."""
    (tmp_path / "state").mkdir(mode=0o755)
    store.write(VBR_PASSWORD, Secret(PLAIN))
    file = tmp_path / "state" / "secrets" / "vbr-password"

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_secret_that_others_may_read_is_refused_with_the_fix(
    store: Secrets, tmp_path: Path, mode: int
) -> None:
    """It has to be changed where it comes from: somebody may have read it."""
    store.write(VBR_PASSWORD, Secret(PLAIN))
    file = tmp_path / "state" / "secrets" / "vbr-password"
    file.chmod(mode)
    with pytest.raises(SecretError, match=r"secret set vbr-password.*chmod 600") as caught:
        store.read(VBR_PASSWORD)
    store.write(VBR_PASSWORD, Secret("new"))

    assert PLAIN not in str(caught.value)
    assert store.read(VBR_PASSWORD) == Secret("new")


def test_a_damaged_secret_is_a_clear_error(store: Secrets, tmp_path: Path) -> None:
    """And its bytes are not in the message."""
    store.write(VBR_PASSWORD, Secret(PLAIN))
    (tmp_path / "state" / "secrets" / "vbr-password").write_bytes(b"\xffabc")

    with pytest.raises(SecretError, match="damaged"):
        store.read(VBR_PASSWORD)


def test_a_folder_that_others_may_write_to_is_refused(store: Secrets, tmp_path: Path) -> None:
    """They could put their own file in the secret's place, or a journal."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)

    with pytest.raises(SecretError, match=r"open to others.*chmod 700"):
        store.write(VBR_PASSWORD, Secret(PLAIN))


def test_our_own_folder_is_closed_twice(tmp_path: Path) -> None:
    """The default folder belongs to this program: an administrator who made it by hand need do nothing."""
    folder = tmp_path / "vbr-privatelink"
    folder.mkdir()
    folder.chmod(0o777)
    for _twice in range(2):
        ensure_private_folder(folder, ours=True)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_in_the_place_of_the_folder_is_a_clear_error(tmp_path: Path) -> None:
    """No traceback for what an operator can put right."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ServerError, match="can't be closed"):
        ensure_private_folder(tmp_path / "file" / "inside", ours=True)


@pytest.mark.parametrize(
    ("descriptor", "expected"),
    [
        ("O:BAG:SYD:P(A;;FA;;;SY)(A;;FA;;;BA)", ()),
        ("O:SYD:PAI(A;OICI;FA;;;S-1-5-18)(A;OICI;FA;;;S-1-5-32-544)", ()),
        (f"O:{ME}D:(A;;FA;;;SY)(A;;FA;;;{ME})", ()),
        ("O:BAD:P(A;;FA;;;SY)(D;;FA;;;WD)S:(AU;SAFA;FA;;;WD)", ()),
        ("O:BAD:(A;;FA;;;SY)(A;ID;0x1200a9;;;BU)", ("BU",)),
        ("O:BAD:P(A;;FA;;;SY)(A;;FR;;;WD)(A;;FR;;;WD)", ("WD",)),
        ("O:S-1-5-21-9-9-9-500D:P(A;;FA;;;SY)", ("S-1-5-21-9-9-9-500",)),
        ("O:BAD:NO_ACCESS_CONTROL", ("everyone",)),
        ("O:BA", ("everyone",)),
        ("O:BAD:P(XA;;FR;;;WD;(Member_of {SID(BA)}))", ("somebody under a condition",)),
        ("O:BAD:P(OA;;FR;;;WD)", ("an entry of the kind OA",)),
    ],
)
def test_strangers_are_found_in_an_access_list(descriptor: str, expected: tuple[str, ...]) -> None:
    """What is allowed is listed, so that an entry of a kind nobody thought of counts as a stranger."""
    assert strangers(descriptor, me=ME) == expected


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_secret_set_reads_a_pipe(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    """For those who roll servers out; and nothing of it is shown."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(f"{PLAIN}\r\n".encode())))
    code = cli.main(["secret", "set", "repository-tokyo", "--stdin", "--config", str(config), *more])
    said = capsys.readouterr()

    assert code == 0
    assert PLAIN not in said.out + said.err
    assert secrets(config.parent / "state").read("repository-tokyo") == Secret(PLAIN)


def test_secret_set_asks_twice_without_showing_it(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typing mistake is found now and not at night."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    answers = iter([PLAIN, PLAIN, PLAIN, "slip"])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
    codes = [cli.main(["secret", "set", "vbr-password", "--config", str(config)]) for _twice in range(2)]

    assert codes == [0, 14]
    assert "not the same twice" in capsys.readouterr().err
    assert secrets(config.parent / "state").read(VBR_PASSWORD) == Secret(PLAIN)


@pytest.mark.parametrize(
    ("name", "piped", "code", "reason"),
    [
        ("repository-osaka", b"x", 17, "no such site"),
        ("password", b"x", 17, "names no secret"),
        ("vbr-password", b"", 17, "empty"),
        ("vbr-password", b"\xff\xfe", 17, "not in UTF-8"),
        ("vbr-password", None, 14, "--stdin"),
    ],
)
def test_secret_set_refuses_in_a_sentence(
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    piped: bytes | None,
    code: int,
    reason: str,
) -> None:
    """What can't be stored is said at once, and nothing is left behind."""
    stdin = SimpleNamespace(buffer=io.BytesIO(piped or b""), isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", stdin)
    more = [] if piped is None else ["--stdin"]
    result = cli.main(["secret", "set", name, "--config", str(config), *more])

    assert result == code
    assert reason in capsys.readouterr().err
    assert not (config.parent / "state").exists()


def test_an_environment_variable_comes_first(store: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Linux, for those who keep their secrets elsewhere and hand them over at the start."""
    store.write("repository-tokyo", Secret("from the file"))
    monkeypatch.setenv("VBR_PRIVATELINK_SECRET_REPOSITORY_TOKYO", "from outside")
    given = store.read("repository-tokyo")
    monkeypatch.setenv("VBR_PRIVATELINK_SECRET_REPOSITORY_TOKYO", "")

    assert given == Secret("from outside")
    assert store.read("repository-tokyo") == Secret("from the file")
