"""The access log of a proxy: a line for each request, in App Mesh's fields."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshcert import request_log
from meshcert.mesh.part import Part


class JsonFormatField(Part, title="JsonFormatRef"):
    """A field of a line."""

    key: Annotated[str, Field(min_length=1, max_length=100)] = Field(examples=["status"])
    """Its name."""
    value: Annotated[str, Field(min_length=1, max_length=100)] = Field(examples=["%RESPONSE_CODE%"])
    """Its value, with Envoy's command operators."""


class LoggingFormat(Part):
    """What a line says: exactly one of them."""

    text: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """Text with Envoy's command operators; a line break is added if it has none."""
    json_fields: tuple[JsonFormatField, ...] = Field(default=(), alias="json")
    """A JSON object with these fields; of two with one name the later counts."""


class FileAccessLog(Part):
    """Where the lines go."""

    path: Literal["/dev/stdout"] = Field(examples=["/dev/stdout"])
    """The service's log group takes what Envoy writes there; the container has no other file to write."""
    format: LoggingFormat | None = None
    """Left out: a JSON object, without the query of the path."""


class DeclaredAccessLog(Part, title="AccessLog"):
    """The access log."""

    file: FileAccessLog
    """The only kind that there is."""


class Logging(Part):
    """What a proxy logs beside refused peers."""

    access_log: DeclaredAccessLog | None = None
    """A line for each request. Left out: none."""

    @property
    def requests(self) -> request_log.RequestLog | None:
        """The access log as settings hold it; None for none."""
        if self.access_log is None:
            return None
        said = self.access_log.file.format or LoggingFormat()
        return request_log.RequestLog(said.text or "", {each.key: each.value for each in said.json_fields})
