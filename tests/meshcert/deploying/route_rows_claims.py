"""What the table ``routes`` promises, and what the fake and the emulator must agree on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from meshcert.deploying.routes import PublishedRoutes

if TYPE_CHECKING:
    from meshcert.deploying.routes import RouteRows

OWNER = "stack/Routes"


def routes(version: str, owner: str = OWNER) -> PublishedRoutes:
    """One version for the service ``front``."""
    return PublishedRoutes("front", version, f"document of {version}", owner)


class RouteRowsClaims(ABC):
    """Claims on a table ``routes``."""

    @abstractmethod
    def kept(self, rows: RouteRows) -> list[str]:
        """The versions in the row of ``front``, the newest first."""

    def test_the_newest_and_the_one_before_are_kept(self, rows: RouteRows) -> None:
        """Tasks of an older task definition need the latter."""
        for version in ("a", "b", "c"):
            rows.publish(routes(version))

        assert self.kept(rows) == ["c", "b"]

    def test_the_same_again_changes_nothing(self, rows: RouteRows) -> None:
        """A request of CloudFormation may be delivered twice."""
        for version in ("a", "b", "b", "b"):
            rows.publish(routes(version))

        assert self.kept(rows) == ["b", "a"]

    def test_a_deploy_that_goes_back_keeps_what_it_takes_back(self, rows: RouteRows) -> None:
        """Tasks of the failed deploy may need it until they are gone; the next deploy drops it."""
        for version in ("a", "b", "a"):
            rows.publish(routes(version))
        assert self.kept(rows) == ["a", "b"]

        rows.publish(routes("c"))
        assert self.kept(rows) == ["c", "a"]

    def test_only_its_owner_takes_a_row_away(self, rows: RouteRows) -> None:
        """A resource that was renamed is created before the old one is deleted."""
        rows.publish(routes("a"))
        rows.publish(routes("a", owner="stack/Renamed"))

        rows.forget("front", OWNER)
        assert self.kept(rows) == ["a"]

        for _ in range(2):
            rows.forget("front", "stack/Renamed")
        assert self.kept(rows) == []
