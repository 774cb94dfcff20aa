"""Secrets as an xDS type: the same messages as the generated code's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_spiffe_validator_config_pb2
from envoy.service.discovery.v3 import discovery_pb2

from entrypoint.grpc.wire import field
from entrypoint.xds.messages import named_resource, write_response
from entrypoint.xds.secrets import secret_body
from meshcert.envoy import federated_resource, identity_resource, trust_resource
from meshcert.envoy.api import SECRET

if TYPE_CHECKING:
    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material


def test_secrets_are_written_as_the_generated_code_reads_them(material: Material, hierarchy: Hierarchy) -> None:
    """Certificate, key, passphrase and roots arrive, under the name that was asked for."""
    identity = identity_resource("identity/a", material)
    trust = trust_resource("trust/b", hierarchy.trust_bundle)
    secrets = [
        named_resource(SECRET, "a", secret_body(identity)),
        named_resource(SECRET, "trust/b", secret_body(trust)),
    ]

    response = discovery_pb2.DiscoveryResponse.FromString(write_response(SECRET, "v1", "7", secrets))

    assert (response.version_info, response.nonce, response.type_url) == ("v1", "7", SECRET)
    first, second = (secret_pb2.Secret.FromString(resource.value) for resource in response.resources)
    assert {resource.type_url for resource in response.resources} == {SECRET}
    certificate = first.tls_certificate
    assert first.name == "a"
    assert certificate.certificate_chain.inline_string == material.presented_chain
    assert certificate.private_key.inline_string == material.private_key.reveal()
    assert certificate.password.inline_string == material.passphrase.reveal()
    assert second.validation_context.trusted_ca.inline_string == trust["validation_context"]["trusted_ca"][
        "inline_string"]  # fmt: skip


def test_revocation_lists_are_written_too(hierarchy: Hierarchy) -> None:
    """A field that got lost would make Envoy trust a revoked peer."""
    trust = trust_resource("trust/b", hierarchy.trust_bundle)
    trust["validation_context"] |= {"crl": {"inline_string": "PEM"}, "only_verify_leaf_cert_crl": True}

    secret = secret_pb2.Secret.FromString(field(1, "trust/b") + secret_body(trust))

    assert secret.validation_context.crl.inline_string == "PEM"
    assert secret.validation_context.only_verify_leaf_cert_crl


@pytest.mark.parametrize("bundles", [{"a.example": "PEM of A", "b.example": "PEM of B"}, {}], ids=["two", "none"])
def test_trust_domains_are_written_too(bundles: dict[str, str]) -> None:
    """Each with its bundle, in order; without any, the validator stays, which then refuses everybody."""
    resource = federated_resource("federation/a", {**bundles, "c.example": ""})

    secret = secret_pb2.Secret.FromString(field(1, "federation/a") + secret_body(resource))

    validator = secret.validation_context.custom_validator_config
    config = tls_spiffe_validator_config_pb2.SPIFFECertValidatorConfig()
    assert validator.name == "envoy.tls.cert_validator.spiffe"
    assert validator.typed_config.Unpack(config)
    assert [(each.name, each.trust_bundle.inline_string) for each in config.trust_domains] == list(bundles.items())


def test_another_validator_is_refused() -> None:
    """As is a field of this one that the codec does not know."""
    resource = federated_resource("federation/a", {"a.example": "PEM"})
    config = resource["validation_context"]["custom_validator_config"]["typed_config"]
    config["trust_bundles"] = {"inline_string": "{}"}
    with pytest.raises(KeyError, match="trust_bundles"):
        secret_body(resource)

    config["@type"] = "type.googleapis.com/envoy.another"
    with pytest.raises(KeyError, match="@type"):
        secret_body(resource)


def test_a_field_the_codec_does_not_know_is_refused_and_never_dropped(hierarchy: Hierarchy) -> None:
    """A secret reaches Envoy with all its fields or not at all."""
    trust = trust_resource("trust/b", hierarchy.trust_bundle)
    trust["validation_context"]["verify_certificate_hash"] = "00"

    with pytest.raises(KeyError, match="verify_certificate_hash"):
        secret_body(trust)
