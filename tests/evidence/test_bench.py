"""What the benchmarks' figures stand on: like is compared with like, and a start is over when it is over."""

from __future__ import annotations

import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shutil import copyfile, copytree
from threading import Thread
from typing import ClassVar

import pytest

from entrypoint.container.envoy_command import envoy_command
from evidence.bench.against import CommitUnknown, unpack
from evidence.bench.image import REPOSITORY, lay_out_image
from evidence.bench.report import ReportUnreadable, add_figures
from evidence.bench.start import Launch, Started
from evidence.bench.ways import envoy_arguments

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
        """Nothing."""


def test_a_start_is_over_when_envoy_is_live_and_has_its_secrets(tmp_path: Path) -> None:
    """LIVE alone is not enough: with file SDS Envoy says it whatever is in the files."""
    address = "127.61.7.3"
    with HTTPServer((address, ADMIN_PORT), _Starting) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        waiting = [sys.executable, "-c", "import signal; signal.pause()"]
        with Started(Launch(waiting, {}, address, ("identity/x",)), tmp_path) as started:
            milliseconds = started.live_after_ms()
        server.shutdown()
        thread.join()

    assert milliseconds > 0
    stats = "/stats?filter=update_success"
    assert _Starting.looks == ["/ready", "/ready", stats, "/ready", stats]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch")
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "first")):
        who = ("-c", "user.name=A", "-c", "user.email=a@b.test", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *command], cwd=folder, check=True)
    return folder


def test_another_commits_files_are_those_that_were_committed(repository: Path, tmp_path: Path) -> None:
    """Not those that are checked out."""
    (repository / "Dockerfile").write_text("FROM another")

    name = unpack("HEAD", tmp_path / "tree", repository)

    assert len(name) == 40
    assert (tmp_path / "tree/Dockerfile").read_text() == "FROM scratch"


def test_another_commits_image_is_laid_out_from_its_own_files(tmp_path: Path) -> None:
    """Its Dockerfile says what is copied; nothing of this tree gets in."""
    for folder in ("meshcert", "envoy-image"):
        copytree(REPOSITORY / folder, tmp_path / "tree" / folder)
    copyfile(REPOSITORY / "constraints.txt", tmp_path / "tree/constraints.txt")
    (tmp_path / "tree/envoy-image/entrypoint/only_there.py").touch()

    image = lay_out_image(tmp_path / "image", tmp_path / "tree")

    assert (image.root / "opt/meshcert/app/entrypoint/only_there.py").exists()


def test_a_commit_that_is_not_there_is_told(repository: Path, tmp_path: Path) -> None:
    """In git's words, before anything is laid out."""
    with pytest.raises(CommitUnknown, match=r"no-such-commit: fatal: Needed a single revision"):
        unpack("no-such-commit", tmp_path / "tree", repository)


@pytest.mark.parametrize("content", ["", "{half", "[]", "3"])
def test_a_file_that_is_no_report_is_left_alone(tmp_path: Path, content: str) -> None:
    """It may be somebody's: the message names it and the way out."""
    report = tmp_path / "bench.json"
    report.write_text(content)

    with pytest.raises(ReportUnreadable, match=r"bench\.json is no JSON object: move it away"):
        add_figures(report, "startup", {})

    assert report.read_text() == content
