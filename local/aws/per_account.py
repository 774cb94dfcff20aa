"""One part of the state of every AWS account, for the module that owns this part and knows no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from ministack.core import responses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Part = TypeVar("_Part")


class PerAccount(Generic[_Part]):
    """
    The part by account.

    Args:
        of: Returns an account's part, and makes it if there is none yet.
        ids: Returns the ids of the accounts that have one.
    """

    def __init__(self, of: Callable[[str], _Part], ids: Callable[[], Iterable[str]]) -> None:
        self._of = of
        self._ids = ids

    def __getitem__(self, account_id: str) -> _Part:
        return self._of(account_id)

    @property
    def current(self) -> _Part:
        """The part of the account whose request is being served."""
        return self._of(responses.get_account_id())

    def items(self) -> list[tuple[str, _Part]]:
        """Account ids with their parts."""
        return [(account_id, self._of(account_id)) for account_id in self._ids()]

    def values(self) -> list[_Part]:
        """The parts of all accounts."""
        return [part for _, part in self.items()]
