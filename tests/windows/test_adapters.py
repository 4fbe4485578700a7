"""Each Windows adapter against the real thing, looked at through another door."""

import sys

assert sys.platform == "win32"  # So that mypy checks the rest for Windows only.

import subprocess
import threading
import time
import winreg
from pathlib import Path

import pytest
import win32con
import win32file
import win32security

from onprem_client.errors import AlreadyRunningError, SecretError, ServerError
from onprem_client.resources.registry_value import KEY, NAME
from onprem_client.secret import VBR_PASSWORD, Secret
from onprem_client.windows import files as files_module
from onprem_client.windows.files import STAGED_SUFFIX, WholeFiles
from onprem_client.windows.lock import StateFolderLock
from onprem_client.windows.log import KEPT_FILES, MAXIMUM_BYTES, RunLog, register_event_source
from onprem_client.windows.machine import secrets
from onprem_client.windows.permissions import ensure_private_folder, others_with_access
from onprem_client.windows.protocols import RegistryValue, ServiceState
from onprem_client.windows.registry import WindowsRegistry
from onprem_client.windows.services import WindowsServices
from tests.windows.backup_server import (
    DEPENDENT,
    IDLE,
    MAIN,
    RUNNING,
    STOPPED,
    BackupServer,
    python,
)

EVERYONE = win32security.ConvertStringSidToSid("S-1-1-0")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder with a space in its name."""
    folder = tmp_path / "with a space"
    folder.mkdir()
    return folder


# Registry.


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (RegistryValue("REG_DWORD", 0), winreg.REG_DWORD),
        (RegistryValue("REG_DWORD", 0xFFFFFFFF), winreg.REG_DWORD),
        (RegistryValue("REG_QWORD", 2**40), winreg.REG_QWORD),
        (RegistryValue("REG_SZ", "東京"), winreg.REG_SZ),
        (RegistryValue("REG_EXPAND_SZ", "%TEMP%"), winreg.REG_EXPAND_SZ),
    ],
    ids=str,
)
def test_a_registry_value_keeps_its_type(server: BackupServer, value: RegistryValue, kind: int) -> None:
    """VBR heeds a DWORD 1 and nothing else, and `undo` must put back exactly what was there."""
    registry = WindowsRegistry()
    for _twice in range(2):
        registry.write(KEY, NAME, value)
    written = registry.read(KEY, NAME)
    seen = server.value()
    for _twice in range(2):
        registry.delete(KEY, NAME)

    assert written == value
    assert seen == (value.value, kind)
    assert registry.read(KEY, NAME) is None
    assert server.value() is None


def test_only_the_64_bit_view_is_touched(server: BackupServer) -> None:
    """A value in the other view would be set, reported, and never seen by VBR."""
    with winreg.CreateKeyEx(
        winreg.HKEY_LOCAL_MACHINE,
        r"SOFTWARE\Veeam\Veeam Backup and Replication",
        0,
        winreg.KEY_ALL_ACCESS | winreg.KEY_WOW64_32KEY,
    ) as other:
        winreg.SetValueEx(other, NAME, 0, winreg.REG_DWORD, 7)
    WindowsRegistry().write(KEY, NAME, RegistryValue("REG_DWORD", 1))

    assert server.value() == (1, winreg.REG_DWORD)
    assert server.value(view=winreg.KEY_WOW64_32KEY) == (7, winreg.REG_DWORD)


@pytest.mark.usefixtures("server")
def test_a_value_of_an_unknown_type_is_refused() -> None:
    """It could not be put back."""
    with winreg.OpenKey(
        winreg.HKEY_LOCAL_MACHINE,
        r"SOFTWARE\Veeam\Veeam Backup and Replication",
        0,
        winreg.KEY_ALL_ACCESS | winreg.KEY_WOW64_64KEY,
    ) as key:
        winreg.SetValueEx(key, NAME, 0, winreg.REG_BINARY, b"\1")

    with pytest.raises(ServerError, match="type that is not known"):
        WindowsRegistry().read(KEY, NAME)


def test_a_missing_key_is_absent_for_a_look_and_an_error_for_a_change() -> None:
    """VBR isn't installed: nothing may be made up."""
    registry, key = WindowsRegistry(), r"HKEY_LOCAL_MACHINE\SOFTWARE\NoVeeam"
    registry.delete(key, NAME)

    assert not registry.has_key(key)
    assert registry.read(key, NAME) is None
    with pytest.raises(ServerError, match="can't be set"):
        registry.write(key, NAME, RegistryValue("REG_DWORD", 1))


# Services.


def test_a_service_is_stopped_and_started_and_orders_may_come_twice(server: BackupServer) -> None:
    """After a crash the same order is given again."""
    services = WindowsServices()
    before = services.state(MAIN)
    for _twice in range(2):
        services.request_stop(IDLE)
        services.request_stop(DEPENDENT)
        services.request_stop(MAIN)
    server.wait(MAIN, STOPPED)
    stopped = services.state(MAIN)
    services.request_start(MAIN)
    server.wait(MAIN, RUNNING)
    services.request_start(MAIN)

    assert (before, stopped, services.state(MAIN)) == (
        ServiceState.RUNNING,
        ServiceState.STOPPED,
        ServiceState.RUNNING,
    )


@pytest.mark.usefixtures("server")
def test_dependents_are_named() -> None:
    """Where the service manager lists none (as under wine), the registry's DependOnService does."""
    assert set(WindowsServices().dependents(MAIN)) == {DEPENDENT, IDLE}
    assert WindowsServices().dependents(DEPENDENT) == ()


def test_an_unknown_service_is_named_in_the_error() -> None:
    """Another version of VBR may call it otherwise."""
    with pytest.raises(ServerError, match=r"service NoSuchSvc: .*1060"):
        WindowsServices().state("NoSuchSvc")


# Files.


def _with_everyone(path: Path) -> None:
    """Let everyone read, beside whoever has access already."""
    kept = win32security.GetFileSecurity(str(path), win32security.DACL_SECURITY_INFORMATION)
    entries = kept.GetSecurityDescriptorDacl()
    entries.AddAccessAllowedAce(win32security.ACL_REVISION, win32con.GENERIC_READ, EVERYONE)
    kept.SetSecurityDescriptorDacl(1, entries, 0)
    win32security.SetFileSecurity(str(path), win32security.DACL_SECURITY_INFORMATION, kept)


def test_a_replaced_file_keeps_its_own_access_list(folder: Path) -> None:
    """A stricter file in an open folder stays strict, an open one in a strict folder stays open."""
    path = folder / "file.xml"
    path.write_bytes(b"old")
    seen = []
    for change in (_close, _with_everyone):
        change(path)
        before = others_with_access(path)
        WholeFiles().stage(path, b"new")
        WholeFiles().put_in_place(path)
        seen.append((before, others_with_access(path)))

    assert path.read_bytes() == b"new"
    assert seen[0] == ((), ())
    assert seen[1][0] == seen[1][1] != ()
    assert not path.with_name(path.name + STAGED_SUFFIX).exists()


def _close(path: Path) -> None:
    entries = win32security.ACL()
    for who in ("S-1-5-18", "S-1-5-32-544"):
        sid = win32security.ConvertStringSidToSid(who)
        entries.AddAccessAllowedAce(win32security.ACL_REVISION, win32con.GENERIC_ALL, sid)
    closed = win32security.SECURITY_DESCRIPTOR()
    closed.SetSecurityDescriptorDacl(1, entries, 0)
    wanted = win32security.DACL_SECURITY_INFORMATION | win32security.PROTECTED_DACL_SECURITY_INFORMATION
    win32security.SetFileSecurity(str(path), wanted, closed)


def _hold(path: Path, *, share: int = 0) -> object:
    return win32file.CreateFile(
        str(path), win32con.GENERIC_READ, share, None, win32con.OPEN_EXISTING, 0, None
    )


def test_a_file_held_open_for_a_moment_is_replaced_afterwards(folder: Path) -> None:
    """A virus scanner or a backup looks at it just now."""
    path = folder / "file.xml"
    path.write_bytes(b"old")
    held = _hold(path, share=win32con.FILE_SHARE_READ)
    WholeFiles().stage(path, b"new")
    timer = threading.Timer(0.6, held.Close)  # type: ignore[attr-defined]
    timer.start()
    begin = time.monotonic()
    WholeFiles().put_in_place(path)
    waited = time.monotonic() - begin
    timer.join()

    assert path.read_bytes() == b"new"
    assert waited > 0.4


def test_a_file_opened_for_somebody_alone_is_read_afterwards(folder: Path) -> None:
    """VBR is writing it."""
    path = folder / "file.xml"
    path.write_bytes(b"content")
    held = _hold(path)
    timer = threading.Timer(0.5, held.Close)  # type: ignore[attr-defined]
    timer.start()
    content = WholeFiles().read(path)
    timer.join()

    assert content == b"content"


def test_a_file_held_open_for_good_is_a_clear_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the old content is whole."""
    monkeypatch.setattr(files_module, "_PATIENCE", 0.3)
    path = folder / "file.xml"
    path.write_bytes(b"old")
    held = _hold(path, share=win32con.FILE_SHARE_READ)
    WholeFiles().stage(path, b"new")
    try:
        with pytest.raises(ServerError, match=r"file\.xml can't be replaced: ."):
            WholeFiles().put_in_place(path)
        content = path.read_bytes()
    finally:
        held.Close()  # type: ignore[attr-defined]
    WholeFiles().discard(path)

    assert content == b"old"
    assert [entry.name for entry in folder.iterdir()] == ["file.xml"]


def test_a_read_only_file_is_refused_before_anything_happens(folder: Path) -> None:
    """Somebody meant that; wine would replace it all the same."""
    path = folder / "file.xml"
    path.write_bytes(b"old")
    path.chmod(0o400)

    with pytest.raises(ServerError, match="is read-only; clear that attribute"):
        WholeFiles().stage(path, b"new")


# One instance.


def test_another_process_can_not_work_at_the_same_time(folder: Path) -> None:
    """The scheduled task and a person; and a killed holder is no obstacle."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom onprem_client.windows.lock import StateFolderLock\n"
        f"with StateFolderLock(Path({str(folder / 'state')!r})).held():\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "held"
        with pytest.raises(AlreadyRunningError), StateFolderLock(folder / "state").held():
            pass
        other.kill()
        other.wait()
    with StateFolderLock(folder / "state").held():
        held = True

    assert held


# Secrets and the folder they are in.


def test_a_secret_is_encrypted_and_only_for_administrators(folder: Path) -> None:
    """The disk, or a backup of it, in other hands gives nothing away."""
    store = secrets(folder / "state")
    for _twice in range(2):
        store.write(VBR_PASSWORD, Secret("pässwörd 😀"))
    file = folder / "state" / "secrets" / "vbr-password"

    assert store.read(VBR_PASSWORD) == Secret("pässwörd 😀")
    assert store.read("repository-tokyo") is None
    assert "pässwörd".encode() not in file.read_bytes()
    assert others_with_access(file) == ()
    assert others_with_access(file.parent) == ()
    assert others_with_access(folder / "state") == ()
    assert [entry.name for entry in file.parent.iterdir()] == ["vbr-password"]


def test_one_secret_can_not_stand_for_another(folder: Path) -> None:
    """The name is sealed in, so a copied file is refused."""
    store = secrets(folder / "state")
    store.write(VBR_PASSWORD, Secret("x"))
    file = folder / "state" / "secrets" / "vbr-password"
    store.write("repository-tokyo", Secret("y"))
    file.with_name("repository-tokyo").write_bytes(file.read_bytes())

    with pytest.raises(SecretError, match="can't be decrypted"):
        store.read("repository-tokyo")


def test_a_secret_that_everyone_may_read_is_refused(folder: Path) -> None:
    """With the command that closes it, and it is closed again by storing it anew."""
    store = secrets(folder / "state")
    store.write(VBR_PASSWORD, Secret("x"))
    _with_everyone(folder / "state" / "secrets" / "vbr-password")
    with pytest.raises(SecretError, match=r"may be read by others \(WD\).*icacls"):
        store.read(VBR_PASSWORD)
    store.write(VBR_PASSWORD, Secret("y"))

    assert store.read(VBR_PASSWORD) == Secret("y")


def test_an_open_folder_is_closed_when_it_is_ours_and_refused_when_it_is_not(folder: Path) -> None:
    """A folder made by hand in C:\\ProgramData lets every user of the machine put files into it."""
    state = folder / "state"
    state.mkdir()
    _with_everyone(state)
    with pytest.raises(ServerError, match=r"is open to others.*icacls"):
        ensure_private_folder(state, ours=False)
    for _twice in range(2):
        ensure_private_folder(state, ours=True)

    assert others_with_access(state) == ()


def test_secret_set_reads_a_pipe(server: BackupServer) -> None:  # noqa: ARG001
    """As an operator calls it; what was typed is shown nowhere."""
    done = python("-m", "onprem_client", "secret", "set", "vbr-password", "--stdin", stdin="s3cret\n")

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "vbr-password is stored", "")
    assert secrets(Path(r"C:\ProgramData\vbr-privatelink")).read(VBR_PASSWORD) == Secret("s3cret")


# Log.


@pytest.fixture(name="log")
def _log(folder: Path) -> RunLog:
    register_event_source()
    return RunLog(folder)


def test_the_log_is_a_file_that_is_rotated(log: RunLog, folder: Path) -> None:
    """A client that fails every ten minutes for a year must not fill the disk."""
    text = "x" * 300_000
    for number in range(4 * (KEPT_FILES + 3)):
        log.record(at="2026-01-31T22:00:00Z", command="run", exit_code=number % 2, lines=[text, "東京"])
    sizes = {entry.name: entry.stat().st_size for entry in folder.iterdir()}

    assert set(sizes) == {"client.log", *(f"client.log.{number}" for number in range(1, KEPT_FILES + 1))}
    assert max(sizes.values()) < MAXIMUM_BYTES + 400_000
    assert b"2026-01-31T22:00:00Z run: exit code 1\r\n" in (folder / "client.log").read_bytes()


def test_where_there_is_no_folder_nothing_is_logged_and_nothing_fails(folder: Path) -> None:
    """A log that can't be written never turns a good run into a bad one."""
    RunLog(folder / "none").record(at="now", command="run", exit_code=0, lines=[])

    assert not (folder / "none").exists()
