"""Every peer is judged at every connection: no TLS session outlives the right to be there."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.ended_peers import Ending, Role, Seen, come_back

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("ending", list(Ending))
@pytest.mark.parametrize("role", list(Role))
def test_no_peer_comes_back_after_its_end_with_the_session_of_before(
    role: Role, ending: Ending, image: Path, tmp_path: Path, new_address: Callable[[], str]
) -> None:
    """TLS 1.2 and 1.3: admitted twice while it is good, refused from then on; no session is ever resumed."""
    seen = come_back(role, ending, image, tmp_path / "container", new_address)

    judged = Seen(before=True, after=False, resumed=0)
    assert seen == {ssl.TLSVersion.TLSv1_2: judged, ssl.TLSVersion.TLSv1_3: judged}
