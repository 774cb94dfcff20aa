"""
Who may make which requests at a listener: Envoy's filter for role-based access control (RBAC).

It judges the caller by the certificate that the handshake has verified, and the path as the application will get it
(:mod:`meshcert.envoy.http.paths`). What no rule allows is answered with 403, or PERMISSION_DENIED in gRPC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.access_log import denied_by_rbac
from meshcert.envoy.api import MTLS_AUTHENTICATED, RBAC, Json, extension
from meshcert.envoy.tls import san_matcher
from meshcert.routes import HAS_PARAMETERS, more_specific

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.proxy import ProxySettings
    from meshcert.routes import AllowRule, PathReading
    from meshcert.san import AcceptedName

_SEVERAL_URIS: Json = {
    "header": {
        "name": "x-forwarded-client-cert",
        "string_match": {"safe_regex": {"regex": "(?s).*;URI=.*;URI=.*"}},
    }
}
"""
``rbac.v3.Principal``: a certificate with two URIs, which no validator may take for an SVID (X509-SVID, section 2).

Envoy has just written this header itself, with every URI of the certificate.
"""


def allow_filters(rules: Sequence[AllowRule]) -> list[Json]:
    """The HTTP filter of a listener with rules; none without."""
    if not rules:
        return []
    policies = {
        f"{'path' if rule.path else 'prefix'} {rule.text}": {
            "permissions": [_permission(rule, rules)],
            "principals": [_principal(rule.callers)],
        }
        for rule in rules
    }
    return [extension("envoy.filters.http.rbac", RBAC, rules={"action": "ALLOW", "policies": policies})]


def refusal_answer(rules: Sequence[AllowRule], settings: ProxySettings) -> Json:
    """The field ``local_reply_config`` of ``HttpConnectionManager``: a refusal says what lists who may."""
    if not rules:
        return {}
    sentence = (
        f"this caller may not ask for this path: virtual_nodes.{settings.name}.listeners[0].allow in the mesh file "
        "lists who may"
    )
    return {
        "local_reply_config": {"mappers": [{"filter": denied_by_rbac(), "body": {"inline_string": f"{sentence}\n"}}]}
    }


def _permission(rule: AllowRule, rules: Sequence[AllowRule]) -> Json:
    """``rbac.v3.Permission``: the path is the rule's, and no longer rule's in whatever way an application reads it."""
    own = {"exact": rule.path} if rule.path else {"prefix": rule.prefix}
    others = [_path(_reading(each)) for each in more_specific(rule, rules)]
    excluded = [*others, _path({"safe_regex": {"regex": HAS_PARAMETERS}})]
    return {"and_rules": {"rules": [_path(own), {"not_rule": {"or_rules": {"rules": excluded}}}]}}


def _path(matcher: Json) -> Json:
    """``rbac.v3.Permission.url_path``, which leaves the query out."""
    return {"url_path": {"path": matcher}}


def _reading(reading: PathReading) -> Json:
    return {"exact" if reading.whole else "prefix": reading.text, "ignore_case": True}


def _principal(callers: Sequence[AcceptedName]) -> Json:
    """
    ``rbac.v3.Principal``: one of these names, in a certificate that the handshake has verified.

    ``authenticated`` would compare a name with names of every kind, and with the subject.
    """
    if callers:
        named: Json = {"or_ids": {"ids": [_authenticated(san_matcher=san_matcher(name)) for name in callers]}}
    else:
        named = _authenticated(any_validated_client_certificate=True)
    return {"and_ids": {"ids": [named, {"not_id": _SEVERAL_URIS}]}}


def _authenticated(**fields: object) -> Json:
    return {"custom": extension("envoy.rbac.principals.mtls_authenticated", MTLS_AUTHENTICATED, **fields)}
