"""The CDK CLI as demo and tests run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local import cdk

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_progress_comes_without_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever colours is asked not to; who does so all the same is read without, and the CLI's advice is left out."""
    cli = tmp_path / "cdk"
    cli.write_text(
        "#!/bin/sh\n"
        "printf '\\033[33mWARNING:\\033[0;1m slow\\033[0m\\n'\n"
        "echo 12 feature flags are not configured\n"
        'echo "NO_COLOR=$NO_COLOR"\n'
    )
    cli.chmod(0o755)
    monkeypatch.setattr(cdk, "CDK", cli)
    lines: list[str] = []

    cdk.CdkCli({}, lines.append).deploy(tmp_path)

    assert lines == ["WARNING: slow", "NO_COLOR=1"]
