"""Read files and folders: what each holds, and the resources in all of them together."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshcert.appmesh.reading.api_documents import api_resources
from meshcert.appmesh.reading.cloudformation import templates
from meshcert.appmesh.reading.kubernetes import GROUP, WORKLOADS, KubernetesObject, kubernetes_resources
from meshcert.appmesh.reading.placeholders import Placeholders
from meshcert.appmesh.reading.texts import MOST_BYTES, SourceInvalid, read_text
from meshcert.appmesh.report import Fate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshcert.appmesh.report import ImportReport
    from meshcert.appmesh.resources import MeshResource

MOST_FILES = 2_000
MOST_BYTES_TOGETHER = 32 << 20
MOST_RESOURCES = 10_000
SUFFIXES = (".json", ".yaml", ".yml", ".template", ".tpl", ".tmpl", ".j2")
"""Files of a folder that are read; a file that is named itself is read whatever its name."""
_KNOWS_APP_MESH = re.compile(
    r"appmesh|app-mesh|virtual_?node|virtual_?service|virtual_?router|virtual_?gateway", re.IGNORECASE
)


@dataclass
class _Found:
    templates: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    objects: list[KubernetesObject] = field(default_factory=list)
    workloads: list[KubernetesObject] = field(default_factory=list)
    resources: list[MeshResource] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How much was found."""
        return len(self.templates) + len(self.objects) + len(self.workloads) + len(self.resources)


def read_sources(paths: Sequence[Path], parameters: Mapping[str, str], report: ImportReport) -> list[MeshResource]:
    """
    The resources that files and folders define.

    Args:
        parameters: Values of parameters, exports and placeholders, by name.
        report: Gets what cannot be read, what is skipped, and what stands open.
    """
    found = _Found()
    read = 0
    for path in _files(paths, report):
        try:
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            _refuse(path, f"it cannot be read: {error.strerror}", report)
            continue
        read += len(content)
        if read > MOST_BYTES_TOGETHER:
            _refuse(path, f"the files before it have {MOST_BYTES_TOGETHER} bytes together, which is the most", report)
            break
        read_content(content, path, parameters, report, found)
    return _together(found, parameters, report)


def resources_in(content: bytes, name: str, parameters: Mapping[str, str], report: ImportReport) -> list[MeshResource]:
    """The resources that one text defines, under the name of a file."""
    found = _Found()
    read_content(content, Path(name), parameters, report, found)
    return _together(found, parameters, report)


def read_content(
    content: bytes, path: Path, parameters: Mapping[str, str], report: ImportReport, found: _Found
) -> None:
    """Read one text, and sort its documents by what they are."""
    if len(content) > MOST_BYTES:
        _refuse(path, f"it has more than {MOST_BYTES} bytes", report)
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        _refuse(path, "it is not UTF-8 text", report)
        return
    if text.startswith("#!"):
        _refuse(path, "it is a program: bring the files that it fills in", report)
        return
    is_template = "AWS::AppMesh::" in text
    placeholders = Placeholders(parameters, shell=not is_template)
    try:
        documents = [placeholders.fill(document) for document in read_text(placeholders.mark(text))]
    except SourceInvalid as error:
        if _KNOWS_APP_MESH.search(text):
            _refuse(path, str(error), report)
        else:
            report.skipped.append(f"{path}: {error}")
        return
    if placeholders.controls:
        report.ask(
            "directives of a template",
            f"{placeholders.controls} of its lines are directives, and are left out: what do they come to?",
            str(path),
            "Fill the template in (`helm template`, for example), and import the result",
        )
    before = found.count
    for document in documents:
        _sort(document, path, report, found)
    if found.count == before:
        report.skipped.append(f"{path}: nothing of App Mesh")


def _sort(document: Any, path: Path, report: ImportReport, found: _Found) -> None:
    if isinstance(document, dict):
        if isinstance(document.get("Resources"), dict):
            found.templates.append((document, str(path)))
            return
        if "apiVersion" in document:
            items = document.get("items")
            if document.get("kind") == "List" and isinstance(items, list):
                for item in items:
                    if isinstance(item, dict) and document is not item:
                        _sort({"apiVersion": "", **item, "items": None}, path, report, found)
                return
            if str(document["apiVersion"]).startswith(GROUP):
                name = document.get("metadata")
                label = name.get("name", "") if isinstance(name, dict) else ""
                found.objects.append(KubernetesObject(document, f"{path}: {document.get('kind')} {label}"))
            elif document.get("kind") in WORKLOADS:
                found.workloads.append(KubernetesObject(document, str(path)))
            else:
                report.skipped.append(f"{path}: {document.get('kind')} is nothing of App Mesh")
            return
    found.resources += api_resources(document, path.stem.partition(".")[0] or "unnamed", str(path), report)


def _together(found: _Found, parameters: Mapping[str, str], report: ImportReport) -> list[MeshResource]:
    resources = [
        *templates(found.templates, parameters, report),
        *kubernetes_resources(found.objects, found.workloads, report),
        *found.resources,
    ]
    if len(resources) > MOST_RESOURCES:
        report.tell(Fate.LOST, "resources", f"there are {len(resources)}, and {MOST_RESOURCES} are read", "all files")
    return resources[:MOST_RESOURCES]


def _files(paths: Sequence[Path], report: ImportReport) -> Iterator[Path]:
    """The files that are meant, in a folder's order by name; hidden ones and links are not followed."""
    count = 0
    for path in paths:
        for each in [path] if not path.is_dir() else _in_folder(path):
            count += 1
            if count > MOST_FILES:
                _refuse(each, f"more than {MOST_FILES} files are not read", report)
                return
            yield each


def _in_folder(folder: Path) -> Iterator[Path]:
    for around, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        for name in sorted(files):
            path = Path(around, name)
            if name.endswith(SUFFIXES) and not name.startswith(".") and not path.is_symlink():
                yield path


def _refuse(path: Path, problem: str, report: ImportReport) -> None:
    report.tell(Fate.LOST, "files that cannot be read", problem, str(path))
