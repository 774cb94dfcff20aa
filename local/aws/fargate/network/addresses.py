"""Loopback addresses of one local AWS."""

from __future__ import annotations

import itertools

TASKS = range(1, 250)
LOAD_BALANCERS = range(250, 255)
_FOURTH_OCTETS = 254


class Addresses:
    """
    Some of the addresses of one loopback network, each handed out once.

    None is used twice: who still holds a stopped task's address must be refused, not answered by another task.

    Args:
        network: The first two octets, for example ``127.83``.
        third_octets: Which part of the network.
    """

    def __init__(self, network: str, third_octets: range) -> None:
        self._network = network
        self._third_octets = third_octets
        self._numbers = itertools.count()

    def allocate(self) -> str:
        """
        The next address.

        Raises:
            RuntimeError: If all are spent.
        """
        third, fourth = divmod(next(self._numbers), _FOURTH_OCTETS)
        if third >= len(self._third_octets):
            raise RuntimeError(f"no loopback address is left in {self._network}.0.0/16; restart the local AWS")
        return f"{self._network}.{self._third_octets[third]}.{fourth + 1}"
