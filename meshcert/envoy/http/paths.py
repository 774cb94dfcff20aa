"""How paths are made plain before a route judges them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcert.envoy.api import Json
    from meshcert.proxy import Route


def judged_paths(routes: Iterable[Route]) -> Json:
    """
    Fields of ``HttpConnectionManager`` for the paths of its requests.

    Dots, and escapes of letters, digits and ``-._~``, are resolved everywhere. Where a route tells paths apart, it
    must judge the path that the application will get: slashes are merged too, and a path with an escaped slash or
    backslash is refused with 400, since some applications read it as a slash and others as a part of a name.
    """
    if not any(_tells_paths_apart(route) for route in routes):
        return {"normalize_path": True}
    return {
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
    }


def _tells_paths_apart(route: Route) -> bool:
    is_about_all = route.prefix in ("", "/") and not route.conditions.path and not route.conditions.regex
    return not is_about_all or bool(route.rewriting.prefix)
