"""The demo's story of a bad version that goes back; the others are in the soak."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.audit import actions, audit
from local.demo.rollback import RollbackStory
from local.demo.scene import TELLER
from local.demo.stage import Stage
from meshcert.contract.staging_labels import CURRENT, QUARANTINED

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_mesh import RunningMesh


@pytest.mark.timeout(300)
def test_a_bad_version_goes_back_and_nobody_notices(fresh_mesh: RunningMesh, tmp_path: Path) -> None:
    """
    As was promised: 0 requests failed, the label back in 10 s, every task on the good version in 60 s.

    The version is quarantined for good, somebody is alarmed, a fresh renewal settles the identity, and the audit log
    tells it in order: what was done, why, from which version to which.
    """
    result = RollbackStory(Stage(started=time.time()), fresh_mesh.aws, tmp_path).roll_back()
    lines = audit(fresh_mesh, TELLER)
    bad, current = (fresh_mesh.version_labelled(TELLER, label) for label in (QUARANTINED, CURRENT))
    served = fresh_mesh.served_by_all(TELLER)

    assert (result.failed, result.bad_starts_after) == (0, 0)
    assert result.requests >= 500
    assert 0 <= result.label_back_s <= 10
    assert 0 < result.all_good_s <= 60
    assert result.quarantined
    assert result.alarmed
    assert result.new_serial not in {"", result.old_serial}
    assert served == {result.new_serial}
    begin = actions(lines).index("roll back")
    told = lines[begin - 1 :]
    assert actions(told) == ["redeploy", "roll back", "redeploy", "renew", "export", "redeploy", "prove"]
    assert {line["outcome"] for line in told} == {"done"}
    assert all(line["why"] and line["by"] for line in told)
    back, renew, export, prove = (told[place] for place in (1, 3, 4, 6))
    assert "a task of colorteller failed with it" in back["why"]
    good = next(line["after"] for line in reversed(lines[:begin]) if line["action"] == "prove")
    assert (back["before"], back["after"], prove["before"]) == (bad, good, good)
    assert (renew["before"], export["after"], prove["after"]) == (bad, current, current)
