"""The files of the material folder, which is a tmpfs in the container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract import container, environment

if TYPE_CHECKING:
    from collections.abc import Mapping


class Paths:
    """The paths of the files, as the environment decides."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.folder = environ.get(environment.MATERIAL_DIR) or container.MATERIAL_DIR
        self.secrets = f"{self.folder}/secrets"
        """Folder of the SDS resource files. Envoy watches it, so it is never removed and made again."""
        self.endpoints = f"{self.folder}/endpoints"
        """Folder of the EDS resource files, which Envoy watches too."""
        self.routes = f"{self.folder}/routes"
        """Folder of the RDS resource files, which Envoy watches as well."""
        self.stored_settings = f"{self.folder}/settings.zlib"
        """The proxy's settings as they were fetched, if the environment only names them."""
        self.bootstrap = f"{self.folder}/bootstrap.json"
        self.envoy_config = f"{self.folder}/envoy.json"
        """The named pipe Envoy reads its configuration from, once."""
        self.sds_socket = f"{self.folder}/sds.sock"
        """The socket on which Envoy asks for its secrets, endpoints and routes if they are not files."""
        self.ways_in = f"{self.folder}/listeners/ways_in.json"
        """The listeners that wait for the application; alone in its folder, which Envoy watches."""
        self.ways_in_opened = f"{self.folder}/ways_in_opened.json"
        """What replaces it when the application is ready."""
        self.delivered = f"{self.folder}/delivered"
        """Exists once Envoy has accepted every secret."""
        self.ready = f"{self.folder}/{container.READY_FILE}"
        """In the readiness container's folder: exists while the application answers."""
