"""The Envoy image's first process, started from a folder laid out as the Dockerfile lays out the image."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509

from meshcert.envoy import ADMIN_PORT
from meshcert.proxy import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from meshcert.material import Material
    from meshcert.proxy import ProxySettings

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 15.0


def eventually(claim: Callable[[], object], what: str, within_s: float = PATIENCE_S) -> Any:
    """The first true answer of ``claim``; fails if there is none in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if answer := claim():
            return answer
        time.sleep(0.01)
    message = f"not within {within_s:g} s: {what}"
    raise AssertionError(message)


def installed_envoy() -> Path:
    """Envoy itself: behind the wheel's Python script lies the program, which is what an image would hold."""
    launcher = Path(os.environ.get("MESHCERT_LOCAL_ENVOY", REPOSITORY / "build/venv-local/bin/envoy"))
    programs = sorted(launcher.parent.parent.glob("lib/python*/site-packages/envoy/_bin/envoy"))
    return programs[0] if programs else launcher


def lay_out_image(folder: Path, envoy: Path) -> Path:
    """``app`` and ``bin`` as in ``/opt/meshcert``; Python is the one that runs the tests."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "meshcert", folder / "app/meshcert", ignore=ignore)
    shutil.copytree(REPOSITORY / "envoy-image/entrypoint", folder / "app/entrypoint", ignore=ignore)
    (folder / "bin").mkdir()
    (folder / "bin/envoy").symlink_to(envoy)
    (folder / "bin/python").symlink_to(sys.executable)
    subprocess.run([sys.executable, "-m", "compileall", "-q", folder / "app"], check=True)
    return folder


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A fresh folder on a tmpfs, where keys belong, here as in a task; elsewhere if the machine has none."""
    shared_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 -- a fresh folder below it
    with tempfile.TemporaryDirectory(prefix="meshcert-", dir=shared_memory) as folder:
        yield Path(folder)


class Container:
    """
    One running container; use it as a context.

    Args:
        image: From :func:`lay_out_image`.
        folder: For its material folder and its log.
        address: Loopback address of its listeners and its admin interface.
        settings: Becomes ``MESHCERT_PROXY``; None leaves the variable out.
        environment: Further variables.
    """

    def __init__(
        self,
        image: Path,
        folder: Path,
        address: str,
        settings: ProxySettings | None,
        environment: Mapping[str, str],
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.address = address
        self.delivery = settings.delivery if settings else Delivery.FILE
        self.material_dir = folder / "run"
        self.material_dir.mkdir(mode=0o700)
        self._log_path = folder / "log"
        self.environment = {
            "PATH": f"{image}/bin:/usr/bin:/bin",
            "PYTHONPATH": f"{image}/app",
            "PYTHONDONTWRITEBYTECODE": "1",
            "MESHCERT_LISTEN_ADDRESS": address,
            "MESHCERT_LOOPBACK_ADDRESS": address,
            "MESHCERT_MATERIAL_DIR": str(self.material_dir),
            "MESHCERT_DRAIN_S": "0",
            **({"MESHCERT_PROXY": settings.to_json()} if settings else {}),
            **environment,
        }
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "entrypoint"],
                env=self.environment,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        sys.stdout.write(self.log)  # pytest shows it if the test failed

    @property
    def log(self) -> str:
        """Everything it wrote."""
        return self._log_path.read_text()

    def events(self, event: str) -> list[dict[str, Any]]:
        """The log's lines with this ``event``."""
        lines = (json.loads(line) for line in self.log.splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == event]

    def exit_code(self, within_s: float = PATIENCE_S) -> int:
        """How it ended."""
        return self.process.wait(within_s)

    def terminate(self) -> None:
        """What ECS does to stop a task."""
        self.process.send_signal(signal.SIGTERM)

    def healthy(self) -> bool:
        """What the container's health check says."""
        check = [sys.executable, "-m", "entrypoint.healthcheck"]
        return subprocess.run(check, env=self.environment, cwd="/", check=False).returncode == 0

    def wait_until_healthy(self) -> None:
        """Return once the first secrets are served."""
        delivered = self.material_dir / "delivered"
        eventually(lambda: delivered.exists() or self.process.poll() is not None, "secrets delivered")
        eventually(self.healthy, "healthy")

    def admin(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Status and text of Envoy's admin interface."""
        return request(self.address, ADMIN_PORT, path, method)

    def stats(self, contains: str) -> dict[str, str]:
        """Envoy's statistics whose name contains this text."""
        lines = self.admin("/stats")[1].splitlines()
        pairs = (line.partition(": ")[::2] for line in lines if contains in line)
        return {name: value.strip('"') for name, value in pairs}

    def served_serial_numbers(self) -> set[int]:
        """Serial numbers of the leaves that Envoy has loaded."""
        certificates = json.loads(self.admin("/certs")[1])["certificates"]
        return {int(leaf["serial_number"], 16) for item in certificates for leaf in item.get("cert_chain", ())[:1]}

    def serves(self, material: Material) -> bool:
        """Whether this, and nothing else, is the leaf that Envoy has loaded."""
        return self.served_serial_numbers() == {serial_number(material)}

    def children(self) -> dict[str, int]:
        """Process ids of the watcher and of Envoy, by name."""
        found = {}
        for pid in _children(self.process.pid):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
                found["envoy" if program.endswith(b"envoy") else "watcher"] = pid
        return found


def assert_ends_with(container: Container, code: int, *told: str) -> None:
    """The container ends with this code, says these words, and shows no traceback."""
    assert container.exit_code() == code, container.log
    for words in told:
        assert words in container.log
    assert "Traceback" not in container.log


def serial_number(material: Material) -> int:
    """Serial number of its certificate."""
    return x509.load_pem_x509_certificate(material.certificate.encode()).serial_number


def request(address: str, port: int, path: str = "/", method: str = "GET") -> tuple[int, str]:
    """Status and text of one HTTP request on a new connection."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def _children(parent: int) -> Iterable[int]:
    for task in Path(f"/proc/{parent}/task").iterdir():
        yield from map(int, (task / "children").read_text().split())
