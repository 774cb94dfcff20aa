"""
``make sbom``: what the image and the functions' bundle hold, as CycloneDX 1.6 in ``build/sbom``.

The same locks give the same bytes: there is no time in it, and its serial number comes from its content. The packages
of the image's base (Debian) are not listed: their list belongs to the base image, which is named with its digest.
"""

from __future__ import annotations

import json
import sys
import uuid
from typing import TYPE_CHECKING, Any

from tools.pin_images import DOCKERFILES, base_images
from tools.supply_chain.locks import FUNCTIONS, IMAGE, ROOT, read_lock

if TYPE_CHECKING:
    from pathlib import Path

    from tools.supply_chain.locks import Pin

FOLDER = ROOT / "build" / "sbom"


def document(name: str, components: list[dict[str, Any]]) -> dict[str, Any]:
    """
    A CycloneDX document.

    Args:
        name: Of what is shipped.
        components: What it holds.
    """
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": name, "bom-ref": name}},
        "components": components,
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    return {**content, "serialNumber": f"urn:uuid:{serial}"}


def package(pin: Pin) -> dict[str, Any]:
    """A package from PyPI; its hashes are those of all its files, of which one is installed."""
    purl = f"pkg:pypi/{pin.name}@{pin.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": pin.name,
        "version": pin.version,
        "purl": purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{pin.name}/{pin.version}/",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in pin.hashes],
            }
        ],
    }


def base(reference: str) -> dict[str, Any]:
    """A base image, with its digest where the Dockerfile has one."""
    tagged, _, digest = reference.partition("@")
    name, _, tag = tagged.partition(":")
    purl = f"pkg:docker/{name}@{digest or tag}" + (f"?tag={tag}" if digest else "")
    return {"type": "container", "bom-ref": purl, "name": name, "version": digest or tag, "purl": purl}


def documents() -> dict[str, dict[str, Any]]:
    """Both documents by file name."""
    dockerfile, *_ = DOCKERFILES
    bases = [base(reference) for reference in sorted(set(base_images(dockerfile.read_text())))]
    return {
        "image.cdx.json": document("meshcert-envoy", bases + [package(pin) for pin in read_lock(IMAGE.path)]),
        "functions.cdx.json": document("meshcert-functions", [package(pin) for pin in read_lock(FUNCTIONS.path)]),
    }


def main(folder: Path = FOLDER) -> int:
    """Write them; returns the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in documents().items():
        (folder / name).write_text(json.dumps(value, indent=2) + "\n")
        sys.stdout.write(f"wrote {folder / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
