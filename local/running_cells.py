"""A mesh over several accounts seen from outside: each service, identity and hierarchy where its cell is."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from local.running_mesh import RunningMesh
from meshcert.mesh.cells.placing import cells_of_identities
from meshcert.mesh.cells.slices import in_cell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.running_aws import LocalAws
    from local.running_mesh import Task
    from meshcert.material import Material, TrustBundle
    from meshcert.mesh import Mesh


@dataclass(frozen=True)
class RunningCells(RunningMesh):
    """
    The deployed cells of a mesh, as one mesh.

    Args:
        cells: Those that run services, by name.
        of_services: The cell of each service.
        of_identities: The cell that issues each identity; if several do, one of them.
        of_hierarchies: A cell that has each hierarchy's trust bundle.
    """

    cells: Mapping[str, RunningMesh] = field(default_factory=dict)
    of_services: Mapping[str, str] = field(default_factory=dict)
    of_identities: Mapping[str, str] = field(default_factory=dict)
    of_hierarchies: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, aws: LocalAws, mesh: Mesh) -> RunningCells:
        """The cells of a mesh on a local AWS."""
        of_services = {name: service.cell for name, service in mesh.services.items()}
        names = [name for name in mesh.cells if name in of_services.values()]
        cells = {
            name: RunningMesh(
                aws,
                mesh.name,
                partial(aws.resolve, account=mesh.cells[name].account),
                cell=name,
                account=mesh.cells[name].account,
            )
            for name in names
        }
        return cls(
            aws,
            mesh.name,
            aws.resolve,
            cells=cells,
            of_services=of_services,
            of_identities={name: min(cells) for name, cells in cells_of_identities(mesh).items()},
            of_hierarchies={hierarchy: name for name in names for hierarchy in in_cell(mesh, name).hierarchies},
        )

    def again(self) -> RunningCells:
        """See :meth:`RunningMesh.again`."""
        fields = {name: getattr(self, name) for name in ("of_services", "of_identities", "of_hierarchies")}
        cells = {name: cell.again() for name, cell in self.cells.items()}
        return RunningCells(self.aws, self.name, self.resolve, cells=cells, **fields)

    def ready_tasks(self) -> dict[str, list[Task]]:
        """See :meth:`RunningMesh.ready_tasks`."""
        return {service: tasks for cell in self.cells.values() for service, tasks in cell.ready_tasks().items()}

    def is_steady(self, services: list[str]) -> bool:
        """See :meth:`RunningMesh.is_steady`."""
        return all(self._with(service).is_steady([service]) for service in services)

    def gateway_address(self, service: str) -> str:
        """See :meth:`RunningMesh.gateway_address`."""
        return self._with(service).gateway_address(service)

    def trust_bundle(self, hierarchy: str) -> TrustBundle:
        """See :meth:`RunningMesh.trust_bundle`."""
        return self.cells[self.of_hierarchies[hierarchy]].trust_bundle(hierarchy)

    def material(self, identity: str, version: str = "") -> Material:
        """See :meth:`RunningMesh.material`."""
        return self._issuing(identity).material(identity, version)

    def version_labelled(self, identity: str, label: str) -> str:
        """See :meth:`RunningMesh.version_labelled`."""
        return self._issuing(identity).version_labelled(identity, label)

    def is_settled(self, identity: str) -> bool:
        """See :meth:`RunningMesh.is_settled`."""
        return self._issuing(identity).is_settled(identity)

    def certificate(self, identity: str) -> dict[str, Any]:
        """See :meth:`RunningMesh.certificate`."""
        return self._issuing(identity).certificate(identity)

    def queued(self, queue: str) -> int:
        """See :meth:`RunningMesh.queued`; in all cells."""
        return sum(cell.queued(queue) for cell in self.cells.values())

    def log_lines(self, service: str) -> list[dict[str, Any]]:
        """See :meth:`RunningMesh.log_lines`."""
        return self._with(service).log_lines(service)

    def described(self, service: str, desired: str) -> list[dict[str, Any]]:
        """See :meth:`RunningMesh.described`."""
        return self._with(service).described(service, desired)

    def _with(self, service: str) -> RunningMesh:
        return self.cells[self.of_services[service]]

    def _issuing(self, identity: str) -> RunningMesh:
        return self.cells[self.of_identities[identity]]
