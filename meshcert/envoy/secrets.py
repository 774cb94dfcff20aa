"""Secrets as Envoy's Secret Discovery Service (SDS) delivers them: their names, their source, their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.api import SECRET, Json
from meshcert.material import join_certificates, split_certificates
from meshcert.proxy import DeliveryMode, TlsMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.envoy.addresses import Addresses
    from meshcert.material import Material, TrustBundle
    from meshcert.proxy import ProxySettings

    SecretSource = Callable[[str], Json]
    """Where Envoy gets the secret of an SDS name from, as ``tls.v3.SdsSecretConfig``."""

SDS_CLUSTER = "meshcert/sds"
"""Name of the cluster that serves secrets; no backend can have a name with a slash."""


def identity_name(identity: str) -> str:
    """
    The SDS name of an identity's material, for example ``identity/colorteller``.

    Unique over identities and trust bundles: Envoy would give two sources of one name the same counters. The counters
    are called after it: ``sds.identity/colorteller.update_success``.
    """
    return f"identity/{identity}"


def trust_name(hierarchy: str) -> str:
    """The SDS name of a hierarchy's trust bundle, for example ``trust/colorgateway``."""
    return f"trust/{hierarchy}"


def file_name(name: str) -> str:
    """The file that holds the secret of this SDS name."""
    return name.replace("/", "-") + ".json"


def secret_source(settings: ProxySettings, addresses: Addresses) -> SecretSource:
    """
    Where Envoy gets its secrets from under these settings.

    Args:
        settings: Whose delivery counts.
        addresses: Where the SDS resource files are.
    """
    if settings.delivery is DeliveryMode.SDS:
        return served_secret
    return lambda name: secret_file(name, addresses.secrets_directory)


def served_secret(name: str) -> Json:
    """
    A secret that Envoy asks :data:`SDS_CLUSTER` for.

    It waits for the first answer for ever, and listens on no port meanwhile. With Envoy's own retry policy (up to 30
    seconds) it could miss a new version for that long after the other end was restarted.

    Args:
        name: SDS name.
    """
    service = {
        "envoy_grpc": {
            "cluster_name": SDS_CLUSTER,
            "retry_policy": {"retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"}},
        }
    }
    return {
        "name": name,
        "sds_config": {
            "resource_api_version": "V3",
            "initial_fetch_timeout": "0s",
            "api_config_source": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [service],
                "set_node_on_first_message_only": True,
            },
        },
    }


def secret_file(name: str, directory: str) -> Json:
    """
    A secret that Envoy reads from a file.

    ``watched_directory`` makes Envoy take a new file over as soon as it is moved into the folder; without it, some
    ways of replacing the file go unseen.

    Args:
        name: SDS name.
        directory: Folder with the resource files.
    """
    return {
        "name": name,
        "sds_config": {
            "resource_api_version": "V3",
            "path_config_source": {
                "path": f"{directory}/{file_name(name)}",
                "watched_directory": {"path": directory},
            },
        },
    }


def identity_resource(name: str, material: Material) -> Json:
    """
    Material as ``tls.v3.Secret.tls_certificate``, everything inline.

    Certificate, key and passphrase are one resource, so that no reader can see a torn pair. The key stays encrypted;
    Envoy opens it with ``password``.

    Args:
        name: SDS name.
        material: What to present. It is revealed in the answer.
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


def trust_resource(name: str, bundle: TrustBundle, revocation_lists: str = "") -> Json:
    """
    Roots as ``tls.v3.Secret.validation_context``.

    Only the certificates are handed over: other PEM blocks beside them would make Envoy reject the whole bundle.

    Args:
        name: SDS name.
        bundle: The roots.
        revocation_lists: Lists of revoked certificates, PEM. With any, Envoy refuses each peer in whose chain is a CA
            without a list, or with one that has ended. Empty: Envoy looks at none.
    """
    context: Json = {"trusted_ca": {"inline_string": join_certificates(split_certificates(bundle.certificates))}}
    if revocation_lists:
        context["crl"] = {"inline_string": revocation_lists}
    return {"@type": SECRET, "name": name, "validation_context": context}


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
    SDS names that Envoy subscribes to under these settings, sorted.

    A declared secret that no listener or backend names is fetched, but Envoy never asks for it and has no counters.
    """
    names: set[str] = set()
    for listener in settings.listeners:
        if listener.tls.mode is not TlsMode.DISABLED:
            names.add(identity_name(listener.tls.certificate))
            if listener.tls.trust:
                names.add(trust_name(listener.tls.trust))
    for backend in settings.backends:
        if backend.tls is not None:
            names.add(trust_name(backend.tls.trust))
            if backend.tls.certificate:
                names.add(identity_name(backend.tls.certificate))
    return tuple(sorted(names))
