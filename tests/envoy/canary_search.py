"""The canary search over one container: what it wrote, said, and shows of itself."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from meshcert.proxy import Delivery
from tests.canary import search_bytes, search_processes, secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.canary import Leak
    from tests.envoy.container import Container
    from tests.secrets_api import SecretsApi

_CONFIG_DUMP = "/config_dump?include_eds"


def leaks_of(container: Container, api: SecretsApi) -> list[Leak]:
    """
    Where secrets of its material are that must not be there.

    Args:
        container: Still running, or not.
        api: Its AWS, which knows what was published, and has what the container wrote.
    """
    wanted = secrets_in(api.published)
    written = [("its rows in the table", repr(row).encode()) for row in api.rows]
    told, _ = search_bytes(wanted, [*_files(container), *_admin(container), *written])
    shown, _ = search_processes(wanted)
    return told + shown


def _files(container: Container) -> Iterator[tuple[str, bytes]]:
    """Its log and its folder; with ``delivery: file``, what Envoy reads its secrets from is left out."""
    kept = container.material_dir / "secrets"
    for path in {path for folder in (container.folder, container.material_dir) for path in folder.rglob("*")}:
        if container.delivery is Delivery.FILE and kept in path.parents:
            continue
        with suppress(OSError):  # it is replaced just now
            if path.is_file():
                yield str(path), path.read_bytes()


def _admin(container: Container) -> Iterator[tuple[str, bytes]]:
    """What Envoy tells everybody in the task of its configuration."""
    with suppress(OSError):
        yield _CONFIG_DUMP, container.admin(_CONFIG_DUMP)[1].encode()
