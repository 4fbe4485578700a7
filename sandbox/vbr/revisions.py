"""
The REST revisions, as one table: each row says what it changes in the row before.

A revision is strict about its own spelling. Where two revisions surround one that has no published
document, the row between takes the older neighbour's shape.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What one revision spells, requires and answers."""

    name: str
    product: str
    password_grant: str
    refresh_grant: str
    server_info: tuple[str, ...]
    unique_id: str
    unique_id_is_uuid: bool
    credential_has_last_modified: bool
    new_secret_status: int
    browser_resets_cache: bool
    task_limit: str
    imports_backups: bool
    """immutabilityMode, importBackup and importIndex are known."""
    mount_server_types: tuple[str, ...]
    """Empty: one flat mountServer; otherwise the values of mountServerSettingsType."""
    mount_server_required: bool
    default_mount_server_is_list: bool
    states_say_online: bool
    states_say_out_of_date: bool
    rescans: bool
    job_type: str
    copy_job_type: str
    job_statuses: dict[str, str]
    job_switch_status: int
    graceful: str
    stops_chained_jobs: bool
    sees_copy_jobs: bool
    session_job: str
    job_session_type: str
    copy_session_type: str
    session_states: tuple[str, ...]


_FIRST = Revision(
    name="1.1-rev0",
    product="12.0.0",
    password_grant="password",  # noqa: S106 - the name of a grant, not a password
    refresh_grant="refresh_token",
    server_info=("vbrId", "name", "buildVersion", "patches"),
    unique_id="tag",
    unique_id_is_uuid=False,
    credential_has_last_modified=False,
    new_secret_status=201,
    browser_resets_cache=False,
    task_limit="enableTaskLimit",
    imports_backups=False,
    mount_server_types=(),
    mount_server_required=True,
    default_mount_server_is_list=False,
    states_say_online=False,
    states_say_out_of_date=False,
    rescans=False,
    job_type="Backup",
    copy_job_type="BackupCopy",
    job_statuses={
        "idle": "inactive",
        "never_run": "inactive",
        "stopped": "inactive",
        "stopping": "running",
        "running": "running",
        "disabled": "disabled",
    },
    job_switch_status=200,
    graceful="gracefullStop",
    stops_chained_jobs=False,
    sees_copy_jobs=False,
    session_job="activityId",
    job_session_type="Job",
    copy_session_type="Job",
    session_states=(
        "Stopped",
        "Starting",
        "Stopping",
        "Working",
        "Pausing",
        "Resuming",
        "WaitingTape",
        "Idle",
        "Postprocessing",
        "WaitingRepository",
        "WaitingSlot",
    ),
)
_12_1 = replace(
    _FIRST,
    name="1.1-rev1",
    product="12.1.0",
    unique_id="uniqueId",
    browser_resets_cache=True,
    task_limit="taskLimitEnabled",
    states_say_online=True,
    rescans=True,
    graceful="gracefulStop",
    session_job="jobId",
    job_session_type="BackupJob",
    copy_session_type="BackupCopyJob",
)
_12_2 = replace(_12_1, name="1.1-rev2", product="12.2.0")
_12_3_0 = replace(_12_2, name="1.2-rev0", product="12.3.0")
_12_3_1 = replace(
    _12_3_0,
    name="1.2-rev1",
    product="12.3.1",
    server_info=(*_12_3_0.server_info, "databaseVendor", "sqlServerVersion"),
)
_13_0_0 = replace(
    _12_3_1,
    name="1.3-rev0",
    product="13.0.0",
    server_info=(*_12_3_1.server_info, "platform", "veeamRegistration"),
    credential_has_last_modified=True,
    new_secret_status=200,
    imports_backups=True,
    mount_server_types=("windows", "linux", "both"),
    default_mount_server_is_list=True,
    states_say_out_of_date=True,
    job_type="VSphereBackup",
    job_statuses={
        "idle": "inactive",
        "never_run": "enabled",
        "stopped": "stopped",
        "stopping": "stopping",
        "running": "running",
        "disabled": "disabled",
    },
    stops_chained_jobs=True,
    sees_copy_jobs=True,
)
_13_0_1 = replace(
    _13_0_0,
    name="1.3-rev1",
    product="13.0.1",
    password_grant="Password",  # noqa: S106 - the name of a grant, not a password
    refresh_grant="Refresh_token",
    mount_server_types=("Windows", "Linux", "Both"),
    job_statuses={key: value.capitalize() for key, value in _13_0_0.job_statuses.items()},
    job_switch_status=204,
)
_13_1 = replace(
    _13_0_1,
    name="1.3-rev2",
    product="13.1.0",
    unique_id_is_uuid=True,
    mount_server_required=False,
    session_states=(*_13_0_1.session_states, "ActionRequired"),
)

REVISIONS = {
    revision.name: revision for revision in (_FIRST, _12_1, _12_2, _12_3_0, _12_3_1, _13_0_0, _13_0_1, _13_1)
}
DEFAULT_REVISION = "1.2-rev1"
