"""Digests come from the registry or not at all."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tools.pin_images import RegistryFailed, base_images, pin, unpinned

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = """FROM envoyproxy/envoy:distroless-v1.40.0 AS envoy
FROM python:3.13-slim-bookworm AS build
RUN true
FROM build
COPY --from=envoy /usr/local/bin/envoy /opt/envoy
"""


def _registry(request: httpx.Request) -> httpx.Response:
    if request.url.host == "auth.docker.io":
        return httpx.Response(200, json={"token": "t"})
    digit = "a" if "envoy" in request.url.path else "b"
    return httpx.Response(200, headers={"docker-content-digest": f"sha256:{digit * 64}"})


def test_every_base_image_gets_the_digest_its_registry_names() -> None:
    """Tags stay readable, digests are added behind them, stages of the file itself are left alone."""
    with httpx.Client(transport=httpx.MockTransport(_registry)) as client:
        pinned = pin(DOCKERFILE, client)

    assert f"FROM envoyproxy/envoy:distroless-v1.40.0@sha256:{'a' * 64} AS envoy\n" in pinned
    assert f"FROM python:3.13-slim-bookworm@sha256:{'b' * 64} AS build\n" in pinned
    assert "FROM build\n" in pinned


def test_pinning_twice_changes_nothing() -> None:
    """A digest that is there is replaced by the one of today, not doubled."""
    with httpx.Client(transport=httpx.MockTransport(_registry)) as client:
        once = pin(DOCKERFILE, client)

        assert pin(once, client) == once


@pytest.mark.parametrize(
    "answer", [httpx.Response(404), httpx.Response(200, json={"token": "t"})], ids=["unknown image", "no digest"]
)
def test_without_a_digest_nothing_is_written(answer: httpx.Response) -> None:
    """A registry that does not know the image, or names no digest, is an error: no digest is ever invented."""
    transport = httpx.MockTransport(
        lambda request: _registry(request) if request.url.host == "auth.docker.io" else answer
    )

    with httpx.Client(transport=transport) as client, pytest.raises(RegistryFailed):
        pin(DOCKERFILE, client)


def test_a_deploy_is_told_which_images_have_no_digest(tmp_path: Path) -> None:
    """Each with its Dockerfile; once they are pinned, there is nothing to tell."""
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(DOCKERFILE)
    before = unpinned([dockerfile])
    with httpx.Client(transport=httpx.MockTransport(_registry)) as client:
        dockerfile.write_text(pin(DOCKERFILE, client))

    images = ["envoyproxy/envoy:distroless-v1.40.0", "python:3.13-slim-bookworm"]
    assert before == [f"{dockerfile}: {image}" for image in images]
    assert unpinned([dockerfile]) == []
    assert [image.partition("@")[0] for image in base_images(dockerfile.read_text())] == images


def test_the_deploy_asks_for_digests_first() -> None:
    """Before the CDK builds anything."""
    recipe = (ROOT / "Makefile").read_text().partition("\ndeploy:")[2].partition("\n\n")[0]

    assert recipe.index("tools.pin_images --check") < recipe.index("cdk deploy")
