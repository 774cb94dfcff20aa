"""What is installed is installed by hash; what is shipped is listed; what could not be asked is told."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tools.supply_chain import audit, lock, sbom
from tools.supply_chain.locks import LOCKS, NPM_LOCKS, ROOT, LockMalformed, Pin, normalised, read_lock, read_npm_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tools.supply_chain.locks import Lock

_NAME = re.compile(r"^[A-Za-z0-9._-]+")
# Every file in which something is installed.
RECIPES = (
    ROOT / "Makefile",
    ROOT / "stacks" / "bundling.py",
    ROOT / "envoy-image" / "Dockerfile",
)


def _names(path: Path) -> set[str]:
    lines = (line.strip() for line in path.read_text().splitlines())
    return {normalised(found[0]) for line in lines if line and (found := _NAME.match(line))}


def _versions(path: Path) -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    pairs = (line.partition("==") for line in lines if "==" in line)
    return {normalised(name): version for name, _, version in pairs}


@pytest.mark.parametrize("one", LOCKS, ids=lambda one: one.path.relative_to(ROOT).as_posix())
def test_a_lock_holds_its_requirements_in_the_constraints_versions(one: Lock) -> None:
    """And hashes of each: whoever changes one of these files without ``make lock`` finds out here."""
    pins = {pin.name: pin for pin in read_lock(one.path)}
    wanted = {name for path in one.requirements for name in _names(path)}

    assert wanted <= set(pins)
    assert {name: pin.version for name, pin in pins.items()} == {
        name: version for name, version in _versions(one.constraints).items() if name in pins
    }
    assert [pin.name for pin in pins.values() if not pin.hashes] == []


@pytest.mark.parametrize("path", NPM_LOCKS, ids=lambda path: path.parent.name)
def test_npms_lock_is_that_of_its_package_file(path: Path) -> None:
    """Otherwise npm refuses to install; each package has its integrity."""
    wanted = json.loads((path.parent / "package.json").read_text())["devDependencies"]
    pins = read_npm_lock(path)

    assert {pin.name: pin.version for pin in pins if pin.name in wanted} == wanted
    assert all(pin.hashes[0].startswith("sha512-") for pin in pins)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_nothing_is_installed_but_by_hash(recipe: Path) -> None:
    """Only our own source comes without: from this folder, and with nothing of its own."""
    text = recipe.read_text().replace("\\\n", " ")
    installs = re.findall(r"^.*(?:pip[\"', ]+install|npm (?:ci|install)).*$", text, re.MULTILINE)

    assert installs
    for line in installs:
        by_hash = "--require-hashes" in line or "$(LOCKED)" in line or "npm ci" in line
        ours = "--no-deps" in line and line.rstrip().endswith("-e .")
        resolves_only = "--package-lock-only" in line
        assert by_hash or ours or resolves_only or "--require-hashes" in text.partition(line)[2][:1000], line
    assert "--require-hashes" in text


def test_the_lock_is_written_by_hash_for_the_oldest_machine() -> None:
    """One that the README still admits."""
    for one in LOCKS:
        words = lock.command(one)
        assert {"--generate-hashes", str(one.constraints), str(one.path)} <= set(words)
        assert words[-len(one.requirements) :] == [str(path) for path in one.requirements]


def test_a_line_that_is_neither_pin_nor_hash_is_refused(tmp_path: Path) -> None:
    """A lock that was edited by hand could name an index, or another file to read."""
    path = tmp_path / "requirements.lock"
    path.write_text(f"h2==4.3.0 \\\n    --hash=sha256:{'a' * 64}\n--index-url https://elsewhere.example\n")

    with pytest.raises(LockMalformed, match="make lock"):
        read_lock(path)


def test_the_list_names_everything_that_is_shipped() -> None:
    """Each package of image and functions once, with its hashes, and the image's bases."""
    image, functions = (sbom.documents()[name] for name in ("image.cdx.json", "functions.cdx.json"))

    for found, path in ((image, ROOT / "envoy-image"), (functions, ROOT / "lambdas")):
        libraries = [each for each in found["components"] if each["type"] == "library"]
        assert {(each["name"], each["version"]) for each in libraries} == {
            (pin.name, pin.version) for pin in read_lock(path / "requirements.lock")
        }
        assert all(each["externalReferences"][0]["hashes"] for each in libraries)
        references = [each["bom-ref"] for each in found["components"]]
        assert len(references) == len(set(references))
    bases = {each["name"] for each in image["components"] if each["type"] == "container"}
    assert bases == {"envoyproxy/envoy", "python"}


def test_the_list_is_the_same_for_the_same_locks(tmp_path: Path) -> None:
    """So that a difference between two of them is a difference between two builds."""
    for folder in ("one", "two"):
        sbom.main(tmp_path / folder)

    for name in ("image.cdx.json", "functions.cdx.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    found = json.loads((tmp_path / "one" / "image.cdx.json").read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")


def test_a_base_image_is_listed_with_its_digest() -> None:
    """Where the Dockerfile has one."""
    digest = f"sha256:{'b' * 64}"

    assert sbom.base(f"library/python:3.13@{digest}")["purl"] == f"pkg:docker/library/python@{digest}?tag=3.13"
    assert sbom.base("library/python:3.13")["purl"] == "pkg:docker/library/python@3.13"


def _unreachable(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no route")


def _clean(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"results": [{} for _ in json.loads(request.content)["queries"]]})


def _advised(request: httpx.Request) -> httpx.Response:
    results: list[dict[str, Any]] = json.loads(_clean(request).content)["results"]
    results[0] = {"vulns": [{"id": "GHSA-0000", "modified": "2026-01-01T00:00:00Z"}]}
    return httpx.Response(200, json={"results": results})


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (_clean, audit.CLEAN, "2 of 2 pins asked about, 0 with advisories"),
        (_advised, audit.ADVISED, "pkg:pypi/a@1: GHSA-0000"),
        (_unreachable, audit.NOT_ASKED, "NOT ASKED about 2"),
        (lambda _: httpx.Response(503), audit.NOT_ASKED, "NOT ASKED about 2"),
        (lambda _: httpx.Response(200, text="<html>"), audit.NOT_ASKED, "otherwise than documented"),
        (lambda _: httpx.Response(200, json={"results": [{}]}), audit.NOT_ASKED, "otherwise than documented"),
        (lambda _: httpx.Response(200, json=[]), audit.NOT_ASKED, "otherwise than documented"),
    ],
    ids=["none known", "one known", "unreachable", "unavailable", "no JSON", "an answer too few", "another shape"],
)
def test_an_audit_says_what_is_known_and_what_was_not_asked(
    answer: Callable[[httpx.Request], httpx.Response], code: int, told: str
) -> None:
    """Silence is never taken for a good sign."""
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        result = audit.audit(["pkg:pypi/a@1", "pkg:pypi/b@2"], client)

    assert result.exit_code == code
    assert told in audit.tell(result, 2)
    assert "never asked about" in audit.tell(result, 2)


def test_an_audit_that_breaks_off_keeps_what_it_has_heard() -> None:
    """An advisory that is known counts, whatever could not be asked after it."""
    answers = iter([_advised, _unreachable])

    def answer(request: httpx.Request) -> httpx.Response:
        return next(answers)(request)

    packages = [f"pkg:pypi/p{number}@1" for number in range(audit.AT_ONCE + 1)]
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        result = audit.audit(packages, client)

    assert (result.exit_code, len(result.not_asked)) == (audit.ADVISED, 1)


def test_every_lock_is_audited() -> None:
    """What is installed anywhere, npm's packages too."""
    packages = set(audit.pins())

    npm_pins = [pin for path in NPM_LOCKS for pin in read_npm_lock(path)]
    assert {f"pkg:npm/{pin.name}@{pin.version}" for pin in npm_pins} <= packages
    for one in LOCKS:
        assert {_purl(pin) for pin in read_lock(one.path)} <= packages


def _purl(pin: Pin) -> str:
    return f"pkg:pypi/{pin.name}@{pin.version}"
