"""The fields of TLS, at listeners and in client policies."""

from __future__ import annotations

from meshcert.appmesh.fields.field import AppMeshField, ValueKind, changed, kept, lost

_TEXT = ValueKind.TEXT
_IDENTITY = "an identity takes its place, and meshcert issues, delivers and renews its certificate"
_HIERARCHY = "a hierarchy takes its place: new CAs, whose root the proxies get"
_KEEP = "; to keep yours, write {source} there in its place, and the service's proxy.volumes"
_NAMES = (
    "names become those of the new certificates; a SPIFFE ID becomes a DNS name, unless you write `issuer: acm-pca` "
    "and `spiffe_id`"
)


def listener_tls(becomes: str) -> tuple[AppMeshField, ...]:
    """
    TLS of a listener.

    Args:
        becomes: Where a listener stands in the mesh file.
    """
    tls = "listeners[].tls"
    return (
        kept(f"{tls}.mode", _TEXT, f"{becomes}.tls.mode"),
        *_certificate(f"{tls}.certificate", f"{becomes}.tls", ("acm", "file", "sds")),
        *_validation(f"{tls}.validation", f"{becomes}.tls", ("file", "sds")),
        lost(
            f"{tls}.validation.trust.acm",
            "App Mesh's API never had it, only the Kubernetes controller's CRD: it had no effect",
        ),
    )


def client_policy(path: str, becomes: str) -> tuple[AppMeshField, ...]:
    """
    A client policy.

    Args:
        path: Where it stands in App Mesh.
        becomes: Where it stands in the mesh file.
    """
    return (
        kept(f"{path}.tls.enforce", ValueKind.FLAG, f"{becomes}.tls.enforce"),
        changed(
            f"{path}.tls.ports[]",
            ValueKind.WHOLE,
            f"{becomes}.tls.ports",
            "a callee's Envoy listens at another port than its application: the list has Envoy's",
        ),
        *_certificate(f"{path}.tls.certificate", f"{becomes}.tls", ("file", "sds")),
        *_validation(f"{path}.tls.validation", f"{becomes}.tls", ("acm", "file", "sds")),
    )


_CERTIFICATE_FIELDS = {"acm": ("certificateArn",), "file": ("certificateChain", "privateKey"), "sds": ("secretName",)}
_TRUST_FIELDS = {"acm": "certificateAuthorityArns[]", "file": "certificateChain", "sds": "secretName"}


def _certificate(path: str, becomes: str, sources: tuple[str, ...]) -> tuple[AppMeshField, ...]:
    return tuple(
        changed(f"{path}.{source}.{field}", _TEXT, f"{becomes}.certificate.identity", _IDENTITY + _kept(source))
        for source in sources
        for field in _CERTIFICATE_FIELDS[source]
    )


def _validation(path: str, becomes: str, sources: tuple[str, ...]) -> tuple[AppMeshField, ...]:
    return (
        *(
            changed(
                f"{path}.trust.{source}.{_TRUST_FIELDS[source]}",
                _TEXT,
                f"{becomes}.validation.trust.hierarchy",
                _HIERARCHY + _kept(source),
            )
            for source in sources
        ),
        changed(
            f"{path}.subjectAlternativeNames.match.exact[]",
            _TEXT,
            f"{becomes}.validation.subject_alternative_names.match.exact",
            _NAMES,
        ),
    )


def _kept(source: str) -> str:
    return "" if source == "acm" else _KEEP.format(source=source)
