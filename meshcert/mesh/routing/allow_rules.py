"""Who may make which requests at a virtual node's listener. App Mesh had no such thing; matches are in its words."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshcert.mesh.part import Part, SanMatch
from meshcert.mesh.routing.matches import Text
from meshcert.routes import AllowRule


class WholePath(Part):
    """A whole path, without the query."""

    exact: Text = Field(examples=["/healthz"])
    """The path."""


class AllowMatch(Part):
    """Which requests a rule is about: of `http` and `http2` one of prefix and path; of `grpc` nothing is every call."""

    prefix: Annotated[str, Field(max_length=255)] = Field(
        default="", examples=["/admin"], json_schema_extra={"pattern": "^/"}
    )
    """How the path begins, by characters: `/admin` takes `/administrator` too."""
    path: WholePath | None = None
    """The whole path; or prefix."""
    service_name: Text | None = Field(default=None, examples=["color.ColorService"])
    """Of `grpc`: the service, with its package."""
    method_name: Annotated[str, Field(min_length=1, max_length=50)] | None = Field(default=None, examples=["GetColor"])
    """Of `grpc`: the method; with service_name only."""


class DeclaredAllowRule(Part, title="AllowRule"):
    """Which callers may make some of the requests; for each request the rule with the longest path decides alone."""

    match: AllowMatch
    """Which requests."""
    callers: SanMatch = SanMatch()
    """Names in the caller's certificate. Left out: every caller that the listener's validation lets in."""

    @property
    def rule(self) -> AllowRule:
        """The rule, as the settings of the proxy hold it."""
        match = self.match
        path, prefix = match.path.exact if match.path else "", match.prefix
        if match.service_name:
            path = f"/{match.service_name}/{match.method_name}" if match.method_name else ""
            prefix = "" if path else f"/{match.service_name}/"
        return AllowRule(self.callers.names, path, prefix or ("" if path else "/"))
