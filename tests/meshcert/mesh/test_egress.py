"""What can be written wrong about where a task may connect to."""

from __future__ import annotations

import pytest

from tests.meshcert.mesh.mesh_slips import Slip, assert_found_alone

EGRESS = "services.colorteller.application.egress"
SLIPS = [
    Slip(EGRESS, [{"ports": [443]}], "it names no hosts", "exactly one of", f"{EGRESS}[0]"),
    Slip(
        EGRESS,
        [{"cidr": "10.20.0.0/16", "prefix_list": "pl-0123456789abcdef0", "ports": [443]}],
        "it names cidr and prefix_list",
        "exactly one of",
        f"{EGRESS}[0]",
    ),
    Slip(
        EGRESS, [{"cidr": "10.20.0.1/16", "ports": [443]}], "no range", "one host is 10.20.0.7/32", f"{EGRESS}[0].cidr"
    ),
    Slip(EGRESS, [{"cidr": "db.example.com", "ports": [443]}], "no range", "10.20.0.0/16", f"{EGRESS}[0].cidr"),
    Slip(EGRESS, [{"cidr": "2001:db8::/32", "ports": [443]}], "no range of IPv4", "10.20.0.0/16", f"{EGRESS}[0].cidr"),
    Slip(EGRESS, [{"cidr": "10.0.0.0/8", "ports": [80, 80]}], "written twice", "Remove", f"{EGRESS}[0].ports[1]"),
    Slip(EGRESS, [{"cidr": "10.0.0.0/8", "ports": [80]}] * 2, "written twice", "Remove", f"{EGRESS}[1]"),
    Slip(EGRESS, [{"cidr": "10.0.0.0/8", "ports": list(range(1, 61))}], "61 rules", "wider range"),
    Slip(EGRESS, [{"prefix_list": "s3", "ports": [443]}], "'s3'", "pl-", f"{EGRESS}[0].prefix_list"),
    Slip(EGRESS, [{"cidr": "10.0.0.0/8", "ports": []}], "empty", "at least one", f"{EGRESS}[0].ports"),
    Slip(
        EGRESS,
        [{"cidr": "10.0.0.0/8", "ports": [1], "protocol": "icmp"}],
        "'icmp'",
        "tcp or udp",
        f"{EGRESS}[0].protocol",
    ),
]


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: f"{slip.value}"[:60])
def test_a_slip_is_found_alone_at_its_place_with_its_remedy(slip: Slip) -> None:
    """CloudFormation would find it in the middle of a deploy, or open another way than was meant."""
    assert_found_alone(slip)
