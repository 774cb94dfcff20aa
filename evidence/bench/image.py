"""The Envoy image as this machine can run it: laid out from its Dockerfile, with its own Python and Envoy."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).resolve().parents[2]
_TAG = "bench"
_REMOVED = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
"""Packages that this machine's Python puts into every environment, and the image does not have."""


class ImageFailed(RuntimeError):
    """The image could not be laid out; the message is what the build said."""


class Image(NamedTuple):
    """
    An image on this machine.

    Args:
        entrypoint: Its first process, as its Dockerfile says.
        environment: Its environment; folders of the image are where they lie on this machine.
        root: Its root folder on this machine.
    """

    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]
    root: Path

    def program(self, name: str) -> str:
        """Path of a program of the image; raises ImageFailed if it has none of this name."""
        for folder in self.environment["PATH"].split(":"):
            if (found := Path(folder) / name).exists():
                return str(found)
        raise ImageFailed(f"the Envoy image holds no program {name!r}: run `make setup`")

    def layers_mb(self) -> float:
        """Size of what the image adds to Python and Envoy (its folder of ours without ``bin``), MB of 1024 kB."""
        ours = self.root / "opt/meshcert"
        # On this machine an environment is shared by all images that have the same requirements: it is a link here.
        folders = [folder.resolve() for folder in ours.iterdir() if folder.name != "bin"]
        return sum(_size(folder) for folder in folders) / (1 << 20)


def lay_out_image(folder: Path, tree: Path = REPOSITORY) -> Image:
    """
    Lay out ``envoy-image/Dockerfile`` as the demo does, byte-compiled and with exactly its requirements.

    Envoy and the stand-in for docker are always this repository's.

    Args:
        folder: An empty folder.
        tree: The files of the commit whose image it is; only its Dockerfile and what that copies are read.

    Raises:
        ImageFailed: If the Dockerfile cannot be followed or a requirement cannot be installed.
    """
    docker = str(REPOSITORY / "local/images/docker")
    command = [docker, "build", "--tag", _TAG, "--file", "envoy-image/Dockerfile", "."]
    environment = {**os.environ, "MESHCERT_LOCAL_IMAGES": str(folder)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageFailed(done.stderr.strip())
    described = json.loads((folder / _TAG / "image.json").read_text())
    root = (folder / _TAG / "rootfs").resolve()
    return Image(
        tuple(described["Entrypoint"]),
        {name: _on_this_machine(value, root) for name, value in described["Env"].items()},
        root,
    )


def _size(folder: Path) -> int:
    """Bytes of the files below a folder that the image holds too."""
    files = [file for file in folder.rglob("*") if not file.is_dir()]
    return sum(file.lstat().st_size for file in files if not any(map(_is_removed, file.relative_to(folder).parts)))


def _is_removed(part: str) -> bool:
    return part.partition("-")[0] in _REMOVED or part.startswith("distutils-precedence")


def _on_this_machine(value: str, root: Path) -> str:
    return ":".join(f"{root}{part}" if part.startswith("/") else part for part in value.split(":"))
