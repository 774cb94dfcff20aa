"""
``make audit``: compare every pin with the advisories that OSV knows (https://osv.dev, which has PyPI's and GitHub's).

Exit codes: 0 no advisory is known, 1 there are some, 2 something could not be asked. What could not be asked is said:
silence is never a good sign. Debian's packages in the base images are not asked about; a new digest brings new ones.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from tools.supply_chain.locks import LOCKS, NPM_LOCKS, read_lock, read_npm_lock

if TYPE_CHECKING:
    from collections.abc import Iterable

OSV = "https://api.osv.dev/v1/querybatch"
AT_ONCE = 500
"""Queries in one request; OSV takes 1,000 (OSV API, "POST /v1/querybatch")."""
CLEAN, ADVISED, NOT_ASKED = 0, 1, 2


@dataclass(frozen=True)
class Audit:
    """
    The result.

    Args:
        advisories: Ids of advisories by package URL; only packages that have some.
        not_asked: Package URLs about which nothing is known, because OSV could not be asked.
        reason: Why, in words.
    """

    advisories: dict[str, tuple[str, ...]]
    not_asked: tuple[str, ...] = ()
    reason: str = ""

    @property
    def exit_code(self) -> int:
        """Advisories come first: they are certain."""
        if self.advisories:
            return ADVISED
        return NOT_ASKED if self.not_asked else CLEAN


def pins() -> tuple[str, ...]:
    """Package URLs of everything in any lock."""
    of_python = {f"pkg:pypi/{pin.name}@{pin.version}" for lock in LOCKS for pin in read_lock(lock.path)}
    of_node = {f"pkg:npm/{pin.name}@{pin.version}" for path in NPM_LOCKS for pin in read_npm_lock(path)}
    return tuple(sorted(of_python | of_node))


def audit(packages: Iterable[str], client: httpx.Client) -> Audit:
    """Ask OSV about packages, by their URLs; what it does not answer is told, never dropped."""
    asked = tuple(packages)
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(asked), AT_ONCE):
        part = asked[start : start + AT_ONCE]
        try:
            answer = client.post(OSV, json={"queries": [{"package": {"purl": purl}} for purl in part]})
            results = answer.raise_for_status().json()["results"]
            found |= {
                purl: tuple(sorted(one["id"] for one in result["vulns"]))
                for purl, result in zip(part, results, strict=True)
                if result.get("vulns")
            }
        except httpx.HTTPError as error:
            return Audit(found, asked[start:], f"{OSV} cannot be reached: {error}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return Audit(found, asked[start:], f"{OSV} answers otherwise than documented: {error!r}")
    return Audit(found)


def tell(result: Audit, asked: int) -> str:
    """The result in words."""
    lines = [f"{purl}: {', '.join(ids)}" for purl, ids in sorted(result.advisories.items())]
    lines.append(
        f"{asked - len(result.not_asked)} of {asked} pins asked about, {len(result.advisories)} with advisories"
    )
    if result.not_asked:
        lines.append(f"NOT ASKED about {len(result.not_asked)}: {result.reason}")
        lines += [f"  {purl}" for purl in result.not_asked]
    lines.append("never asked about: Debian's packages in the base images, Envoy's own binary")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Audit all pins; returns the exit code."""
    packages = pins()
    with httpx.Client(timeout=30) as client:
        result = audit(packages, client)
    sys.stdout.write(tell(result, len(packages)))
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main())
