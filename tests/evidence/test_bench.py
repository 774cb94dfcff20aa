"""The benchmarks compare like with like, and know when a start is over."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from entrypoint.container.envoy_command import envoy_command
from evidence.bench import quarter_cpu, workload_api
from evidence.bench.against import CommitUnknown, full_name
from evidence.bench.quarter_cpu import Effort
from evidence.bench.report import ReportUnreadable, add_figures
from evidence.bench.start import Launch, Started
from evidence.bench.ways import envoy_arguments
from evidence.bench.workload_api import Offered
from evidence.fixtures.serving import serving
from local.running_mesh import wait_until

ADMIN_PORT = 9901


def test_bare_envoy_gets_the_arguments_the_entry_point_gives() -> None:
    """Otherwise the ratio would compare two different Envoys."""
    assert ["envoy", *envoy_arguments(Path("/c"))] == envoy_command("/c", {"MESHCERT_DRAIN_S": "0"})


class _Starting(BaseHTTPRequestHandler):
    """An admin interface that is LIVE at the second look and has its secret at the third."""

    looks: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer one look."""
        self.looks.append(self.path)
        body = f"sds.identity/x.update_success: {int(len(self.looks) > 4)}\n".encode()
        if self.path == "/ready":
            body = b"LIVE\n" if len(self.looks) > 1 else b"PRE_INITIALIZING\n"
        self.send_response(200 if body != b"PRE_INITIALIZING\n" else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def test_a_start_is_over_when_envoy_is_live_and_has_its_secrets(tmp_path: Path) -> None:
    """LIVE alone is not enough: with file SDS Envoy says it whatever is in the files."""
    address = "127.61.7.3"
    waiting = [sys.executable, "-c", "import signal; signal.pause()"]
    with (
        serving(HTTPServer((address, ADMIN_PORT), _Starting)),
        Started(Launch(waiting, {}, address, ("identity/x",)), tmp_path) as started,
    ):
        milliseconds = started.live_after_ms()

    assert milliseconds > 0
    stats = "/stats?filter=update_success"
    assert _Starting.looks == ["/ready", "/ready", stats, "/ready", stats]


def test_the_work_of_a_start_is_that_of_all_its_processes(tmp_path: Path) -> None:
    """Of a child that has ended, and of one that still runs."""
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    script = f"{sys.executable} -c '{burn}'; {sys.executable} -c '{burn}\ntime.sleep(60)' & wait"
    with Started(Launch(["/bin/sh", "-c", script], {}, "127.61.7.4"), tmp_path) as started:
        # Each counts 0.3 s less a tick of the kernel's clock; one of them alone stays well below.
        wait_until(lambda: started.cpu_s() >= 0.5, "the work of both", within_s=60)


@pytest.mark.parametrize(("quota", "ratio", "theirs"), [(True, 2.0, 3.0), (False, 4.0, 5.0)])
def test_with_a_quota_time_is_compared_and_without_one_cpu_seconds(*, quota: bool, ratio: float, theirs: float) -> None:
    """Each with bare Envoy of the same algorithm and the same round."""
    efforts = {
        quarter_cpu.BARE: [Effort(100, 0.1), Effort(200, 0.2), Effort(400, 0.1)],
        quarter_cpu.MESHCERT: [Effort(200, 0.4), Effort(400, 0.8), Effort(800, 0.4)],
        quarter_cpu.BARE_RSA: [Effort(100, 0.1)] * 3,
        quarter_cpu.WALKTHROUGH: [Effort(300, 0.5)] * 3,
    }

    found = quarter_cpu.figures(efforts, quota=quota)

    assert (found["quota"], found["quarter_cpu_ratio"]) == (quota, ratio)
    assert found["walkthrough_quarter_cpu_ratio"] == theirs
    assert (found["cpu_s"], found["bare_cpu_s"], found["walkthrough_cpu_s"]) == (0.4, 0.1, 0.5)


def test_without_the_walkthroughs_programs_its_figures_are_none() -> None:
    """And the others are there."""
    found = quarter_cpu.figures({quarter_cpu.BARE: [Effort(1, 1)], quarter_cpu.MESHCERT: [Effort(2, 2)]}, quota=True)

    assert (found["quarter_cpu_ratio"], found["walkthrough_quarter_cpu_ratio"], found["walkthrough_cpu_s"]) == (
        2.0,
        None,
        None,
    )


def test_a_start_with_the_workload_api_is_compared_with_one_of_its_own_round() -> None:
    """For each delivery; the memory is that of the dearest, with the API and over the socket."""
    starts = {
        "file without": [Offered(100, 10), Offered(400, 10), Offered(200, 10)],
        "file with": [Offered(104, 20), Offered(400, 20), Offered(220, 20)],
        "sds without": [Offered(100, 30)] * 3,
        "sds with": [Offered(102, 40), Offered(102, 41), Offered(102, 42)],
    }

    found = workload_api.figures(starts)

    assert (found["workload_api_file_ratio"], found["workload_api_sds_ratio"]) == (1.04, 1.02)
    assert found["workload_api_rss_mb"] == 41
    assert "[bold]met[/bold]" in workload_api.told(found)


def test_a_commit_that_is_not_there_is_told() -> None:
    """In git's words, before anything is laid out."""
    with pytest.raises(CommitUnknown, match=r"no-such-commit: fatal: "):
        full_name("no-such-commit")


@pytest.mark.parametrize("content", ["", "{half", "[]", "3"])
def test_a_file_that_is_no_report_is_left_alone(tmp_path: Path, content: str) -> None:
    """It may be somebody's: the message names it and the way out."""
    report = tmp_path / "bench.json"
    report.write_text(content)

    with pytest.raises(ReportUnreadable, match=r"bench\.json is no JSON object: move it away"):
        add_figures(report, "startup", {})

    assert report.read_text() == content
