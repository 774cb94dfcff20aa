"""Digests come from the registry or not at all."""

from __future__ import annotations

import httpx
import pytest

from tools.pin_images import RegistryFailed, pin

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
