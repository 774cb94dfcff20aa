"""The arithmetic of the start-up benchmark, and that it compares like with like."""

from __future__ import annotations

import ssl
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, ClassVar

import httpx
import pytest

from entrypoint.container.envoy_command import envoy_command
from evidence.bench.image import Image, ImageFailed
from evidence.bench.rounds import interleave, ratio, spread
from evidence.bench.start import Launch, Memory, Started, StartFailed
from evidence.bench.startup import Measured, figures
from evidence.bench.ways import Place, Ways, envoy_arguments, https_context
from evidence.fixtures.secrets_api import SecretsApi

if TYPE_CHECKING:
    from collections.abc import Iterator

ADMIN_PORT = 9901


def test_a_ratio_is_taken_round_by_round() -> None:
    """A round in which everything was twice as slow does not move it."""
    assert ratio([300.0, 600.0, 330.0], floor=[100.0, 200.0, 100.0]) == spread([3.0, 3.0, 3.3])
    assert ratio([300.0, 600.0, 330.0], floor=[100.0, 200.0, 100.0]).median == 3.0


def test_ratios_need_both_values_of_every_round() -> None:
    """Medians of different rounds are not compared by accident."""
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], floor=[1.0])


def test_every_round_measures_everything_once_and_the_first_only_warms_up() -> None:
    """The order differs between rounds, so that nobody always comes after the same one."""
    asked: list[str] = []
    told: list[int] = []

    def measure(name: str) -> int:
        asked.append(name)
        return len(asked)

    measured = interleave(["a", "b", "c"], 6, measure, told.append)

    rounds = [asked[start : start + 3] for start in range(0, len(asked), 3)]
    assert [sorted(one) for one in rounds] == [["a", "b", "c"]] * 7
    assert len({tuple(one) for one in rounds}) > 1
    assert sorted(value for values in measured.values() for value in values) == list(range(4, 22))
    assert told == list(range(7))


def _starts(*times: float, memory: Memory | None = None) -> list[Measured]:
    return [Measured(time, memory, time / 10 if memory else None) for time in times]


def test_the_figures_compare_each_way_with_bare_envoy_of_the_same_key() -> None:
    """RSA with RSA, P-256 with P-256; memory and health check are those of the starts that have any."""
    result = figures(
        {
            "bare_rsa": _starts(50, 60, 70),
            "bare_ec": _starts(40, 40, 50),
            "rsa": _starts(150, 180, 280, memory=Memory(37.0, 20.0)),
            "ec": _starts(100, 120, 100, memory=Memory(39.0, 22.0)),
            "walkthrough": _starts(200, 240, 210),
        }
    )

    assert (result["rsa_ratio"], result["rsa_ratio_range"]) == (3.0, [3.0, 4.0])
    assert (result["ec_ratio"], result["ec_ratio_range"]) == (2.5, [2.0, 3.0])
    assert (result["walkthrough_ratio"], result["walkthrough_ms"]) == (4.0, 210)
    assert (result["bare_rsa_ms"], result["bare_ec_ms"], result["ec_ms"]) == (60, 40, 100)
    assert (result["watcher_rss_mb"], result["watcher_pss_mb"]) == (38.0, 21.0)
    assert (result["healthcheck_ms"], result["healthcheck_ms_range"]) == (13.5, [10.0, 28.0])


def test_what_this_machine_cannot_measure_is_null() -> None:
    """Without jq there is no walkthrough; without rights over /proc there are no shares."""
    ours = _starts(100, memory=Memory(37.0, None))
    result = figures({"bare_rsa": _starts(50), "bare_ec": _starts(50), "rsa": ours, "ec": ours})

    assert result["walkthrough_ratio"] is result["walkthrough_ratio_range"] is result["walkthrough_ms"] is None
    assert result["watcher_pss_mb"] is None
    assert result["watcher_rss_mb"] == 37.0


def test_bare_envoy_gets_the_arguments_the_entry_point_gives() -> None:
    """Otherwise the ratio would compare two different Envoys."""
    assert ["envoy", *envoy_arguments(Path("/c"))] == envoy_command("/c", {"MESHCERT_DRAIN_S": "0"})


@pytest.fixture
def ways(tmp_path: Path) -> Iterator[Ways]:
    """Ways of starting, in an image of two empty programs."""
    for program in ("envoy", "python"):
        (tmp_path / program).touch()
    with SecretsApi() as api:
        yield Ways("ec", Image(("python", "-m", "entrypoint"), {"PATH": str(tmp_path)}, tmp_path), api)


def test_the_walkthrough_reads_the_same_material_from_files(ways: Ways, tmp_path: Path) -> None:
    """Same listener, same rules for the peer; no SDS, so no secret to wait for."""
    place = Place(tmp_path / "own", "127.0.0.1")
    place.folder.mkdir()

    launch = ways.walkthrough(place)

    configuration = (place.folder / "envoy.json").read_text()
    assert "sds" not in configuration
    assert "colorgateway.mtls.svc.cluster.local" in configuration
    assert '"require_client_certificate": true' in configuration
    assert launch.secrets == ()


def test_meshcert_starts_with_an_empty_folder_and_no_secret_in_its_environment(ways: Ways, tmp_path: Path) -> None:
    """What bare Envoy finds in place, it has to fetch."""
    place = Place(tmp_path / "own", "127.0.0.1")
    place.folder.mkdir()

    launch = ways.meshcert(place)

    assert list(place.folder.iterdir()) == []
    assert "PRIVATE KEY" not in str(launch.environment)
    assert launch.secrets == ("identity/colorteller", "trust/colorgateway")


def test_a_way_over_https_trusts_only_the_authority_of_its_stand_in(tmp_path: Path) -> None:
    """Secrets Manager's TLS is checked as AWS's is: by a chain of two CAs and a name."""
    context, trusted = https_context(tmp_path)

    with SecretsApi(tls=context) as api:
        url = f"{api.url.replace('127.0.0.1', 'localhost')}/credentials"
        answer = httpx.get(url, verify=ssl.create_default_context(cafile=trusted))
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(url)

    assert answer.status_code == 403
    assert [file.name for file in tmp_path.iterdir()] == ["aws.pem"]


def test_the_layers_of_the_image_count_without_envoy(tmp_path: Path) -> None:
    """Envoy and Python come from others; what lies beside them is ours."""
    ours = tmp_path / "opt/meshcert"
    shared = tmp_path / "shared"
    for file, size in (
        (ours / "bin/envoy", 5 << 20),
        (ours / "app/entrypoint/a.py", 1 << 19),
        (shared / "lib/awscrt.so", 1 << 20),
    ):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x" * size)
    (ours / "venv").symlink_to(shared)

    assert Image((), {}, tmp_path).layers_mb() == 1.5


def test_an_image_without_a_program_says_so(tmp_path: Path) -> None:
    """Before anything is started, with the step that repairs it."""
    with pytest.raises(ImageFailed, match="no program 'envoy': run `make setup`"):
        Image(("python",), {"PATH": str(tmp_path)}, tmp_path).program("envoy")


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


def test_a_start_that_fails_says_how_it_ended_and_its_last_words(tmp_path: Path) -> None:
    """A benchmark that stops shows why."""
    command = [sys.executable, "-c", "print('no such file: trust_bundle.pem'); raise SystemExit(70)"]

    with (
        Started(Launch(command, {}, "127.61.7.4"), tmp_path) as started,
        pytest.raises(StartFailed, match=r"(?s)ended with 70.*trust_bundle\.pem"),
    ):
        started.live_after_ms()
