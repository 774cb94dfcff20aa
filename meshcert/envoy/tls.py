"""TLS contexts for both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.spiffe_id import SCHEME
from meshcert.envoy.api import DOWNSTREAM_TLS, NETWORK_RBAC, RBAC_ACTION, UPSTREAM_TLS, URI_SAN_INPUT, Json, extension
from meshcert.envoy.secrets import certificate_name, roots_name, users_secret
from meshcert.san import Dns, SpiffeIdPrefix
from meshcert.tls_sources import PublicRoots, SdsSecret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.envoy.secrets import SecretSource
    from meshcert.proxy import Backend, BackendTls, ListenerTls
    from meshcert.san import AcceptedName
    from meshcert.tls_sources import TlsCertificate, TlsTrust

ALPN = {"http": ["h2", "http/1.1"], "http2": ["h2"], "grpc": ["h2"]}
"""The protocols that a listener offers by ALPN, by its own protocol; ``tcp`` offers none."""

_SEGMENT = r"(?:[\w-]|\.[\w-]|\.\.[\w.-])[\w.-]*"
"""A path segment of a SPIFFE ID, not empty, ``.`` or ``..``, for RE2: its ``\\w`` is ASCII, and it has no negation."""


def downstream_socket(tls: ListenerTls, protocol: str, source: SecretSource) -> Json:
    """
    A listener's transport socket (``tls.v3.DownstreamTlsContext``).

    ``require_client_certificate`` is always written, because Envoy's default for it is about to change.

    A client whose certificate matters is judged at every connection. With a session ticket (RFC 5077; RFC 8446, 2.2) it
    would be let in unseen after its certificate has expired, or after a revocation list has ended. So there are none:
    neither ``disable_stateless_session_resumption`` (tickets) nor ``disable_stateful_session_resumption`` (session ids)
    is left at its default.

    Args:
        tls: The listener's TLS; its mode is ignored.
        protocol: The listener's protocol, which decides ``alpn_protocols``.
    """
    common = _common_tls_context(tls.certificate, tls.trust, tls.subject_alternative_names, source)
    if protocol in ALPN:
        common["alpn_protocols"] = ALPN[protocol]
    fields: Json = {"require_client_certificate": bool(tls.trust), "common_tls_context": common}
    if tls.trust:
        fields |= {"disable_stateless_session_resumption": True, "disable_stateful_session_resumption": True}
    return extension("envoy.transport_sockets.tls", DOWNSTREAM_TLS, **fields)


def sole_uri(names: Sequence[AcceptedName], stat_prefix: str) -> Json:
    """
    A network filter (``rbac.v3.RBAC``) that ends a connection whose client has another URI beside one of the names.

    Envoy's SPIFFE validator takes a client's trust domain from its first URI, and lets it in if any of its URIs is one
    of the names. So a foreign CA could sign an ID of its own with one of ours beside, and the client would be both.
    ``UriSanInput`` is all URIs, joined by commas, which no SPIFFE ID has.
    """
    allow, deny = (
        {"action": {"name": action, "typed_config": {"@type": RBAC_ACTION, "name": policy, "action": action}}}
        for action, policy in (("ALLOW", "one-id"), ("DENY", "several-ids"))
    )
    matcher = {
        "matcher_tree": {
            "input": extension("envoy.matching.inputs.uri_san", URI_SAN_INPUT),
            "exact_match_map": {"map": {str(name): allow for name in names}},
        },
        "on_no_match": deny,
    }
    return extension("envoy.filters.network.rbac", NETWORK_RBAC, stat_prefix=f"{stat_prefix}.", matcher=matcher)


def upstream_socket(backend: Backend, tls: BackendTls, source: SecretSource) -> Json:
    """
    A cluster's transport socket (``tls.v3.UpstreamTlsContext``).

    ``sni`` is the backend's host. Its certificate must carry that name, too, unless the settings list others. No
    session is kept (``max_session_keys``): the backend is judged at every connection. Without ``trust`` there is no
    validation context, and Envoy takes every certificate. Public roots are no secret: they stand in the image.
    """
    names = tls.subject_alternative_names or (Dns(backend.host),)
    common = _common_tls_context(tls.certificate, tls.trust, names, source)
    if backend.protocol in {"http2", "grpc"}:
        common["alpn_protocols"] = ["h2"]
    fields: Json = {"sni": backend.host, "max_session_keys": 0, "common_tls_context": common}
    return extension("envoy.transport_sockets.tls", UPSTREAM_TLS, **fields)


def _common_tls_context(
    certificate: TlsCertificate, trust: TlsTrust, names: Sequence[AcceptedName], source: SecretSource
) -> Json:
    # As a client, Envoy uses at most TLS 1.2 by default, so both ends of the range are always written.
    common: Json = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}
    }
    if certificate:
        presented = (
            users_secret(certificate) if isinstance(certificate, SdsSecret) else source(certificate_name(certificate))
        )
        common["tls_certificate_sds_secret_configs"] = [presented]
    if isinstance(trust, PublicRoots):
        common["validation_context"] = {
            "trusted_ca": {"filename": trust.file},
            "match_typed_subject_alt_names": [san_matcher(name) for name in names],
        }
    elif trust:
        roots = users_secret(trust) if isinstance(trust, SdsSecret) else source(roots_name(trust))
        if names:
            common["combined_validation_context"] = {
                "default_validation_context": {"match_typed_subject_alt_names": [san_matcher(name) for name in names]},
                "validation_context_sds_secret_config": roots,
            }
        else:
            common["validation_context_sds_secret_config"] = roots
    return common


def san_matcher(name: AcceptedName) -> Json:
    """``tls.v3.SubjectAltNameMatcher``, which accepts the same names as :meth:`meshcert.san.Dns.proves`."""
    if isinstance(name, SpiffeIdPrefix):
        return {"san_type": "URI", "matcher": {"safe_regex": {"regex": _ids_under(name.prefix)}}}
    return {"san_type": "DNS" if isinstance(name, Dns) else "URI", "matcher": {"exact": str(name)}}


def _ids_under(prefix: str) -> str:
    """
    RE2 for the SPIFFE IDs under a prefix. Envoy compares it with the whole of each URI of a certificate.

    A matcher by ``prefix`` would take ``/ns/shopping`` for ``/ns/shop``, and what is no SPIFFE ID at all.
    """
    at_least = "+" if prefix.removeprefix(f"{SCHEME}://") == prefix.rpartition("/")[2] else "*"
    return prefix.replace(".", r"\.") + f"(?:/{_SEGMENT}){at_least}"
