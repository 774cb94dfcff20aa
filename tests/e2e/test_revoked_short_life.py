"""A short-lived CA with revocation lists: a certificate can be refused before it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from local.gateway_client import Gateway
from local.running_mesh import wait_until

if TYPE_CHECKING:
    from tests.e2e.lived_mesh import LivedMesh


def test_a_revoked_certificate_of_a_short_lived_ca_is_refused_before_it_ends(lived: LivedMesh) -> None:
    """Of the callee's: the gateway got answers from it until the list named its serial number."""
    mesh, row = lived.running, lived.row("ui")
    gateway = Gateway(mesh.gateway_address("gateway"), 8443, "gateway.yelb.internal", mesh.trust_bundle("yelb"))

    def answers() -> bool:
        with gateway.client() as client:
            return gateway.ask(client).status_code == httpx.codes.OK

    wait_until(answers, "the gateway leads to ui", within_s=30)
    mesh.client("acm-pca").revoke_certificate(
        CertificateAuthorityArn=row["certificate_authority_arns"]["L"][0]["S"],
        CertificateSerial=mesh.serial_of("ui", mesh.current_version("ui")),
        RevocationReason="KEY_COMPROMISE",
    )

    def is_refused() -> bool:
        answers()
        return any("revoked" in str(line.get("reason", "")).lower() for line in mesh.log_lines("gateway"))

    wait_until(is_refused, "ui is refused", within_s=60, every_s=0.5)
