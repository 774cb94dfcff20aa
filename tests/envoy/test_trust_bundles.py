"""A CA is replaced under a running Envoy: leaves of either root pass while both are trusted, then one does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.container import eventually
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_NAME, GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, teller
from meshcert.material import TrustBundle, join_certificates
from meshcert.proxy import DeliveryMode
from tests.envoy.mutual_client import is_admitted

if TYPE_CHECKING:
    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start

LISTENER = 9080


def _publish(api: SecretsApi, container: Container, *hierarchies: Hierarchy) -> None:
    """Publish a bundle, and return when Envoy serves with it."""
    bundle = TrustBundle(join_certificates(hierarchy.root_pem for hierarchy in hierarchies))
    api.publish_trust_bundle(GATEWAY_TRUST, bundle)
    name = "sds.trust/colorgateway.version_text"
    eventually(lambda: container.stats(name).get(name) == bundle.version_id, "the new bundle")


@pytest.mark.parametrize("same_name", [False, True], ids=["another name", "the same name and another key"])
@pytest.mark.parametrize("delivery", list(DeliveryMode))
def test_a_root_is_replaced_in_three_steps(
    start: Start, api: SecretsApi, delivery: DeliveryMode, *, same_name: bool
) -> None:
    """Add: both pass. Drop: the old root's leaves are refused, and nobody was before that."""
    old = Hierarchy(1, name="gateways")
    new = Hierarchy(2, "RSA_2048", name="gateways" if same_name else "gateways-2")
    old_leaf, new_leaf = old.issue([GATEWAY_NAME]), new.issue([GATEWAY_NAME])
    api.publish(TELLER_SECRET, Hierarchy(1).issue([TELLER_NAME]))
    api.publish_trust_bundle(GATEWAY_TRUST, old.trust_bundle)
    container = start(teller(delivery=delivery))
    container.wait_until_healthy()
    start.application(container)
    eventually(lambda: is_admitted(container.address, LISTENER, old_leaf), "a first answer")
    envoy = container.children()["envoy"]

    def admitted() -> tuple[bool, bool]:
        first, second = (is_admitted(container.address, LISTENER, leaf) for leaf in (old_leaf, new_leaf))
        return first, second

    seen = [admitted()]
    for step in ((old, new), (new,), (new, old), (old,)):
        _publish(api, container, *step)
        seen.append(admitted())

    assert seen == [(True, False), (True, True), (False, True), (True, True), (True, False)]
    assert container.children()["envoy"] == envoy
