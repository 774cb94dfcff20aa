"""Laid-out images: a folder with ``rootfs/`` and ``image.json``, made by the ``docker`` stand-in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SEARCH_PATHS = ("PATH", "PYTHONPATH")


class ImageNotFoundError(LookupError):
    """
    No image is laid out for a reference.

    Args:
        reference: The image reference of the container definition.
        folder: Where the image was expected.
    """

    def __init__(self, reference: str, folder: Path) -> None:
        self.reference = reference
        self.folder = folder
        super().__init__(f"{reference}: not found; nothing is laid out in {folder}, push the image first")


class WrongPlatformError(LookupError):
    """
    An image was built for another processor than the task runs on.

    Args:
        reference: The image reference of the container definition.
        architecture: The task's, as images call it.
    """

    def __init__(self, reference: str, architecture: str) -> None:
        self.reference = reference
        self.architecture = architecture
        super().__init__(
            "pull image manifest has been retried 1 time(s): image Manifest does not contain descriptor matching "
            f"platform 'linux/{architecture}' ({reference})"
        )


def user_number(user: str | None) -> int:
    """The number in a ``USER[:GROUP]``; 0 for a name, which the base image would know, and for none."""
    number = str(user or "").partition(":")[0]
    return int(number) if number.isdecimal() else 0


@dataclass(frozen=True)
class Image:
    """
    One image, ready to run.

    Args:
        rootfs: The folder that holds the image's files.
        environment: ENV of the image.
        entrypoint: ENTRYPOINT, a list of words.
        command: CMD, a list of words.
        working_directory: WORKDIR, absolute in the image.
        user_id: The number that USER names; 0 for a name, or if there is none.
        volumes: The folders that VOLUME declares.
        architecture: The processor that it was built for, ``amd64`` or ``arm64``; empty if nobody asked for one.
    """

    rootfs: Path
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    working_directory: str
    user_id: int = 0
    volumes: tuple[str, ...] = ()
    architecture: str = ""

    @classmethod
    def find(cls, images: Path, reference: str) -> Image:
        """
        The image that ``reference`` names: its folder is called like its tag, or like itself if it has none.

        Raises:
            ImageNotFoundError: If no such image is laid out.
        """
        name = reference.split("@", 1)[0].rsplit("/", 1)[-1]
        folder = images / name.rsplit(":", 1)[-1]
        if not (folder / "image.json").is_file():
            raise ImageNotFoundError(reference, folder)
        # A tag is a link: it may be moved to another image, and a running container stays with the one it started from.
        folder = folder.resolve()
        description = json.loads((folder / "image.json").read_text())
        return cls(
            rootfs=folder / "rootfs",
            environment=description.get("Env") or {},
            entrypoint=tuple(description.get("Entrypoint") or ()),
            command=tuple(description.get("Cmd") or ()),
            working_directory=description.get("WorkingDir") or "/",
            user_id=user_number(description.get("User")),
            volumes=tuple(description.get("Volumes") or ()),
            architecture=description.get("Architecture") or "",
        )

    def locate(self, word: str) -> str:
        """
        ``word``, or where it lies on the host if it is the absolute path of something in the image.

        Whole words only: a path inside a shell command line is not found.
        """
        inside = self.rootfs / word.lstrip("/")
        return str(inside) if word.startswith("/") and inside.exists() else word

    def search_paths(self, environment: Mapping[str, str]) -> dict[str, str]:
        """
        PATH and PYTHONPATH of ``environment`` as the host must read them.

        Folders of the image come first; the host's stand behind them in PATH, for what the base image would have.
        """
        paths = {}
        for name in _SEARCH_PATHS:
            folders = [folder for folder in environment.get(name, "").split(":") if folder]
            inside = [str(self.rootfs / folder.lstrip("/")) for folder in folders]
            outside = folders if name == "PATH" else []
            if folders:
                paths[name] = ":".join([folder for folder in inside if Path(folder).is_dir()] + outside)
        return paths
