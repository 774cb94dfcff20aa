"""The demo's terminal: steps with their times, a table at the end, and how to look round."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

LONGEST_DETAIL = 72
WIDTH_WITHOUT_TERMINAL = 120


@dataclass
class Stage:
    """
    The terminal.

    Args:
        started: When the command began, Unix time in seconds: installs count too.
        on_detail: Called with every line of progress, shown or not.
        told_every_s: How often a long step says how far it is where no terminal shows it all the time, seconds.
    """

    started: float
    on_detail: Callable[[str], object] = str
    told_every_s: float = 10.0
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
        """
        Something that takes time: a line with its seconds when it is done.

        Meanwhile a terminal shows a spinner; other outputs get a line every ten seconds.
        """
        began = time.monotonic()
        self._text, self._detail = text, ""
        done = Event()
        with self.console.status(text) as self._status:
            telling = Thread(target=self._tell, args=(began, done), daemon=True)
            if not self.console.is_terminal:
                telling.start()
            try:
                yield
            except BaseException:
                self.console.print(f"[red]✗[/red] {text}")
                raise
            finally:
                done.set()
                if telling.ident is not None:
                    telling.join()  # a line that has begun comes before the step's last
        self.console.print(f"[green]✓[/green] {text} [dim]{time.monotonic() - began:.1f} s[/dim]")

    def detail(self, line: str) -> None:
        """One line of progress inside a step; the last one is shown."""
        self.on_detail(line)
        if line.strip():
            whole = line.strip()
            self._detail = escape(whole if len(whole) <= LONGEST_DETAIL else f"{whole[: LONGEST_DETAIL - 1]}…")
            self._status.update(f"{self._text} [dim]{self._detail}[/dim]")

    def _tell(self, began: float, done: Event) -> None:
        while not done.wait(self.told_every_s):
            self.console.print(f"  … {time.monotonic() - began:.0f} s: {self._detail or self._text}")

    def plain(self, text: str) -> str:
        """Somebody else's text, so that :meth:`say` prints it as it is."""
        return escape(text)

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

    def ways(self, ways: Iterable[tuple[str, str]]) -> None:
        """
        How each service is reached.

        Args:
            ways: A service's listener, and who reaches it how.
        """
        self.console.print("\n[bold]How each service is reached[/bold]")
        for place, way in ways:
            self.console.print(f"  {escape(f'{place:30} {way}')}")

    def refused(self, error: Exception) -> None:
        """Why the mesh file cannot be deployed."""
        self.console.print(f"[red]{escape(str(error))}[/red]")

    def look_round(self, commands: Mapping[str, str]) -> None:
        """
        How to look at what was left running, and how to stop it.

        Args:
            commands: Lines for a shell, one after the other, each by what it is for.
        """
        self.console.print("\n[bold]It keeps running.[/bold] In another terminal, in this folder:")
        for purpose, command in commands.items():
            self.console.print(f"\n  [dim]# {escape(purpose)}[/dim]\n  {escape(command)}")
        self.console.print("\nPress Ctrl-C to stop it.")

    def failed(self, error: Exception, log: Path) -> None:
        """Why the demo could not go on, and where the local AWS's log lies."""
        self.console.print(f"\n[red]The demo stopped:[/red] {error}\nThe local AWS's log: {log}")
