"""The image's recipe, as far as it can be judged without a container engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from entrypoint.log import Log
from meshcert.contract import exit_codes
from meshcert.contract.stopping import (
    APPLICATION_STOP_S,
    DRAIN_S,
    ENVOY_STOP_S,
    FINISH_S,
    LONGEST_DRAIN_S,
    LONGEST_STOP_S,
    envoy_stop_s,
    readiness_stop_s,
)
from tools.supply_chain.locks import IMAGE, read_lock

LONGEST_ON_SPOT_S = 35.0
REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILE = REPOSITORY / "envoy-image/Dockerfile"


def _lines(keyword: str) -> list[str]:
    joined = DOCKERFILE.read_text().replace("\\\n", " ")
    return [line.removeprefix(keyword).strip() for line in joined.splitlines() if line.startswith(keyword + " ")]


def test_everything_the_dockerfile_copies_is_there() -> None:
    """A renamed folder breaks this test, not the deployment."""
    own = [line.split()[:-1] for line in _lines("COPY") if "--from" not in line]

    assert own
    for source in (word for words in own for word in words):
        assert (REPOSITORY / source).exists(), source


def test_every_base_image_has_an_exact_tag() -> None:
    """Nothing floats; digests are written by ``make pin-images`` alone."""
    for image in (line.split()[0] for line in _lines("FROM")):
        assert re.search(r":[a-z-]*v?\d+\.\d+", image), image


def test_the_container_runs_as_nobody_special_without_a_shell() -> None:
    """A numeric user, and programs in list form."""
    assert _lines("USER") == ["1337"]
    assert json.loads(_lines("ENTRYPOINT")[0]) == ["python", "-m", "entrypoint"]
    assert any("/usr/bin" in line and "-delete" in line for line in _lines("RUN"))


@pytest.mark.parametrize("folder", ["/opt/meshcert", "/usr/local/lib/python3.13"])
def test_what_is_loaded_is_compiled_in_the_image(folder: str) -> None:
    """The root file system is read-only: otherwise each start, and each health check, would compile it again."""
    compiled = [line for line in _lines("RUN") if "compileall" in line]

    assert any(f"{folder} " in f"{line} " and "--invalidation-mode unchecked-hash" in line for line in compiled)
    assert any(line.split("python:")[1].startswith("3.13") for line in _lines("FROM") if "python:" in line)


def test_the_dockerfile_passes_its_linter() -> None:
    """Hadolint has nothing to say."""
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_every_requirement_of_the_image_is_pinned() -> None:
    """By the lock that the Dockerfile installs from."""
    pinned = {pin.name for pin in read_lock(IMAGE.path)}
    required = [
        line
        for line in (REPOSITORY / "envoy-image/requirements.txt").read_text().splitlines()
        if not line.startswith("#")
    ]

    assert required == ["awscrt", "h2"]
    assert set(required) <= pinned


def test_help_lists_every_exit_code() -> None:
    """The table in docs/errors.md comes from the same constant."""
    done = subprocess.run(
        [sys.executable, "-m", "entrypoint", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{REPOSITORY / 'envoy-image'}:{REPOSITORY}"},
    )

    for code, cause in exit_codes.EXIT_CODES.items():
        assert f"{code:>3}  {cause}" in done.stdout


def test_what_the_start_loads_is_not_what_acknowledging_needs() -> None:
    """The start's own modules import neither: the watcher does, once Envoy has accepted its secrets."""
    later = (
        *("rotating.polling", "rotating.rotation", "rotating.acknowledgements", "rotating.standing"),
        *("aws.dynamodb", "platform.task_metadata"),
    )

    loaded = _loaded_by(
        "watcher",
        "rotating.first_delivery",
        "rotating.secret",
        "rotating.source",
        "envoy.install",
        "envoy.acceptance",
        "envoy.admin",
        "settings",
        "aws.secrets_manager",
        "aws.signed_connection",
        "platform.ecs",
    )

    assert {f"entrypoint.{name}" for name in later} <= set(_loaded_by(*later))
    assert {f"entrypoint.{name}" for name in later}.isdisjoint(loaded)


def test_the_start_loads_no_library_for_http() -> None:
    """``awscrt`` takes a sixth of a start's CPU, and ``http.client``, which loads all of ``email``, a twentieth."""
    loaded = _loaded_by(
        *("supervisor", "watcher", "envoy.handover", "envoy.acceptance", "envoy.admin", "container.drain"),
        *("aws.signed_connection", "platform.ecs", "rotating.first_delivery", "rotating.source", "settings"),
    )

    assert "entrypoint.aws.signature" in loaded
    assert {"http.client", "awscrt", "threading"}.isdisjoint(loaded)


def test_the_supervisor_loads_nothing_that_only_its_watcher_needs() -> None:
    """What it loads before Envoy's start delays Envoy."""
    loaded = _loaded_by("supervisor", "sockets", "container.envoy_command", "container.opening")

    assert {"json", "socket", "ssl", "threading", "entrypoint.log"}.isdisjoint(loaded)


def test_the_start_loads_http2_for_nobody_who_waits() -> None:
    """A thread of its own does, beside Envoy's loading, and only where secrets go over the socket."""
    loaded = _loaded_by(
        "supervisor",
        "watcher",
        "rotating.first_delivery",
        "rotating.secret",
        "rotating.source",
        "envoy.handover",
        "xds.handover",
        "xds.resources",
        "xds.secrets",
        "sockets",
        "settings",
    )

    assert {"h2", "asyncio", "logging", "entrypoint.grpc.server", "entrypoint.workload_api"}.isdisjoint(loaded)


def _loaded_by(*modules: str) -> list[str]:
    """Every module that is loaded once these of the entrypoint are."""
    program = f"import sys, {', '.join(f'entrypoint.{module}' for module in modules)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{REPOSITORY / 'envoy-image'}:{REPOSITORY}"},
    )
    return done.stdout.split()


def test_exit_codes_are_distinct_from_what_python_and_shells_use() -> None:
    """1 and 2 are Python's own, 126 and 127 a shell's, above 128 are signals."""
    codes = [code for code in exit_codes.EXIT_CODES if code]

    assert len(set(codes)) == len(codes)
    assert all(64 <= code < 126 for code in codes)


@pytest.mark.parametrize("drain_s", [0.0, DRAIN_S, LONGEST_DRAIN_S])
def test_stopping_fits_into_the_stop_timeouts(drain_s: float) -> None:
    """ECS kills when it is over: accepting, finishing and stopping Envoy are done by then; Fargate allows 120 s."""
    assert drain_s + FINISH_S < readiness_stop_s(drain_s) <= LONGEST_STOP_S
    assert max(drain_s, APPLICATION_STOP_S) + FINISH_S + ENVOY_STOP_S < envoy_stop_s(drain_s) <= LONGEST_STOP_S


@pytest.mark.parametrize("drain_s", [DRAIN_S, LONGEST_ON_SPOT_S])
def test_the_containers_of_a_task_stop_within_what_fargate_spot_gives(drain_s: float) -> None:
    """They stop one after the other, the longest drain of which docs/proxy.md says that it fits included."""
    assert readiness_stop_s(drain_s) + APPLICATION_STOP_S + envoy_stop_s(drain_s) <= 120
    assert f"up to {LONGEST_ON_SPOT_S:g} seconds" in (REPOSITORY / "docs/proxy.md").read_text()


@pytest.mark.parametrize(
    ("level", "events"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1), ("nonsense", 3)]
)
def test_the_log_writes_one_json_line_an_event_from_its_level_on(level: str, events: int) -> None:
    """Each with a time in UTC, a level and a name."""
    lines: list[bytes] = []
    log = Log(level, lines.append)

    log.debug("a")
    log.info("b", secret="identity/x")
    log.warning("c", reason="two\nlines")
    log.error("d")

    assert len(lines) == events
    assert all(line.count(b"\n") == 1 and {"at", "level", "event"} <= json.loads(line).keys() for line in lines)
