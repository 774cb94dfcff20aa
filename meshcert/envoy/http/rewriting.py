"""What becomes of a path and a host on the way to a backend, in Envoy's fields (``route.v3.RouteAction``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.routes import beginning_of

if TYPE_CHECKING:
    from meshcert.envoy.api import Json
    from meshcert.routes import Rewriting


def rewriting(change: Rewriting) -> Json:
    """
    The fields that rewrite path and host.

    A prefix goes together with the slash behind it, so ``/chapter/page`` becomes ``/page``; Envoy's ``prefix_rewrite``
    would make ``//page`` of it.
    """
    fields: Json = {}
    if change.path:
        fields["regex_rewrite"] = _regex_rewrite("^.*$", change.path)
    elif change.prefix:
        fields["regex_rewrite"] = _regex_rewrite(f"^{beginning_of(change.prefix)}", change.value)
    if change.host:
        fields["host_rewrite_literal"] = change.host
    return fields


def _regex_rewrite(regex: str, substitution: str) -> Json:
    """``matcher.v3.RegexMatchAndSubstitute``; a backslash in the substitution would name a group."""
    return {"pattern": {"regex": regex}, "substitution": substitution.replace("\\", r"\\")}
