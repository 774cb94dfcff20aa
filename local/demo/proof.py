"""The proof of any mesh file: who talks, who is refused, and that every identity is renewed while clients ask."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.demo.calling_tasks import CallingTasks
from local.demo.declared import Talk, talk
from local.demo.lives import LIFE_S, LIVES, live_under_load, lives_alone
from local.demo.questions import Asking, name_at, question_for
from local.demo.renewal import renew_under_load
from local.demo.result import ENOUGH_REQUESTS, Result
from local.demo.scene import Scene
from local.demo.stand_ins import HASTE, prepare
from local.demo.tcp_sessions import TcpAsking
from local.demo.undeclared import Verdict, try_undeclared
from local.gateway_client import SteadyClient
from meshcert.mesh.edges.pairs import pairs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from local.demo.renewal import Renewed
    from meshcert.material import Material
    from meshcert.mesh.edges.pairs import Pair

PAUSE_S = 0.05
"""
Between two requests of all clients together, seconds.

One request crosses up to a dozen services here, on a machine that renews their certificates meanwhile.
"""
KEPT_S = HASTE["max_connection_duration_s"] / 2
"""How long a client keeps a connection, seconds: Envoy ends an idle one when it is twice as old."""


@dataclass(frozen=True)
class PairsCounted:
    """
    The pairs of a mesh.

    Args:
        declared: Pairs that the mesh file lets talk.
        talk: How many of them do, as it declares.
        undeclared: All other pairs.
        refused: How many of them are refused, with the cause in the callee's log.
        trusted_undeclared: How many of them the listener lets in, because its rules name nobody or too many.
    """

    declared: int
    talk: int
    undeclared: int
    refused: int
    trusted_undeclared: int


@dataclass(frozen=True)
class ProofResult(Result):
    """
    What the proof has measured; ``build/demo-STEM.json`` is this, as JSON.

    Args:
        requests: Requests during the renewal, over all declared pairs.
        failed: How many of them failed.
        twice: How many of them came more than once to an application that counts, as stand-ins do; these are among the
            failed; a figure for people, which the JSON leaves out.
        renewed: Identities whose renewal was carried through: served by every Envoy that presents them, and proven.
        identities: All of them; a figure for people, which the JSON leaves out.
        lifetimes: Whole lives of certificates that have passed in real time; left out if ACM has issued any.
        connections: New connections that clients have opened meanwhile; told with the lives.
        cells: The accounts or regions that the mesh is over; 0 and left out for a mesh without cells.
        refused_without_share: Whether a cell that the CAs are not shared with could neither issue nor renew, and was
            told who has to share them; told with the cells.
    """

    pairs: PairsCounted
    requests: int
    failed: int
    twice: int
    renewed: int
    identities: int
    lifetimes: int = 0
    connections: int = 0
    cells: int = 0
    refused_without_share: bool = False

    def to_json(self) -> str:
        """The figures as indented JSON."""
        figures = json.loads(super().to_json())
        of_lives = () if self.lifetimes else ("lifetimes", "connections")
        of_cells = () if self.cells else ("cells", "refused_without_share")
        for figure in ("identities", "twice", *of_lives, *of_cells):
            del figures[figure]
        return json.dumps(figures, indent=2)

    @property
    def claims(self) -> dict[str, tuple[bool, str]]:
        """Each thing the proof says: whether it was seen, and the figures."""
        pairs = self.pairs
        trusted = f", {pairs.trusted_undeclared} let in by their rules" if pairs.trusted_undeclared else ""
        return {
            "every declared pair talks, as both Envoys count": (
                pairs.talk == pairs.declared > 0,
                f"{pairs.talk} of {pairs.declared}",
            ),
            "every other pair is refused, as the callee's log says": (
                pairs.undeclared == pairs.refused + pairs.trusted_undeclared,
                f"{pairs.refused} of {pairs.undeclared}{trusted}",
            ),
            (
                f"every identity is renewed through {self.lifetimes} lives, and nothing that has ended is served"
                if self.lifetimes
                else "every identity is renewed"
            ): (self.renewed == self.identities > 0, f"{self.renewed} of {self.identities}"),
            f"no request fails meanwhile (of at least {ENOUGH_REQUESTS})": (
                self.failed == 0 and self.requests >= ENOUGH_REQUESTS,
                f"{self.requests} requests, {self.failed} failed, {self.twice} came twice",
            ),
            **(
                {
                    "without the share nothing is issued or renewed, and the remedy is told": (
                        self.refused_without_share,
                        f"{self.cells} cells",
                    )
                }
                if self.cells
                else {}
            ),
        }


@dataclass
class Proof(Scene):
    """
    The proof of one mesh file.

    Args:
        file: The mesh file.
        lives: Whole lives that certificates of Private CA live.
        life_s: What such a life lasts, seconds.
    """

    file: Path
    lives: int = LIVES
    life_s: float = LIFE_S
    # A mesh has many identities, and how soon each is served is told to a tenth of a second at most.
    WATCH_EVERY_S = 0.2
    TITLE = "meshcert demo: every pair of a mesh file, on this machine, without AWS"

    def play(self) -> ProofResult:
        """Play all of it; raises when a step does not get through."""
        self._tell_what_is_deployed()
        self.stand_up()
        with self.stage.step("Reading every identity's certificate, as its tasks do"):
            materials = {name: self.running.material(name) for name in self.mesh.identities}
        pairs = pairs_of(self.mesh)
        calling = CallingTasks(self.running)
        askings = {pair: self._asking(pair, materials, calling) for pair in pairs if pair.declared}
        talks = self._talk(askings)
        verdicts = self._try(pairs, materials)
        asked = [(one, asking) for one in talks if one.talks and (asking := askings[one.pair])]
        clients = [
            SteadyClient(
                asking, one.answer, self.aws.requests_seen, PAUSE_S * len(asked), name=str(one.pair), kept_s=KEPT_S
            )
            for one, asking in asked
        ]

        def clients_renew() -> None:
            materials.update({name: self.running.material(name) for name in self.mesh.identities})

        renewed, lifetimes = self._renew(clients, clients_renew)
        return ProofResult(
            pairs=PairsCounted(
                declared=len(talks),
                talk=sum(one.talks for one in talks),
                undeclared=len(verdicts),
                refused=sum(one.refused for one in verdicts),
                trusted_undeclared=sum(one.trusted for one in verdicts),
            ),
            requests=sum(client.requests for client in clients),
            failed=sum(len(client.failures) for client in clients),
            twice=sum(client.twice for client in clients),
            renewed=sum(one.done for one in renewed.values()),
            identities=len(self.mesh.identities),
            lifetimes=lifetimes,
            connections=sum(client.connections for client in clients),
        )

    def _renew(
        self, clients: Sequence[SteadyClient], clients_renew: Callable[[], object]
    ) -> tuple[dict[str, Renewed], int]:
        """Each identity once, by ACM, or through whole lives, if Private CA issues for all; and how many lives."""
        if lives_alone(self):
            lived = live_under_load(self, clients, lives=self.lives, life_s=self.life_s, when_served=clients_renew)
            return lived.renewed, lived.lifetimes
        renewed = renew_under_load(
            self,
            clients,
            before="Every identity settles after the deploy",
            text="ACM's day comes: it renews; export, publication, reload or redeployment, and clients keep asking",
            when_served=clients_renew,
        )
        return renewed, 0

    def _mesh_file(self) -> Path:
        self._prepared = prepare(self.file, self.folder)
        return self._prepared.path

    def _tell_what_is_deployed(self) -> None:
        for service, protocol in self._prepared.stand_ins.items():
            image = self._prepared.images[service]
            self.stage.say(
                f"{service}: {image} is not a folder here; a stand-in that speaks {protocol} takes its place"
            )
        if self._prepared.hastened:
            self.stage.say(f"shorter than in the file, so that nobody waits: {', '.join(self._prepared.hastened)}")

    def _asking(self, pair: Pair, materials: dict[str, Material], calling: CallingTasks) -> Asking | TcpAsking | None:
        question = question_for(self.mesh, pair)
        if question is None:
            return None
        if question.host:
            address = calling.address_of(question.service)
            if question.listener.protocol == "tcp":
                return TcpAsking(question, address, pair.callee.listener.port)
            return Asking(question, address, question.host, "", {})
        name, roots = name_at(self.mesh, question.service, question.listener), ""
        if question.tls:
            identity = self.mesh.identities[question.listener.tls.identity]
            roots = self.running.trust_bundle(identity.hierarchy).certificates
        if self.mesh.services[question.service].load_balancer:
            balancer = self.running.gateway_address(question.service)
            return Asking(question, lambda: balancer, name, roots, materials)
        host = f"{question.service}.{self.mesh.namespace}"
        return Asking(question, lambda: self.running.resolve(host), name, roots, materials)

    def _talk(self, askings: dict[Pair, Asking | TcpAsking | None]) -> list[Talk]:
        with self.stage.step(f"Every declared pair is asked once ({len(askings)})"):
            talks = [talk(self.running, self.mesh, pair, asking) for pair, asking in askings.items()]
        for one in talks:
            told = f"answer {one.answer}; callee's Envoy: {one.counted or one.pair.manner}"
            seen = f"{one.pair}, {one.pair.manner}: {told}"
            self.stage.say(
                self.stage.plain(seen) if one.talks else f"[red]{one.pair}: {self.stage.plain(one.why_not)}[/red]"
            )
        return talks

    def _try(self, pairs: Sequence[Pair], materials: dict[str, Material]) -> list[Verdict]:
        count = sum(not pair.declared for pair in pairs)
        with self.stage.step(f"Every other pair is tried, straight at the callee ({count})"):
            verdicts = try_undeclared(self.running, self.mesh, pairs, materials)
        refused = sorted((one for one in verdicts if one.refused), key=lambda one: one.causes)
        for causes, group in itertools.groupby(refused, key=lambda one: one.causes):
            self.stage.say(f"refused, {', '.join(causes)}: {', '.join(str(one.pair) for one in group)}")
        if at_egress := [one for one in verdicts if one.refused_at_egress and not one.wrong]:
            self.stage.say(f"{len(at_egress)} through the caller's own egress listener, too: refused there (403)")
        for callee in dict.fromkeys(one.pair.callee for one in verdicts if one.trusted):
            trusted = [one.pair for one in verdicts if one.trusted and one.pair.callee == callee]
            callers = ", ".join(pair.caller.name for pair in trusted)
            self.stage.say(f"[yellow]trusted, though nobody declared it: {callers} → {callee.name}[/yellow]")
            for reason in dict.fromkeys(map(_why, trusted)):
                self.stage.say(f"  {reason}")
        for one in verdicts:
            if one.wrong:
                self.stage.say(f"[red]{one.pair}: {self.stage.plain(one.wrong)}[/red]")
        return verdicts


def _why(pair: Pair) -> str:
    tls = pair.callee.listener.tls
    if not pair.callee.asks_for_certificates:
        return "its listener asks nobody for a certificate"
    if not tls.subject_alternative_names:
        return f"its listener names nobody, so it trusts whomever {tls.trust} has signed"
    return "its listener names the caller, which does not name it among its backends"
