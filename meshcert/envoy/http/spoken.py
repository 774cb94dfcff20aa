"""Which versions of HTTP a listener speaks, and what becomes of an offer to speak something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcert.envoy.api import Json

WEBSOCKET = "websocket"


def spoken(protocol: str, default_host: str) -> Json:
    """
    Fields of ``HttpConnectionManager``: the codec, HTTP/1.0, and upgrades.

    An ``http`` listener takes HTTP/1.0 (nginx speaks it to its upstreams unless told), and WebSocket. Any other offer
    to upgrade is ignored, as RFC 9110, 7.8 lets a server do; Envoy would answer 403 (Java clients offer ``TLS/1.2``).

    Args:
        protocol: The listener's.
        default_host: The host of an HTTP/1.0 request that names none.
    """
    if protocol != "http":
        return {"codec_type": "HTTP2"}
    return {
        "codec_type": "AUTO",
        "http_protocol_options": {
            "accept_http_10": True,
            "default_host_for_http_10": default_host,
            "ignore_http_11_upgrade": [{"safe_regex": {"regex": _anything_but(WEBSOCKET)}}],
        },
        "upgrade_configs": [{"upgrade_type": WEBSOCKET}],
    }


def upgrades_of_route(protocol: str) -> Json:
    """The field of ``RouteAction`` that refuses WebSocket (403) on the way to a node that is asked in HTTP/2."""
    return {} if protocol == "http" else {"upgrade_configs": [{"upgrade_type": WEBSOCKET, "enabled": False}]}


def _anything_but(word: str) -> str:
    """A regular expression of RE2, which has no negation, for every other text, whatever its case."""
    letters = [f"{letter.upper()}{letter}" for letter in word]
    beginnings = ["".join(f"[{pair}]" for pair in letters[:length]) for length in range(len(word))]
    different = [f"{begun}[^{pair}].*" for begun, pair in zip(beginnings, letters, strict=True)]
    shorter = beginnings[1:]
    longer = "".join(f"[{pair}]" for pair in letters) + ".+"
    return "|".join([*different, *shorter, longer])
