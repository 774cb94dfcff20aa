"""How paths are made plain before a route or a rule judges them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcert.envoy.api import Json
    from meshcert.proxy import ProxySettings, Route


def judged_paths(routes: Iterable[Route], settings: ProxySettings, *, allows: bool = False) -> Json:
    """
    Fields of ``HttpConnectionManager`` for the paths of its requests.

    Dots, and escapes of letters, digits and ``-._~``, are resolved everywhere. Where a route, or a rule about callers,
    tells paths apart, it must judge the path that the application will get: slashes are merged too, and a path with an
    escaped slash or backslash is refused with 400, since some applications read it as a slash and others as a part of a
    name.

    Args:
        routes: Those that stand in the settings.
        settings: Say whether routes that come later tell paths apart.
        allows: Whether rules say which callers may ask for which paths.
    """
    if not (allows or settings.judges_paths or any(route.tells_paths_apart for route in routes)):
        return {"normalize_path": True}
    return {
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
    }
