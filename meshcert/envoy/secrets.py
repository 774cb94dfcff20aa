"""Secrets as Envoy's Secret Discovery Service (SDS) delivers them: names, sources and content."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from meshcert.envoy.api import SECRET, SPIFFE_VALIDATOR, Json, extension
from meshcert.material import join_certificates, split_certificates
from meshcert.proxy import DeliveryMode, TlsMode
from meshcert.tls_sources import CertificateFile, FederatedTrust, SdsSecret, TrustFile, of_mesh

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshcert.envoy.addresses import Addresses
    from meshcert.material import Material, PrivateKey, TrustBundle
    from meshcert.proxy import ProxySettings
    from meshcert.tls_sources import TlsCertificate, TlsTrust

    SecretSource = Callable[[str], Json]
    """Gives the source of the secret of an SDS name, as ``tls.v3.SdsSecretConfig``."""

SDS_CLUSTER = "meshcert/sds"
"""Name of the cluster that serves secrets; no backend can have a name with a slash."""
USERS_SDS_CLUSTER = "user/sds"
"""Name of the cluster of an SDS server of the user's."""
_LONGEST_NAME = 200
"""Characters of an SDS name that is put together; it is the name of a file too."""


def identity_name(identity: str) -> str:
    """
    The SDS name of an identity's material, for example ``identity/colorteller``.

    Names are unique over identities and trust bundles, because Envoy gives two sources of the same name the same
    counters. The counters carry the name: ``sds.identity/colorteller.update_success``.
    """
    return f"identity/{identity}"


def trust_name(hierarchy: str) -> str:
    """The SDS name of a hierarchy's trust bundle, for example ``trust/colorgateway``."""
    return f"trust/{hierarchy}"


def federated_name(trust: FederatedTrust) -> str:
    """
    The SDS name of the roots of several trust domains, for example ``federation/yelb+partner.example``.

    No hierarchy and no trust domain has a ``+`` in its name. The foreign domains of a very long name stand in it as
    their SHA-256.
    """
    joined = "+".join(trust.foreign)
    if len(joined) > _LONGEST_NAME:
        joined = hashlib.sha256(joined.encode()).hexdigest()
    return f"federation/{trust.hierarchy}+{joined}"


def certificate_name(certificate: TlsCertificate) -> str:
    """
    The SDS name of what a proxy presents, for example ``certificate_file/keys/chain.pem``.

    Empty if there is none, or if an SDS server of the user's gives it.
    """
    if isinstance(certificate, CertificateFile):
        return f"certificate_file{certificate.certificate_chain}"
    return identity_name(identity) if (identity := of_mesh(certificate)) else ""


def roots_name(trust: TlsTrust) -> str:
    """The SDS name of what a proxy trusts, for example ``trust_file/keys/ca.pem``; empty as certificate_name()."""
    if isinstance(trust, TrustFile):
        return f"trust_file{trust.certificate_chain}"
    if isinstance(trust, FederatedTrust):
        return federated_name(trust)
    return trust_name(hierarchy) if (hierarchy := of_mesh(trust)) else ""


def file_name(name: str) -> str:
    """The name of the file that holds the resource of an xDS name; no two names share one."""
    return name.replace("/", "-", 1).replace("/", "+") + ".json"


def secret_source(settings: ProxySettings, addresses: Addresses) -> SecretSource:
    """The function that gives the source of each secret under these settings."""
    if settings.delivery is DeliveryMode.SDS:
        return served_secret
    return lambda name: secret_file(name, addresses.secrets_directory)


def served_secret(name: str) -> Json:
    """
    The source of a secret that Envoy requests from :data:`SDS_CLUSTER`.

    Envoy waits for the first answer without limit, and opens no port meanwhile.
    """
    return {"name": name, "sds_config": served_over_socket(first_within="0s")}


def users_secret(secret: SdsSecret) -> Json:
    """The source of a secret that Envoy requests from :data:`USERS_SDS_CLUSTER`; it waits as for one of ours."""
    return {"name": secret.secret_name, "sds_config": served_over_socket(first_within="0s", cluster=USERS_SDS_CLUSTER)}


def served_over_socket(first_within: str, cluster: str = SDS_CLUSTER) -> Json:
    """
    The source of resources that Envoy requests from a cluster (``core.v3.ConfigSource``).

    After a restart of the other end, Envoy's default retry policy could delay a new version by up to 30 seconds.

    Args:
        first_within: ``initial_fetch_timeout``; ``0s`` for none.
    """
    service = {
        "envoy_grpc": {
            "cluster_name": cluster,
            "retry_policy": {"retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"}},
        }
    }
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": first_within,
        "api_config_source": {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "grpc_services": [service],
            "set_node_on_first_message_only": True,
        },
    }


def secret_file(name: str, directory: str) -> Json:
    """
    The source of a secret that Envoy reads from a file.

    Args:
        directory: Folder with the resource files.
    """
    return {"name": name, "sds_config": _watched_file(name, directory)}


def resource_source(name: str, settings: ProxySettings, directory: str, first_within: str) -> Json:
    """
    The source of what is no secret and travels as the secrets do (``core.v3.ConfigSource``).

    Args:
        name: Its xDS name.
        directory: Folder with the resource files of its type, if it travels so.
        first_within: Longest wait of a starting Envoy, if it travels over a socket; ``0s`` for no limit.
    """
    if settings.delivery is DeliveryMode.SDS:
        return served_over_socket(first_within)
    return _watched_file(name, directory)


def _watched_file(name: str, directory: str) -> Json:
    # Without watched_directory, some ways of replacing a file go unnoticed; with it, Envoy loads a new one as soon as
    # it is moved into the folder.
    return {
        "resource_api_version": "V3",
        "path_config_source": {
            "path": f"{directory}/{file_name(name)}",
            "watched_directory": {"path": directory},
        },
    }


def identity_resource(name: str, material: Material) -> Json:
    """
    Material as ``tls.v3.Secret.tls_certificate``, with everything inline.

    Certificate, key and passphrase are one resource, so that no reader can see parts of two versions. The key stays
    encrypted; Envoy decrypts it with ``password``.

    Args:
        material: Its key and passphrase are revealed in the result.
    """
    return {
        "@type": SECRET,
        "name": name,
        "tls_certificate": {
            "certificate_chain": {"inline_string": material.presented_chain},
            "private_key": {"inline_string": material.private_key.reveal()},
            "password": {"inline_string": material.passphrase.reveal()},
        },
    }


def file_resource(name: str, certificate_chain: str, private_key: PrivateKey) -> Json:
    """
    A certificate from files of the user's as ``tls.v3.Secret.tls_certificate``, with everything inline.

    Args:
        private_key: Revealed in the result.
    """
    return {
        "@type": SECRET,
        "name": name,
        "tls_certificate": {
            "certificate_chain": {"inline_string": certificate_chain},
            "private_key": {"inline_string": private_key.reveal()},
        },
    }


def trust_resource(name: str, bundle: TrustBundle, revocation_lists: str = "") -> Json:
    """
    Roots as ``tls.v3.Secret.validation_context``.

    It contains only the certificates: other PEM blocks among them would make Envoy reject the whole bundle.

    Args:
        revocation_lists: Revocation lists, PEM. If there are any, Envoy refuses each peer with a CA in its chain whose
            list is missing or has expired. Empty: Envoy does not check revocation.
    """
    context: Json = {"trusted_ca": {"inline_string": join_certificates(split_certificates(bundle.certificates))}}
    if revocation_lists:
        context["crl"] = {"inline_string": revocation_lists}
    return {"@type": SECRET, "name": name, "validation_context": context}


def federated_resource(name: str, bundles: Mapping[str, str]) -> Json:
    """
    The roots of several trust domains as ``tls.v3.Secret.validation_context``, each for the names of its own alone.

    That takes Envoy's SPIFFE validator (``custom_validator_config``): among the roots of one ``trusted_ca``, each could
    sign for every name. It ignores ``crl`` beside it, so a domain's revocation lists stand in its bundle. A domain
    without certificates has no entry, because Envoy takes no empty bundle; without any entry, every peer is refused.

    Args:
        bundles: CA certificates and revocation lists of each trust domain, PEM; may be empty.
    """
    domains = [
        {"name": domain, "trust_bundle": {"inline_string": bundle}} for domain, bundle in bundles.items() if bundle
    ]
    validator = extension("envoy.tls.cert_validator.spiffe", SPIFFE_VALIDATOR, trust_domains=domains)
    return {"@type": SECRET, "name": name, "validation_context": {"custom_validator_config": validator}}


def federated_bundles(resource: Json) -> dict[str, str]:
    """
    What :func:`federated_resource` was given, but for domains without certificates.

    Raises:
        KeyError, TypeError: If it is no such resource.
    """
    config = resource["validation_context"]["custom_validator_config"]["typed_config"]
    # Envoy shows a message without its empty fields.
    return {entry["name"]: entry["trust_bundle"]["inline_string"] for entry in config.get("trust_domains", ())}


def discovery_response(resource: Json, version: str) -> Json:
    """
    One resource as a ``discovery.v3.DiscoveryResponse``.

    Args:
        resource: From :func:`identity_resource` or :func:`trust_resource`.
        version: Becomes ``version_info``; Envoy shows it as ``sds.<name>.version_text`` once it serves the resource.
    """
    return {"version_info": version, "resources": [resource]}


def secrets_used(settings: ProxySettings) -> tuple[str, ...]:
    """
    The SDS names that Envoy subscribes to under these settings, sorted; without those of the user's SDS server.

    A declared secret that no listener or backend uses is fetched, but Envoy never asks for it and has no counters for
    it.
    """
    names: set[str] = set()
    for listener in settings.listeners:
        if listener.tls.mode is not TlsMode.DISABLED:
            names |= {certificate_name(listener.tls.certificate), roots_name(listener.tls.trust)}
    for backend in settings.backends:
        if backend.tls is not None:
            names |= {certificate_name(backend.tls.certificate), roots_name(backend.tls.trust)}
    return tuple(sorted(names - {""}))
