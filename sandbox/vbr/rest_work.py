"""The REST calls about work: jobs, sessions and the configuration backup."""

from sandbox.vbr.backup_server import BackupServer
from sandbox.vbr.jobs import Job
from sandbox.vbr.request_shapes import job_stop
from sandbox.vbr.rest_calls import (
    PAGE,
    Answer,
    BadRequestError,
    Call,
    NotFoundError,
    Route,
    matches,
    one_of,
    page,
)
from sandbox.vbr.revisions import Revision
from sandbox.vbr.sessions import Session, SessionKind
from sandbox.vbr.shapes import Json


class WorkCalls:
    """Calls of one revision on one server."""

    def __init__(self, server: BackupServer, revision: Revision) -> None:
        self._server = server
        self._revision = revision

    def routes(self) -> list[Route]:
        job_filters = {"nameFilter", "statusFilter", "typeFilter", "repositoryIdFilter"}
        job_filter = f"{self._revision.session_job}Filter"
        session_filters = {"nameFilter", "stateFilter", "typeFilter", "resultFilter", job_filter}
        return [
            Route(method="GET", path="/api/v1/jobs/states", handle=self._jobs, query=PAGE | job_filters),
            Route(method="POST", path="/api/v1/jobs/{id}/disable", handle=self._disable),
            Route(method="POST", path="/api/v1/jobs/{id}/enable", handle=self._enable),
            Route(
                method="POST",
                path="/api/v1/jobs/{id}/stop",
                handle=self._stop_job,
                shape=lambda _body: job_stop(self._revision),
            ),
            Route(method="GET", path="/api/v1/sessions", handle=self._sessions, query=PAGE | session_filters),
            Route(method="GET", path="/api/v1/sessions/{id}", handle=self._session),
            Route(method="POST", path="/api/v1/sessions/{id}/stop", handle=self._stop_session),
            Route(method="POST", path="/api/v1/configBackup/backup", handle=self._back_up_configuration),
        ]

    def _jobs(self, call: Call) -> Answer:
        query = call.query
        statuses = tuple(dict.fromkeys(self._revision.job_statuses.values()))
        status = one_of(query, "statusFilter", statuses)
        kind = query.get("typeFilter")
        repository_id = query.get("repositoryIdFilter")
        found = [
            each
            for each in self._server.jobs.all()
            if self._sees(each.kind)
            and matches(query.get("nameFilter"), each.name)
            and status in (None, self._status(each))
            and kind in (None, self._job_type(each))
            and repository_id in (None, each.repository.id)
        ]
        return page(found, query, self._job_document)

    def _disable(self, call: Call) -> Answer:
        self._job(call).enabled = False
        return self._switched()

    def _enable(self, call: Call) -> Answer:
        self._job(call).enabled = True
        return self._switched()

    def _switched(self) -> Answer:
        status = self._revision.job_switch_status
        return Answer(status, {} if status == 200 else None)

    def _stop_job(self, call: Call) -> Answer:
        session = self._job(call).latest
        if session is None or not session.running:
            raise BadRequestError("the job isn't running")
        if call.body[self._revision.graceful]:
            self._server.sessions.ask_to_stop(session)
        else:
            self._server.sessions.cut_off(session, "The job was stopped.")
        return Answer(201, session_document(session, self._revision))

    def _job(self, call: Call) -> Job:
        found = self._server.jobs.find(call.ids["id"])
        if found is None or not self._sees(found.kind):
            raise NotFoundError(f"there is no job {call.ids['id']}")
        return found

    def _job_document(self, each: Job) -> Json:
        latest = each.latest
        return {
            "id": each.id,
            "name": each.name,
            "description": each.description,
            "type": self._job_type(each),
            "status": self._status(each),
            "lastRun": latest.created_at.isoformat() if latest is not None else None,
            "lastResult": latest.result if latest is not None else "None",
            "repositoryId": each.repository.id,
            "repositoryName": each.repository.name,
            "objectsCount": 1,
            "sessionId": latest.id if latest is not None else None,
        }

    def _status(self, each: Job) -> str:
        return self._revision.job_statuses[each.status]

    def _job_type(self, each: Job) -> str:
        copies = each.kind is SessionKind.BACKUP_COPY
        return self._revision.copy_job_type if copies else self._revision.job_type

    def _sessions(self, call: Call) -> Answer:
        query = call.query
        state = one_of(query, "stateFilter", self._revision.session_states)
        result = one_of(query, "resultFilter", ("None", "Success", "Warning", "Failed"))
        kind = query.get("typeFilter")
        job_id = query.get(f"{self._revision.session_job}Filter")
        found = [
            each
            for each in self._server.sessions.newest_first()
            if self._sees(each.kind)
            and matches(query.get("nameFilter"), each.name)
            and state in (None, each.state)
            and result in (None, each.result)
            and kind in (None, session_type(each, self._revision))
            and job_id in (None, each.job_id)
        ]
        return page(found, query, lambda each: session_document(each, self._revision))

    def _session(self, call: Call) -> Answer:
        return Answer(200, session_document(self._one_session(call), self._revision))

    def _stop_session(self, call: Call) -> Answer:
        self._server.sessions.cut_off(self._one_session(call), "The session was stopped.")
        return Answer(200, {})

    def _one_session(self, call: Call) -> Session:
        found = self._server.sessions.find(call.ids["id"])
        if found is None or not self._sees(found.kind):
            raise NotFoundError(f"there is no session {call.ids['id']}")
        return found

    def _back_up_configuration(self, _call: Call) -> Answer:
        return Answer(200, session_document(self._server.back_up_configuration(), self._revision))

    def _sees(self, kind: SessionKind) -> bool:
        """Copy jobs run on every server; older revisions just don't show them."""
        return self._revision.sees_copy_jobs or kind is not SessionKind.BACKUP_COPY


def session_type(session: Session, revision: Revision) -> str:
    match session.kind:
        case SessionKind.BACKUP:
            return revision.job_session_type
        case SessionKind.BACKUP_COPY:
            return revision.copy_session_type
        case other:
            return other.value


def session_document(session: Session, revision: Revision) -> Json:
    """Return a session as the revision shows it."""
    return {
        "id": session.id,
        "name": session.name,
        revision.session_job: session.job_id,
        "sessionType": session_type(session, revision),
        "creationTime": session.created_at.isoformat(),
        "endTime": session.ended_at.isoformat() if session.ended_at is not None else None,
        "state": session.state.value,
        "progressPercent": 0 if session.running else 100,
        "result": {"result": session.result, "message": session.message, "isCanceled": session.canceled},
        "usn": 0,
    }
