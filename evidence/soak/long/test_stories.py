"""The demo's stories that ``make test`` has no time for, each on a local AWS of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from evidence.fixtures.audit import audit
from local.demo.lost_event import LostEventStory
from local.demo.scene import GATEWAY, TELLER
from local.demo.sds import SdsStory
from local.demo.stage import Stage
from local.running_aws import LocalAws

if TYPE_CHECKING:
    from pathlib import Path


def test_a_lost_event_is_healed_by_the_sweep(tmp_path: Path) -> None:
    """ACM renews and nobody is told; the sweep finds it, every task serves the new certificate, no request fails."""
    with LocalAws(tmp_path / "aws", certificates=LostEventStory.TIMES) as aws:
        story = LostEventStory(Stage(started=time.time()), aws, tmp_path)
        result = story.play()
        served = {name: story.running.served_by_all(name) for name in (GATEWAY, TELLER)}
        issued = {name: {story.running.serial(name)} for name in (GATEWAY, TELLER)}
        exports = [line for line in audit(story.running, TELLER) if line["action"] == "export"]

    assert result.failed == 0
    assert result.requests > 100
    assert result.lost > 0
    assert result.stale_before
    assert result.new_serial not in {"", result.old_serial}
    assert served == issued
    assert [line["by"] for line in exports] == ["sweep"]


def test_secrets_over_a_socket_carry_the_whole_demo(tmp_path: Path) -> None:
    """Everything the demo claims, and no Envoy reads a secret from a file."""
    with LocalAws(tmp_path / "aws", certificates=SdsStory.TIMES) as aws:
        result = SdsStory(Stage(started=time.time()), aws, tmp_path).play()

    assert {claim: figures for claim, (seen, figures) in result.claims.items() if not seen} == {}
