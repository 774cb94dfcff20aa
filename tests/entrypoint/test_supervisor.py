"""What the supervisor reads of the settings itself."""

from __future__ import annotations

import pytest

from entrypoint.supervisor import secrets_over_socket
from evidence.fixtures.proxies import teller
from meshcert.proxy import DeliveryMode


@pytest.mark.parametrize(
    ("proxy", "wanted"),
    [
        (teller(delivery=DeliveryMode.SDS).to_json(), True),
        (teller().to_json(), False),
        (teller(name="sds", service="sds", mesh='"sds"').to_json(), False),
        ('{ "delivery" : "sds" }', True),
        ('"sds"', False),
        ('{"delivery":"sds"', False),
        ("[" * 100_000 + '"sds"', False),
        ("", False),
    ],
    ids=["socket", "files", "files of a service called sds", "spaces", "text", "cut", "nested", "empty"],
)
def test_the_socket_is_wanted_where_the_delivery_mode_says_so(proxy: str, *, wanted: bool) -> None:
    """A name that happens to be the word makes no difference, and what cannot be read is the watcher's to report."""
    assert secrets_over_socket({"MESHCERT_PROXY": proxy}) is wanted
    assert secrets_over_socket({}) is False
