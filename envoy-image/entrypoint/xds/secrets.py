"""
Secrets as an xDS type: Envoy's Secret Discovery Service.

Field numbers are those of ``envoy/extensions/transport_sockets/tls/v3/*.proto`` (common, secret,
tls_spiffe_validator_config) and of ``google.protobuf.Any``; tests compare with the generated messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrypoint.grpc.wire import field
from entrypoint.xds.encoding import encoded
from entrypoint.xds.resources import ResourceType
from meshcert.envoy.api import SECRET, SPIFFE_VALIDATOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrypoint.xds.encoding import Fields
    from meshcert.envoy.api import Json

_DATA_SOURCE: Fields = {"inline_string": (3, {})}
_VALIDATOR: Fields = {"trust_domains": (1, {"name": (1, {}), "trust_bundle": (2, _DATA_SOURCE)})}


def _validator(config: Json) -> bytes:
    """The configuration of the one validator there is; KeyError for any other."""
    values = dict(config)
    if values.pop("@type") != SPIFFE_VALIDATOR:
        raise KeyError("@type")
    return field(1, SPIFFE_VALIDATOR) + field(2, encoded(values, _VALIDATOR))


_SECRET: Fields = {
    "tls_certificate": (
        2,
        {"certificate_chain": (1, _DATA_SOURCE), "private_key": (2, _DATA_SOURCE), "password": (3, _DATA_SOURCE)},
    ),
    "validation_context": (
        4,
        {
            "trusted_ca": (1, _DATA_SOURCE),
            "crl": (7, _DATA_SOURCE),
            "custom_validator_config": (12, {"name": (1, {}), "typed_config": (2, _validator)}),
            "only_verify_leaf_cert_crl": (14, {}),
        },
    ),
}


def plain_names(names: tuple[str, ...]) -> Mapping[str, str]:
    """
    Return the plain names by which SPIRE's agent calls secrets, with the names they stand for.

    Args:
        names: From :func:`meshcert.envoy.identity_name` and ``trust_name``. A plain name that an identity shares with a
            hierarchy is left out, because it is ambiguous.
    """
    plain = [name.partition("/")[2] for name in names]
    return {short: name for short, name in zip(plain, names, strict=True) if plain.count(short) == 1}


def secret_body(resource: Json) -> bytes:
    """
    Encode a secret (``tls.v3.Secret``) without its name.

    Args:
        resource: From :mod:`meshcert.envoy.secrets`.

    Raises:
        KeyError: If it has an unknown field: leaving one out could make Envoy trust too much.
    """
    return encoded({key: value for key, value in resource.items() if key not in {"@type", "name"}}, _SECRET)


SECRETS = ResourceType(SECRET, "envoy.service.secret.v3.SecretDiscoveryService", "Secrets", plain_names)
