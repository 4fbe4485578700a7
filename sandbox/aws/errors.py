"""
Answer with an error as the service in question does: XML for S3, Query and EC2, JSON for the rest.
"""

import json
import uuid
from dataclasses import dataclass
from xml.sax.saxutils import escape

from moto.core.utils import get_service_model

REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    412: "Precondition Failed",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """An error, as a client shall get it."""

    status: int
    code: str
    message: str

    @property
    def status_line(self) -> str:
        return f"{self.status} {REASONS.get(self.status, 'Error')}"

    def body(self, service: str) -> tuple[list[tuple[str, str]], bytes]:
        """Return headers and body in the protocol of *service*."""
        request_id = str(uuid.uuid4())
        code, message = escape(self.code), escape(self.message)
        try:
            protocol = str(get_service_model(service).protocol)
        except Exception:  # noqa: BLE001 - any unknown service: JSON is what most of them speak
            protocol = "json"
        if service == "s3":
            xml = (
                f"<Error><Code>{code}</Code><Message>{message}</Message>"
                f"<RequestId>{request_id}</RequestId></Error>"
            )
        elif protocol == "ec2":
            xml = (
                f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
                f"<RequestID>{request_id}</RequestID></Response>"
            )
        elif protocol in ("query", "rest-xml"):
            xml = (
                f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                f"<RequestId>{request_id}</RequestId></ErrorResponse>"
            )
        else:
            kind = "application/json" if protocol == "rest-json" else "application/x-amz-json-1.1"
            content = json.dumps({"__type": self.code, "message": self.message, "Message": self.message})
            return [
                ("Content-Type", kind),
                ("x-amzn-ErrorType", self.code),
                ("x-amzn-RequestId", request_id),
            ], content.encode()
        text = '<?xml version="1.0" encoding="UTF-8"?>\n' + xml
        return [("Content-Type", "application/xml"), ("x-amz-request-id", request_id)], text.encode()
