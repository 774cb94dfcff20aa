"""The files of the material folder, which is a tmpfs in the container."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MATERIAL_DIR = "MESHCERT_MATERIAL_DIR"
DEFAULT_MATERIAL_DIR = "/run/meshcert"


class Paths:
    """
    Where things lie, from the environment.

    Args:
        environ: The process's environment.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.folder = environ.get(MATERIAL_DIR) or DEFAULT_MATERIAL_DIR
        self.secrets = f"{self.folder}/secrets"
        """Folder of the SDS resource files. Envoy watches it: it is never removed and made again."""
        self.bootstrap = f"{self.folder}/bootstrap.json"
        self.envoy_config = f"{self.folder}/envoy.json"
        """The named pipe Envoy reads its configuration from, once."""
        self.sds_socket = f"{self.folder}/sds.sock"
        """Where Envoy asks for its secrets when they are not files."""
        self.delivered = f"{self.folder}/delivered"
        """Exists once Envoy has accepted every secret."""
