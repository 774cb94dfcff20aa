"""Rotations under load are judged by torn pairs, failures and growth."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from evidence.bench.torn_reads import pair_of, read
from evidence.fixtures.observed_proxy import Footprint
from evidence.fixtures.under_load import Outcome
from evidence.load.tally import LoadReport
from meshcert.envoy import discovery_response, identity_resource

if TYPE_CHECKING:
    from pathlib import Path

    from evidence.fixtures.pki import Hierarchy

GOOD = LoadReport(
    requests=100,
    failures={},
    details=[],
    repeated=1,
    connections=2,
    counted=100,
    per_second=10.0,
    p50_ms=1.0,
    p99_ms=9.0,
)
OUTCOME = Outcome(
    changes=3,
    rotations=10,
    took_s=2.0,
    loads={"http1-kept": GOOD, "grpc-new": GOOD},
    served_after_ms=4.25,
    troubles=(),
    counters={"ssl.handshake": 240, "upstream_rq_retry": 2},
    footprints={"node envoy": (Footprint(100.0, 40), Footprint(104.0, 40))},
)


def _file(hierarchy: Hierarchy) -> tuple[bytes, dict[str, object]]:
    resource = identity_resource("identity/teller", hierarchy.issue(["teller.test"]))
    return json.dumps(discovery_response(resource, "v1")).encode(), resource


def test_a_pair_belongs_together_or_is_torn(tmp_path: Path, hierarchy: Hierarchy) -> None:
    """Another version's key beside a certificate, half a file, and none of it: each read of them counts."""
    first, resource = _file(hierarchy)
    second, other = _file(hierarchy)
    pairs = {pair for content in (first, second) if (pair := pair_of(content))}
    mixed = {**resource, "tls_certificate": {**resource["tls_certificate"], **_key_of(other)}}  # type: ignore[dict-item]
    torn = (json.dumps(discovery_response(mixed, "v1")).encode(), first[: len(first) // 2], b"", b"[]")
    path = tmp_path / "identity.json"

    for content in (first, second):
        path.write_bytes(content)
        assert read(str(path), 3, pairs) == (0, 1)
    for content in torn:
        path.write_bytes(content)
        assert read(str(path), 3, pairs) == (3, 0)


def _key_of(resource: dict[str, object]) -> dict[str, object]:
    return {"private_key": resource["tls_certificate"]["private_key"]}  # type: ignore[index]


def test_an_outcome_without_faults_has_none() -> None:
    """Retries and handshakes are told, and are none."""
    assert list(OUTCOME.faults()) == []
    assert (OUTCOME.requests, OUTCOME.failed) == (200, 0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"loads": {"grpc-new": replace(GOOD, failures={"reset": 2}, details=["reset: closed"])}},
            "grpc-new: 2 of 100 requests failed: reset: closed",
        ),
        ({"troubles": ["node: rotation-waits: throttled"]}, "node: rotation-waits: throttled"),
        ({"counters": {"update_rejected": 1}}, "Envoy counts 1 update_rejected"),
        (
            {"footprints": {"node envoy": (Footprint(100.0, 40), Footprint(106.0, 40))}},
            "node envoy grew from 100.0 to 106.0 MB",
        ),
        (
            {"footprints": {"node envoy": (Footprint(100.0, 40), Footprint(100.0, 43))}},
            "node envoy grew from 40 to 43 descriptors",
        ),
    ],
    ids=["a failed request", "a line in the log", "a counter of Envoy's", "memory", "descriptors"],
)
def test_whatever_was_noticed_is_a_fault(change: dict[str, object], expected: str) -> None:
    """One sentence each."""
    assert list(replace(OUTCOME, **change).faults()) == [expected]  # type: ignore[arg-type]
