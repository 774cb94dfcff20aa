"""A container by itself, with namespaces and without: what it may write, what ends it, what is left of it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.aws.fargate.containers import sandbox
from local.aws.fargate.containers.container import Container, ContainerPlan, ContainerStartError
from local.aws.fargate.containers.definitions import ContainerDefinition
from local.aws.fargate.containers.images import Image
from local.aws.fargate.containers.sandbox import Bind, Program, Tmpfs
from local.aws.fargate.containers.volumes import TaskVolumes
from tests.local.aws.hierarchies import eventually
from tests.local.aws.running_tasks import processes_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MATERIAL = Tmpfs("/run/meshcert", 4, "0700")
SHARED = "/run/spiffe"
LISTEN = """
import os, socket
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.environ["SOCKET"])
listener.listen()
print("bound", flush=True)
listener.accept()[0].sendall(b"hello")
"""
CONNECT = """
import os, pathlib, socket
client = socket.socket(socket.AF_UNIX)
client.connect(os.environ["SOCKET"])
print(client.recv(9).decode(), flush=True)
try:
    pathlib.Path(os.environ["SOCKET"]).unlink()
except OSError as error:
    print(error.strerror, flush=True)
"""


class Started(Container):
    """A running container with what it wrote."""

    def __init__(self, lines: list[str], plan: ContainerPlan) -> None:
        self.lines = lines
        self.ends = threading.Semaphore(0)
        super().__init__(plan, self.ends.release)


@pytest.fixture(params=["namespaces", "processes"])
def start(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Started]]:
    """Starts a shell script as a container; both kinds of it, as far as this machine permits."""
    permitted = sandbox.namespaces_permitted() and request.param == "namespaces"
    monkeypatch.setattr(sandbox, "namespaces_permitted", lambda: permitted)
    started: list[Started] = []

    def begin(
        script: str, *, read_only: bool = False, argv: tuple[str, ...] = (), binds: tuple[Bind, ...] = ()
    ) -> Started:
        lines: list[str] = []
        program = Program(argv or ("sh", "-c", script), read_only=read_only, tmpfs=(MATERIAL,), binds=binds)
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "SOCKET": f"{SHARED}/its.sock"}
        plan = ContainerPlan("test", program, environment, lambda line: lines.append(line.decode()))
        container = Started(lines, plan)
        container.start()
        started.append(container)
        return container

    yield begin
    for container in started:
        container.kill()
        assert container.wait(5)


def test_the_end_of_the_first_process_ends_all_it_started(start: Callable[..., Started]) -> None:
    """A daemon that left the process group dies with its container, and the exit code is the first process's."""
    daemon = f"sleep 98765.{os.getpid()}"
    container = start(f"setsid {daemon} & sleep 0.2; exit 7")

    assert container.wait(5)
    assert container.exit_code == 7
    assert container.ends.acquire(timeout=1)
    assert not processes_with(daemon)


def test_sigterm_reaches_the_first_process_and_kill_needs_no_consent(start: Callable[..., Started]) -> None:
    """SIGTERM can be answered; SIGKILL ends a container that ignores it, with exit code 137."""
    polite = start("trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done")
    stubborn = start("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    eventually(lambda: polite.lines and stubborn.lines, "both scripts to be ready")

    polite.terminate()
    stubborn.terminate()
    assert polite.wait(5)
    assert not stubborn.wait(0.2)
    stubborn.kill()
    assert stubborn.wait(5)

    assert (polite.exit_code, stubborn.exit_code) == (3, 137)


def test_its_tmpfs_is_its_own_in_memory_and_closed_to_others(start: Callable[..., Started]) -> None:
    """What two containers write below the tmpfs path lies apart, in memory, in a folder of mode 0700."""
    script = (
        "d=${MESHCERT_MATERIAL_DIR:-/run/meshcert}; ls $d | wc -l; touch $d/key; "
        "stat -f -c %T $d; stat -c %a $d; sleep 5"
    )
    first = start(script)
    eventually(lambda: len(first.lines) == 3, "the first container's lines")
    second = start(script)
    eventually(lambda: len(second.lines) == 3, "the second container's lines")

    assert [line.strip() for line in first.lines] == ["0", "tmpfs", "700"]
    assert [line.strip() for line in second.lines] == ["0", "tmpfs", "700"]


def test_two_containers_meet_at_a_socket_on_a_volume(start: Callable[..., Started], tmp_path: Path) -> None:
    """Where the volume is mounted read-only, one can connect, and cannot take the socket away."""
    binds = [Bind(str(tmp_path), SHARED, read_only) for read_only in (False, True)]
    listening = start("", read_only=True, argv=("python3", "-c", LISTEN), binds=(binds[0],))
    eventually(lambda: listening.lines == ["bound"], "the socket")

    connecting = start("", read_only=True, argv=("python3", "-c", CONNECT), binds=(binds[1],))
    assert connecting.wait(5)

    told = ["hello", "Read-only file system"] if sandbox.namespaces_permitted() else ["hello"]
    assert connecting.lines == told


def _definition(*mounts: tuple[str, str, bool]) -> ContainerDefinition:
    points = [{"sourceVolume": name, "containerPath": path, "readOnly": only} for name, path, only in mounts]
    return ContainerDefinition.read({"name": "envoy", "image": "envoy", "mountPoints": points}, {}, {})


def test_a_volume_is_roots_unless_the_image_declares_its_folder(tmp_path: Path) -> None:
    """As on Fargate: only then may a user who is not root write there. A file system is not mounted at all."""
    volumes = TaskVolumes()
    task = {"volumes": [{"name": "api"}, {"name": "keys", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]}
    roots = Image(tmp_path, {}, (), (), "/")
    declaring = Image(tmp_path, {}, (), (), "/", 1337, (SHARED,))
    silent = Image(tmp_path, {}, (), (), "/", 1337)
    mounted, for_reading = (_definition(("api", SHARED, only), ("keys", "/keys", True)) for only in (False, True))

    found = [volumes.binds(*each, task) for each in ((mounted, roots), (mounted, declaring), (mounted, silent))]

    assert [(bind.path, bind.read_only) for binds in found for bind in binds] == [
        (SHARED, False),
        (SHARED, False),
        (SHARED, True),
    ]
    assert volumes.binds(for_reading, declaring, task)[0].read_only
    folders = {Path(bind.folder) for binds in found for bind in binds}
    assert len(folders) == 1
    volumes.remove()
    assert not any(folder.exists() for folder in folders)


def test_health_commands_run_inside_and_in_time(start: Callable[..., Started]) -> None:
    """A command run in the container sees its tmpfs; a failing one and one that takes too long are no success."""
    container = start("touch ${MESHCERT_MATERIAL_DIR:-/run/meshcert}/key; echo ready; sleep 5")
    eventually(lambda: container.lines, "the script")

    assert container.run(["sh", "-c", "test -e ${MESHCERT_MATERIAL_DIR:-/run/meshcert}/key"], 2)
    assert not container.run(["false"], 2)
    assert not container.run(["sleep", "98765.5"], 0.2)
    eventually(lambda: not processes_with("sleep 98765.5"), "the end of what took too long")


def test_a_missing_program_is_an_error_that_names_it(start: Callable[..., Started]) -> None:
    """The start fails as docker's does, and nothing is left behind."""
    with pytest.raises(ContainerStartError, match="'no-such-program': executable file not found"):
        start("", argv=("no-such-program",))


def test_a_read_only_root_is_read_only_for_everything(tmp_path: Path) -> None:
    """With namespaces nothing outside the tmpfs mounts can be written, not even by root."""
    if not sandbox.namespaces_permitted():
        return
    lines: list[str] = []
    script = f"touch {tmp_path}/forbidden; touch /run/meshcert/allowed && ls /run/meshcert"
    program = Program(("sh", "-c", script), read_only=True, tmpfs=(MATERIAL,))
    plan = ContainerPlan("test", program, {"PATH": "/usr/bin:/bin"}, lambda line: lines.append(line.decode()))
    container = Container(plan, lambda: None)

    container.start()

    assert container.wait(5)
    assert lines[-1] == "allowed"
    assert "Read-only file system" in lines[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("user", "seen"), [(0, "0 0"), (65534, "65534 65534")])
def test_a_program_sees_itself_as_the_images_user(user: int, seen: str) -> None:
    """PostgreSQL refuses to run as root; where namespaces are not permitted, a program is the user that it is."""
    if not sandbox.namespaces_permitted():
        seen = f"{os.getuid()} {os.getgid()}"
    lines: list[str] = []
    program = Program(("sh", "-c", 'echo "$(id -u) $(id -g)"'), user_id=user)
    container = Container(
        ContainerPlan("test", program, {"PATH": "/usr/bin:/bin"}, lambda line: lines.append(line.decode())),
        lambda: None,
    )
    container.start()

    assert container.wait(5)
    eventually(lambda: bool(lines), "its line")
    assert lines[0].strip() == seen
