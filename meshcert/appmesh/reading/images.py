"""Which of a task's or a pod's images is the application's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_BESIDE = re.compile(
    r"envoy|appmesh|app-mesh|x-?ray|otel|fluent-?bit|cloudwatch|proxy-init|datadog|jaeger", re.IGNORECASE
)
"""Images that stand beside an application in App Mesh's own examples."""


def application_image(images: Iterable[str]) -> str:
    """The first image that is no proxy, tracer or log router; empty if there is none."""
    return next((image for image in images if image and not _BESIDE.search(image.rpartition("/")[2])), "")
