"""The soak's counts: crash boundaries, rotations, a fleet's calls; and its report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from evidence.fixtures.large_mesh import mesh_of_gateways
from evidence.lifetimes.crashes import Rotation, boundaries
from evidence.lifetimes.fleet import failed_calls
from evidence.lifetimes.paying import PaidRotation
from evidence.soak import large
from evidence.soak.report import Outcome, add_run
from meshcert.mesh import read_mesh
from meshcert.mesh.stacks.shards import shards_of

if TYPE_CHECKING:
    from pathlib import Path

HEAD = {"commit": "c1", "seed": 1}


def test_the_large_mesh_can_be_deployed_and_crosses_its_shards() -> None:
    """As many as the soak says; every gateway calls a node of another shard."""
    values = mesh_of_gateways(large.IDENTITIES, large.SERVICES)
    read = read_mesh(yaml.safe_dump(values, sort_keys=False).encode())

    assert read.faults == ()
    mesh = read.mesh
    assert mesh
    assert (len(mesh.identities), len(mesh.services)) == (150, 100)
    assert {len(shards_of(mesh.shards, name)) for name in mesh.identities} == {1}
    calls = [(call.caller.rpartition(".")[2], call.node) for call in mesh.calls()]
    assert len(calls) == len(mesh.virtual_gateways) == 90
    assert all(shards_of(mesh.shards, caller) != shards_of(mesh.shards, node) for caller, node in calls)


def test_every_call_has_two_boundaries() -> None:
    """Before AWS has seen it and after AWS has done it, in the order of the calls."""
    found = [str(boundary) for boundary in boundaries("export", ["acm:ExportCertificate", "kms:Decrypt"])]

    assert found == [
        "before acm:ExportCertificate (export 1)",
        "after acm:ExportCertificate (export 1)",
        "before kms:Decrypt (export 2)",
        "after kms:Decrypt (export 2)",
    ]


def test_a_rotation_is_one_certificate_one_version_one_epoch() -> None:
    """One deployment at most, if the service is redeployed at all."""
    rotation = Rotation(settled=True, certificates=1, versions=1, epochs=1, deployments=1)

    assert list(rotation.faults(most_deployments=1)) == []
    assert list(rotation.faults(most_deployments=0)) == ["1 deployments"]


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        (Rotation(False, 1, 1, 1, 0), ["not settled in time"]),
        (Rotation(True, 2, 1, 1, 0), ["2 certificates, 1 versions, 1 epochs"]),
        (Rotation(True, 1, 2, 1, 0), ["1 certificates, 2 versions, 1 epochs"]),
        (Rotation(True, 1, 1, 3, 0), ["1 certificates, 1 versions, 3 epochs"]),
        (Rotation(True, 1, 1, 1, 2), ["2 deployments"]),
    ],
    ids=["never settled", "issued twice", "published twice", "current twice", "deployed twice"],
)
def test_what_a_crash_must_not_cause_is_a_fault(rotation: Rotation, expected: list[str]) -> None:
    """Each of them alone."""
    assert list(rotation.faults(most_deployments=1)) == expected


@pytest.mark.parametrize(
    ("rotation", "soon", "late"),
    [
        (PaidRotation(True, 1, 1, kills=1), [], []),
        (
            PaidRotation(True, 2, 1, told=1, kills=1),
            ["2 certificates after 1 deaths", "told although a look came soon"],
            [],
        ),
        (PaidRotation(True, 1, 1, told=1, kills=1), ["told although a look came soon"], []),
        (PaidRotation(True, 2, 1, kills=1), ["2 certificates after 1 deaths", "not told"], ["not told"]),
        (
            PaidRotation(True, 2, 1, told=1),
            ["2 certificates after 0 deaths", "told although a look came soon"],
            ["2 certificates after 0 deaths"],
        ),
        (PaidRotation(True, 0, 1), ["0 certificates after 0 deaths"], ["0 certificates after 0 deaths"]),
        (PaidRotation(True, 1, 2), ["2 versions"], ["2 versions"]),
        (PaidRotation(False, 1, 1), ["not settled in time"], ["not settled in time"]),
    ],
    ids=["good", "told", "told for nothing", "not told", "without a death", "none", "published twice", "never settled"],
)
def test_a_certificate_too_many_is_a_fault_unless_it_was_late_and_told(
    rotation: PaidRotation, soon: list[str], late: list[str]
) -> None:
    """One each, and one more at most for a death, if the next look came when the token was forgotten."""
    assert list(rotation.faults()) == soon
    assert list(rotation.faults(late=True)) == late


def test_a_call_that_failed_for_good_is_counted() -> None:
    """A step that was not done, a message that comes again, a part that could not be looked at; nothing else."""
    lines = [
        "START RequestId: 1",
        json.dumps({"message": "looked", "deeds": ["renew: done", "export: AwsUnavailable: lambda:Invoke"]}),
        json.dumps({"message": "looked", "deeds": ["prove: done"]}),
        json.dumps({"message": "the message comes again", "why": "throttled"}),
        json.dumps({"message": "AwsUnavailable", "detail": "acm:DescribeCertificate"}),
        json.dumps(["no", "entry"]),
    ]

    assert failed_calls(lines) == 3


def test_runs_of_another_commit_stay_and_say_so(tmp_path: Path) -> None:
    """The head is the newest run's; what differs from it stands at the run; what failed is told."""
    path = tmp_path / "soak.json"
    add_run(path, HEAD, "fleet", Outcome(100))
    add_run(path, {"commit": "c2", "seed": 1}, "kills", Outcome(400))

    add_run(path, {"commit": "c3", "seed": 2}, "crashes", Outcome(4, {"before acm": ("2 certificates",)}))

    assert json.loads(path.read_text()) == {
        "commit": "c3",
        "seed": 2,
        "runs": {
            "fleet": {"commit": "c1", "seed": 1, "n": 100, "failed": 0},
            "kills": {"commit": "c2", "seed": 1, "n": 400, "failed": 0},
            "crashes": {"n": 4, "failed": 1, "faults": {"before acm": ["2 certificates"]}},
        },
    }
