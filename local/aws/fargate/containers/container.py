"""One running container: a process group in namespaces of its own, its output, and its end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.aws.fargate.containers import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.aws.fargate.containers.cpu_quota import CpuQuota

_SIGNALLED = 128
# Where the product keeps key material; only the runner without namespaces must say another place.
_MATERIAL_PATH, _MATERIAL_VARIABLE = "/run/meshcert", "MESHCERT_MATERIAL_DIR"


class ContainerStartError(RuntimeError):
    """
    A container's first program could not be started.

    Args:
        reason: What the system said.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"CannotStartContainerError: {name}: {reason}")


@dataclass(frozen=True)
class ContainerPlan:
    """
    Everything a container is started with.

    Args:
        program: What runs in it.
        environment: All of its environment.
        log: Called with each line it writes, without the line's end.
        quota: Its task's share of CPU; None for no limit.
    """

    name: str
    program: sandbox.Program
    environment: Mapping[str, str]
    log: Callable[[bytes], None]
    quota: CpuQuota | None = None


class Container:
    """
    One container. Start it from a thread that outlives it: the kernel kills it when that thread ends.

    Args:
        ended: Called once, from a thread of its own, when the container and everything in it has ended.
    """

    def __init__(self, plan: ContainerPlan, ended: Callable[[], None]) -> None:
        self._plan = plan
        self._ended = ended
        self._namespaces = sandbox.namespaces_permitted()
        self._environment = dict(plan.environment)
        self._memory: list[Path] = []
        self._folders: dict[str, str] = {}
        self._first_process = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._gone = threading.Event()
        self._killed = False
        self.exit_code: int | None = None

    @property
    def running(self) -> bool:
        """True from its start to its end."""
        return self._process is not None and not self._gone.is_set()

    def start(self) -> None:
        """
        Start it; returns when the program itself runs.

        Raises:
            ContainerStartError: If the program is missing, cannot be executed, or a tmpfs cannot be mounted.
        """
        program = self._plan.program if self._namespaces else self._without_mounts()
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as report:
            try:
                self._process = subprocess.Popen(
                    self._limited(sandbox.start_command(program, writing, namespaces=self._namespaces)),
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=(writing,),
                    start_new_session=True,
                )
            except OSError as error:
                raise ContainerStartError(self._plan.name, str(error)) from error
            finally:
                os.close(writing)
            self._first_process, problem = sandbox.read_report(report)
        threading.Thread(target=self._follow, daemon=True, name=f"container-{self._plan.name}").start()
        if problem:
            self._process.kill()
            self._gone.wait()
            raise ContainerStartError(self._plan.name, problem)

    def terminate(self) -> None:
        """Send SIGTERM to its first process, and to that one only."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with everything in it."""
        self._killed = self.running
        self._signal(signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end, at most ``timeout_s`` seconds; False if it still runs."""
        return self._gone.wait(timeout_s)

    def run(self, argv: list[str], timeout_s: float) -> bool:
        """Run ``argv`` inside the container; True if it exits with 0 within ``timeout_s`` seconds."""
        argv = [self._moved(word) for word in argv]
        process = subprocess.Popen(
            self._limited(sandbox.enter_command(self._first_process, argv, namespaces=self._namespaces)),
            env=self._environment,
            cwd=self._plan.program.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(timeout_s) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _limited(self, command: list[str]) -> list[str]:
        return self._plan.quota.joining(command) if self._plan.quota else command

    def _without_mounts(self) -> sandbox.Program:
        """Memory-backed folders that only this user can read stand in for tmpfs mounts, and volumes lie elsewhere."""
        for tmpfs in self._plan.program.tmpfs:
            folder = Path(tempfile.mkdtemp(prefix="meshcert-", dir="/dev/shm"))
            self._memory.append(folder)
            self._folders[tmpfs.path] = str(folder)
            if tmpfs.path == _MATERIAL_PATH:
                self._environment[_MATERIAL_VARIABLE] = str(folder)
        for bind in self._plan.program.binds:
            moved = {name: text.replace(f"{bind.path}/", f"{bind.folder}/") for name, text in self._environment.items()}
            self._environment |= moved
        return replace(self._plan.program, tmpfs=(), binds=(), read_only=False)

    def _moved(self, word: str) -> str:
        """A path on a tmpfs as it is here, if a folder stands in for the mount."""
        mount, _, name = word.rpartition("/")
        return f"{self._folders[mount]}/{name}" if mount in self._folders else word

    def _signal(self, number: int) -> None:
        if self.running and self._first_process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._first_process, number)

    def _follow(self) -> None:
        process: Any = self._process
        for line in process.stdout:
            self._plan.log(line.rstrip(b"\r\n"))
        code = process.wait()
        process.stdout.close()
        for folder in self._memory:
            shutil.rmtree(folder, ignore_errors=True)
        # unshare itself fails, with 1, when it tries to end by the SIGKILL that ended the container.
        code = -signal.SIGKILL if self._killed and code == 1 else code
        self.exit_code = code if code >= 0 else _SIGNALLED - code
        self._gone.set()
        self._ended()
