"""
Amazon ECR as far as publishing an image asset needs it.

MiniStack 1.5.33 answers DescribeImages for an absent image with an empty list, which the CDK CLI takes for "published
already", and lets anybody push.

AWS answers ImageNotFoundException (ECR API reference, "DescribeImages"), and takes a push only with a token of
GetAuthorizationToken (ECR user guide, "Private registry authentication").

It can go when DescribeImages of an absent image answers ImageNotFoundException, and a push without a login 401.
"""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json
from ministack.services import ecr

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_READING = frozenset({"GET", "HEAD"})

Response = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Correct DescribeImages, and let only who has a token of GetAuthorizationToken push to the registry."""
    hooks.require(ecr, "_find_image")
    hooks.wrap(ecr, "_describe_images", _describe_images)
    hooks.wrap(ecr, "handle_registry_request", _push_needs_login)


def _describe_images(inner: Callable[[dict[str, Any]], Response]) -> Callable[[dict[str, Any]], Response]:
    def describe(request: dict[str, Any]) -> Response:
        repository = request.get("repositoryName", "")
        for image in request.get("imageIds") or [] if repository in ecr._repositories else []:
            if ecr._find_image(repository, image) is None:
                message = (
                    f"The image with imageId {json.dumps(image)} does not exist within the repository {repository!r}"
                )
                answer: Response = error_response_json("ImageNotFoundException", message, 400)
                return answer
        return inner(request)

    return describe


def _push_needs_login(inner: Callable[..., Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
    async def serve(method: str, path: str, headers: dict[str, str], *rest: Any) -> Response:
        sent = {name.lower(): value for name, value in headers.items()}.get("authorization", "")
        if method not in _READING and not hmac.compare_digest(sent.encode(), _basic_authorization().encode()):
            refused: Response = ecr._registry_error(401, "UNAUTHORIZED", "no basic auth credentials; log in first")
            return refused
        return await inner(method, path, headers, *rest)

    return serve


def _basic_authorization() -> str:
    _, _, body = ecr._get_authorization_token({})
    token: str = json.loads(body)["authorizationData"][0]["authorizationToken"]
    return f"Basic {token}"
