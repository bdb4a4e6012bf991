"""Answers in the words of OTLP: a status message, in protobuf to who sent protobuf and in JSON to all others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from google.rpc.status_pb2 import Status
from starlette.responses import JSONResponse, Response

from tachograph_analytics.store.segment import ContentType

if TYPE_CHECKING:
    from tachograph_analytics.receiver.admission import RefusedError

_PROTOBUF = "application/x-protobuf"

# HTTP status to the code of google.rpc.Status.
_CODES = {400: 3, 401: 16, 403: 7, 404: 12, 413: 8, 415: 3, 503: 14}


def accepted(written: ContentType) -> Response:
    """The whole body is taken: an empty export response."""
    if written is ContentType.PROTOBUF:
        return Response(b"", media_type=_PROTOBUF)
    return JSONResponse({})


def refused(error: RefusedError, requested: str) -> Response:
    """The refusal to a request of content type `requested`."""
    code = _CODES[error.status]
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else {}
    if error.status == 401:  # noqa: PLR2004 - Unauthorized
        headers["WWW-Authenticate"] = "Bearer"
    if requested.partition(";")[0].strip().lower() == _PROTOBUF:
        body = Status(code=code, message=str(error)).SerializeToString()
        return Response(body, error.status, headers, _PROTOBUF)
    body = json.dumps({"code": code, "message": str(error)}).encode()
    return Response(body, error.status, headers, "application/json")
