"""The benchmarks' report keeps what others wrote, and the table says what is missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from evidence.bench.__main__ import main
from evidence.bench.report import ReportUnreadable, Row, add_figures, read_report, table
from evidence.bench.rounds import Spread

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Where the report will be; neither it nor its folder is there."""
    return tmp_path / "build/bench.json"


def test_a_benchmark_replaces_its_own_figures_only(report: Path) -> None:
    """The other benchmarks' entries stay, and nothing of its own earlier run does."""
    add_figures(report, "startup", {"ec_ratio": 3.1, "old": True})
    add_figures(report, "rotation", {"served_after_ms": 40})
    add_figures(report, "startup", {"ec_ratio": 2.9})

    assert json.loads(report.read_text()) == {"startup": {"ec_ratio": 2.9}, "rotation": {"served_after_ms": 40}}
    assert list(report.parent.iterdir()) == [report]


def test_no_report_yet_is_an_empty_one(report: Path) -> None:
    """The first run needs no preparation."""
    assert read_report(report) == {}


@pytest.mark.parametrize("content", ["", "{half", "[]", "3"])
def test_a_file_that_is_no_report_is_left_alone(report: Path, content: str) -> None:
    """It may be somebody's: the message names it and the way out."""
    report.parent.mkdir()
    report.write_text(content)

    with pytest.raises(ReportUnreadable, match=r"bench\.json is no JSON object: move it away"):
        add_figures(report, "startup", {})

    assert report.read_text() == content


def test_an_unreadable_report_is_told_before_anything_is_measured(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits half a minute to hear it."""
    report.parent.mkdir()
    report.write_text("[]")

    assert main(["startup", "--output", str(report)]) == 1
    assert "move it away" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["speed"], "no benchmark 'speed'; there are: startup"), (["--rounds", "0"], "a number from 1 to 1000, not '0'")],
    ids=["unknown benchmark", "no rounds"],
)
def test_a_wrong_argument_is_refused_with_what_would_be_right(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line teaches."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_the_table_says_why_a_figure_is_missing() -> None:
    """A machine without jq still gets its table."""
    console = Console(width=120)
    rows = [
        Row("bare", Spread(60.0, 58.0, 71.4)),
        Row("ours", Spread(180.0, 170.0, 200.0), Spread(3.0, 2.75, 3.4)),
        Row("theirs", None, note="not measured: jq not on this machine"),
    ]

    with console.capture() as capture:
        console.print(table("Start", "ms", rows))
    shown = capture.get()

    assert "58 - 71" in shown
    assert "3.00 │ 2.75 - 3.40" in shown
    assert "not measured: jq not on this machine" in shown
