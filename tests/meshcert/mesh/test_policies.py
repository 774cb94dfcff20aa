"""Client policies as App Mesh reads them: the policy that holds for the port, else the callee's listener, decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evidence.policies.checking import misjudged
from evidence.policies.matrix import pairwise_cover
from meshcert.mesh import Mesh, proxy_settings, read_mesh
from tests.meshcert.mesh.mesh_slips import CLIENT, COLOR, NODE, NODE_TLS, REMOVED, Slip, assert_found_alone, changed

if TYPE_CHECKING:
    from meshcert.proxy import BackendTls

POLICY = COLOR["virtual_gateways"]["colorgateway"]["backends"][0]["client_policy"]["tls"]
PORT = COLOR["virtual_nodes"]["colorteller"]["listeners"][0]["port_mapping"]["port"]
STRICT: list[tuple[str, Any]] = []
STRICT_FOR_ANYBODY: list[tuple[str, Any]] = [(f"{NODE_TLS}.validation", REMOVED)]
PERMISSIVE = [(f"{NODE_TLS}.mode", "PERMISSIVE")]
PERMISSIVE_FOR_ANYBODY = [*PERMISSIVE, *STRICT_FOR_ANYBODY]
PLAIN: list[tuple[str, Any]] = [(NODE_TLS, REMOVED)]
BY_THE_POLICY, BY_THE_LISTENER, IN_PLAIN_TEXT = "the policy", "the listener", "plain text"

MATRIX = [
    (POLICY, STRICT, BY_THE_POLICY),
    (POLICY, PERMISSIVE, BY_THE_POLICY),
    (POLICY, STRICT_FOR_ANYBODY, BY_THE_POLICY),
    ({**POLICY, "ports": [PORT]}, STRICT, BY_THE_POLICY),
    ({**POLICY, "ports": [1, PORT]}, PERMISSIVE, BY_THE_POLICY),
    ({**POLICY, "enforce": False}, STRICT, BY_THE_POLICY),
    ({**POLICY, "enforce": False}, PERMISSIVE, BY_THE_POLICY),
    ({**POLICY, "enforce": False}, PLAIN, IN_PLAIN_TEXT),
    ({**POLICY, "ports": [1]}, STRICT_FOR_ANYBODY, BY_THE_LISTENER),
    ({**POLICY, "ports": [1]}, PERMISSIVE_FOR_ANYBODY, BY_THE_LISTENER),
    ({**POLICY, "ports": [1]}, PERMISSIVE, IN_PLAIN_TEXT),
    ({**POLICY, "ports": [1]}, PLAIN, IN_PLAIN_TEXT),
    (REMOVED, STRICT_FOR_ANYBODY, BY_THE_LISTENER),
    (REMOVED, PERMISSIVE_FOR_ANYBODY, BY_THE_LISTENER),
    (REMOVED, PERMISSIVE, IN_PLAIN_TEXT),
    (REMOVED, PLAIN, IN_PLAIN_TEXT),
]
"""The policy, the callee's listener, and what decides."""


def _tls(policy: object, listener: list[tuple[str, Any]]) -> BackendTls | None:
    reading = read_mesh(changed((CLIENT, policy), *listener))
    assert not reading.faults
    assert isinstance(reading.mesh, Mesh)
    (backend,) = proxy_settings(reading.mesh, "colorgateway").backends
    return backend.tls


@pytest.mark.parametrize(("policy", "listener", "decides"), MATRIX)
def test_the_policy_that_holds_for_the_port_decides_and_else_the_callees_listener(
    policy: object, listener: list[tuple[str, Any]], decides: str
) -> None:
    """What the listener decides is validated against its identity's hierarchy, and presents nothing."""
    tls = _tls(policy, listener)

    if decides is IN_PLAIN_TEXT:
        assert tls is None
    else:
        assert tls is not None
        assert tls.trust == "colorteller"
        assert bool(tls.certificate) == (decides is BY_THE_POLICY)


def test_a_call_that_can_never_succeed_is_a_fault_and_no_other_is() -> None:
    """As far as the file shows it. The real Envoys say what succeeds: tests/envoy/test_policy_matrix.py."""
    assert {str(cell): wrong for cell in pairwise_cover() if (wrong := misjudged(cell))} == {}


FROM = f"{NODE}.listeners[0].permissive_from"
SLIPS = [
    Slip(FROM, [{"cidr": "10.20.0.0/16"}], "mode is STRICT", "PERMISSIVE"),
    Slip(f"{CLIENT}.ports", [70000], "70000 is not allowed", "65535", f"{CLIENT}.ports[0]"),
    Slip(f"{CLIENT}.enforce", "no", "expected true or false", "without quotes"),
]


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: f"{slip.at}"[-30:])
def test_a_slip_is_found_alone_at_its_place_with_its_remedy(slip: Slip) -> None:
    """Each with what to write instead."""
    assert_found_alone(slip)


@pytest.mark.parametrize(
    ("source", "problem", "place"),
    [
        ({}, "neither of cidr and security_group", ""),
        ({"cidr": "10.0.0.0/8", "security_group": "sg-0123456789abcdef0"}, "both of cidr", ""),
        ({"cidr": "10.20.0.1/16"}, "no range of IPv4", ".cidr"),
        ({"security_group": "web"}, "'web'", ".security_group"),
    ],
)
def test_who_may_come_in_plain_text_is_named_in_one_way(source: dict[str, str], problem: str, place: str) -> None:
    """EC2 would say so in the middle of a deploy."""
    (fault,) = read_mesh(changed((f"{NODE_TLS}.mode", "PERMISSIVE"), (FROM, [source]))).faults

    assert fault.place == f"{FROM}[0]{place}"
    assert problem in fault.problem
