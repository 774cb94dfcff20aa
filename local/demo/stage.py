"""The demo's terminal: steps with their times, a table at the end, and how to look round."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from meshcert import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from local.running_aws import LocalAws

LONGEST_DETAIL = 72
WIDTH_WITHOUT_TERMINAL = 120


@dataclass
class Stage:
    """
    The terminal.

    Args:
        started: When the command began, Unix time in seconds: installs count too.
        on_detail: Called with every line of progress, shown or not.
    """

    started: float
    on_detail: Callable[[str], object] = str
    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))

    def __post_init__(self) -> None:
        if not self.console.is_terminal:
            self.console.width = WIDTH_WITHOUT_TERMINAL
        self.install_s = max(0.0, time.time() - self.started)

    @property
    def total_s(self) -> float:
        """Seconds since the command began."""
        return time.time() - self.started

    def title(self, text: str) -> None:
        """Say what this is."""
        self.console.print(f"\n[bold]{text}[/bold]\n")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Something that takes time: a spinner while it runs, a line with its seconds when it is done."""
        began = time.monotonic()
        with self.console.status(text) as self._status:
            self._text = text
            try:
                yield
            except BaseException:
                self.console.print(f"[red]✗[/red] {text}")
                raise
        self.console.print(f"[green]✓[/green] {text} [dim]{time.monotonic() - began:.1f} s[/dim]")

    def detail(self, line: str) -> None:
        """One line of progress inside a step; only terminals show it, and only the last one."""
        self.on_detail(line)
        if line.strip():
            self._status.update(f"{self._text} [dim]{line.strip()[:LONGEST_DETAIL]}[/dim]")

    def say(self, text: str) -> None:
        """A finding, below its step."""
        self.console.print(f"  {text}")

    def result(self, claims: Mapping[str, tuple[bool, str]], path: Path) -> None:
        """
        The table of what was proven.

        Args:
            claims: Each thing a story says: whether it was seen, and the figures.
            path: Where the figures are.
        """
        table = Table(title="What was proven", title_justify="left", title_style="bold", show_lines=False)
        table.add_column("claim")
        table.add_column("seen", justify="center")
        table.add_column("figures", style="dim")
        for claim, (seen, figure) in claims.items():
            table.add_row(claim, "[green]yes[/green]" if seen else "[red]NO[/red]", figure)
        self.console.print()
        self.console.print(table)
        self.console.print(f"\ninstall {self.install_s:.0f} s, total {self.total_s:.0f} s; figures in {path}")

    def look_round(self, aws: LocalAws, addresses: dict[str, str], trust_bundle: Path) -> None:
        """
        How to look at what was left running, and how to stop it.

        Args:
            addresses: What listens where: name of a load balancer or task, address and port.
            trust_bundle: File with the roots that the gateway's clients need.
        """
        environment = aws.environment()
        names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
        settings = " ".join(f"{name}={environment[name]}" for name in names)
        self.console.print("\n[bold]It keeps running.[/bold]")
        for name, address in addresses.items():
            self.console.print(f"  {name:38} {address}")
        gateway = addresses["gateway"]
        host, port = "colorgateway.mtls.svc.cluster.local", gateway.rpartition(":")[2]
        self.console.print("\nAsk the gateway, look at what Envoy serves, look at the secret's versions:")
        for line in (
            f"curl --cacert {trust_bundle} --resolve {host}:{port}:{gateway.partition(':')[0]} https://{host}:{port}/color",
            f"curl http://{addresses['colorteller, Envoy admin']}/certs",
            f"{settings} aws secretsmanager describe-secret --secret-id "
            + naming.identity_secret("color", "colorteller"),
        ):
            self.console.print(f"  {line}")
        self.console.print("\nPress Ctrl-C to stop it.")

    def failed(self, error: Exception, log: Path) -> None:
        """Why the demo could not go on, and where the local AWS's log lies."""
        self.console.print(f"\n[red]The demo stopped:[/red] {error}\nThe local AWS's log: {log}")
