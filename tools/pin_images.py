"""
``make pin-images``: write the digests of the base images into the Dockerfiles.

A tag can be moved; a digest cannot. The digest is asked of the registry that holds the image, never made up: where no
registry answers, nothing is written.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILES = (ROOT / "envoy-image" / "Dockerfile", ROOT / "examples" / "color" / "colorteller" / "Dockerfile")
# Image indexes first: they have one digest for all architectures (OCI image spec, image-index; Docker's manifest list).
INDEXES = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
FROM = re.compile(
    r"^(?P<start>FROM\s+(?:--platform=\S+\s+)?)(?P<image>[^\s@]+)(?:@sha256:[0-9a-f]{64})?(?P<end>(?:\s+AS\s+\S+)?)\s*$",
    re.IGNORECASE,
)


class RegistryFailed(Exception):
    """
    A registry did not name a digest.

    Args:
        reason: What happened.
    """

    def __init__(self, image: str, reason: str) -> None:
        self.image = image
        super().__init__(f"{image}: {reason}. Nothing was written")


@dataclass(frozen=True)
class Image:
    """
    A tagged image on Docker Hub.

    Args:
        repository: For example ``library/python``.
        tag: For example ``3.13-slim-bookworm``.
    """

    repository: str
    tag: str

    @classmethod
    def parse(cls, reference: str) -> Image:
        """
        Read ``name:tag`` as Docker does.

        Raises:
            RegistryFailed: If there is no tag, or the image is not on Docker Hub.
        """
        name, _, tag = reference.partition(":")
        if not tag:
            raise RegistryFailed(reference, "it has no tag; name an exact one")
        if "." in name.partition("/")[0]:
            raise RegistryFailed(reference, "only images of Docker Hub can be looked up")
        return cls(name if "/" in name else f"library/{name}", tag)

    def digest(self, client: httpx.Client) -> str:
        """
        Ask the registry.

        Returns:
            ``sha256:`` and 64 hexadecimal digits.

        Raises:
            RegistryFailed: If the registry cannot be reached or does not know the image.
        """
        try:
            scope = f"repository:{self.repository}:pull"
            token = client.get(
                "https://auth.docker.io/token", params={"service": "registry.docker.io", "scope": scope}
            ).raise_for_status()
            answer = client.head(
                f"https://registry-1.docker.io/v2/{self.repository}/manifests/{self.tag}",
                headers={"Authorization": f"Bearer {token.json()['token']}", "Accept": INDEXES},
            ).raise_for_status()
        except httpx.HTTPError as error:
            raise RegistryFailed(f"{self.repository}:{self.tag}", str(error)) from error
        digest: str = answer.headers.get("docker-content-digest", "")
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            raise RegistryFailed(f"{self.repository}:{self.tag}", "the registry answered without a digest")
        return digest


def pin(dockerfile: str, client: httpx.Client) -> str:
    """
    A Dockerfile with a digest behind every image it starts from.

    Raises:
        RegistryFailed: If no registry names a digest.
    """
    lines, stages = [], set()
    for line in dockerfile.splitlines():
        found = FROM.match(line)
        if found and found["image"] not in stages:
            digest = Image.parse(found["image"]).digest(client)
            line = f"{found['start']}{found['image']}@{digest}{found['end']}"  # noqa: PLW2901 -- the line, pinned
        if found and found["end"].split():
            stages.add(found["end"].split()[-1])
        lines.append(line)
    return "\n".join(lines) + "\n"


def base_images(dockerfile: str) -> list[str]:
    """The images that a Dockerfile starts from, as they stand there; its own stages are none."""
    found = [match for line in dockerfile.splitlines() if (match := FROM.match(line))]
    stages = {match["end"].split()[-1] for match in found if match["end"].split()}
    return [
        reference
        for match in found
        if match["image"] not in stages
        for reference in (match[0].removeprefix(match["start"]).split()[0],)
    ]


def unpinned(dockerfiles: Iterable[Path]) -> list[str]:
    """The base images without a digest, each with its Dockerfile."""
    return [
        f"{path}: {image}" for path in dockerfiles for image in base_images(path.read_text()) if "@sha256:" not in image
    ]


def check() -> int:
    """Whether every base image has a digest; says which have none, and returns the exit code."""
    missing = unpinned(DOCKERFILES)
    if missing:
        sys.stderr.write(
            "A tag can be moved, so a deploy wants the digests of its base images. Missing:\n"
            + "".join(f"  {one}\n" for one in missing)
            + "Write them with: make pin-images\n"
        )
    return 1 if missing else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Pin all Dockerfiles, or none; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make pin-images", description=__doc__)
    parser.add_argument("--check", action="store_true", help="ask nobody, only say which images have no digest")
    if parser.parse_args(arguments).check:
        return check()
    try:
        with httpx.Client(timeout=30) as client:
            pinned = {path: pin(path.read_text(), client) for path in DOCKERFILES}
    except RegistryFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for path, text in pinned.items():
        path.write_text(text)
        sys.stdout.write(f"pinned {path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
