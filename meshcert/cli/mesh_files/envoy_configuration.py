"""``meshcert envoy``: the configuration of one proxy's Envoy, and Envoy's own word on it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshcert.cli.options import ChosenMesh, mesh_option, name_argument
from meshcert.cli.terminal import tell_aside, tell_json, tell_lines
from meshcert.envoy import Addresses, bootstrap, ways_in
from meshcert.mesh import load_mesh, proxy_settings
from meshcert.mesh.naming import suggestion
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from meshcert.mesh import Mesh
    from meshcert.proxy import ProxySettings

ACCEPTED, REFUSED_BY_ENVOY, NO_ENVOY = 0, 1, 2
LONGEST_VALIDATION_S = 60.0
ADDRESSES = Addresses(
    secrets_directory="/run/meshcert/secrets",
    sds_socket="/run/meshcert/sds.sock",
    ways_in="/run/meshcert/ways-in/listeners.json",
    endpoints_directory="/run/meshcert/endpoints",
)
"""Those of a task, for reading: nothing has to be there."""

_ENVOY = """\b
  meshcert envoy gateway | jq '.static_resources.clusters[].name'
  meshcert envoy orders --mesh mesh.yaml --validate

Exit codes: 0 printed, or Envoy accepts it; 1 Envoy refuses it, and says why; 2 there is no envoy on the PATH
(`pip install envoy` has one, and so has its release page).
"""


@click.command(short_help="Print the Envoy configuration of one proxy.", epilog=_ENVOY)
@name_argument
@click.option("--validate", is_flag=True, help="Have the `envoy` on the PATH check it instead of printing it.")
@mesh_option
@click.pass_obj
def envoy(chosen: ChosenMesh, name: str, *, validate: bool) -> None:
    """
    Print the configuration of a service's Envoy, from the mesh file alone.

    NAME is a service, or the virtual gateway or virtual node that it runs. Listeners that a task opens only when its
    application answers are in it as they are then. It holds no key: secrets come by SDS. Addresses and paths are
    those of a task.
    """
    mesh = load_mesh(chosen.file())
    settings = proxy_settings(mesh, _service(mesh, name))
    if not validate:
        tell_json(whole_configuration(settings, ADDRESSES))
        return
    program = shutil.which("envoy")
    if program is None:
        tell_aside("meshcert: there is no envoy on the PATH, so nothing was checked. `pip install envoy` brings one")
        sys.exit(NO_ENVOY)
    sys.exit(_validate(program, settings))


def whole_configuration(settings: ProxySettings, addresses: Addresses) -> dict[str, Any]:
    """Envoy's configuration with all listeners in it, those too that open when the application answers."""
    configuration = bootstrap(settings, addresses)
    if configuration.pop("dynamic_resources", None):
        opened = ways_in(settings, addresses, opened=True)["resources"]
        listeners = configuration["static_resources"]["listeners"]
        listeners += [{key: value for key, value in each.items() if key != "@type"} for each in opened]
    return configuration


def _validate(program: str, settings: ProxySettings) -> int:
    # Over a socket no file has to be there; what is delivered is the same.
    configuration = whole_configuration(settings._replace(delivery=DeliveryMode.SDS), ADDRESSES)
    with tempfile.TemporaryDirectory(prefix="meshcert-envoy-") as folder:
        file = Path(folder, "envoy.json")
        file.write_text(json.dumps(configuration))
        command = [program, "--mode", "validate", "-c", str(file), "--log-level", "warning"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST_VALIDATION_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            tell_aside(f"meshcert: {program} could not check it: {type(error).__name__}")
            return NO_ENVOY
    tell_lines([*done.stdout.splitlines(), *done.stderr.splitlines()], aside=bool(done.returncode))
    return REFUSED_BY_ENVOY if done.returncode else ACCEPTED


def _service(mesh: Mesh, name: str) -> str:
    if name in mesh.services:
        return name
    for service, declared in mesh.services.items():
        if name in (declared.virtual_gateway, declared.virtual_node):
            return service
    remedy = suggestion(name, mesh.services, f"there are: {', '.join(mesh.services)}")
    raise click.UsageError(f"no service {name} in mesh {mesh.name}, nor a proxy of that name. {remedy}")
