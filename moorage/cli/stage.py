"""Where a lesson is shown: two columns that live on a terminal, plain lines elsewhere."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

#: Side -> (pod name, what it does), in order.
Board = Mapping[str, Sequence[tuple[str, str]]]

SIDES = ("ReplicaSet", "StatefulSet")


class Stage(Protocol):
    """Shows chapters, commands, words, and the pods of both sides as they change."""

    def chapter(self, title: str) -> None:
        """Begin a chapter."""

    def command(self, text: str) -> None:
        """Show the command that does the same."""

    def say(self, text: str) -> None:
        """Say what was seen."""

    def show(self, board: Board) -> None:
        """Show the pods as they are now."""

    def settle(self) -> None:
        """The chapter's pods have come to rest."""


class PlainStage:
    """Lines for logs and pipes: each change of a pod is a line."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, str], str] = {}

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        click.echo(f"\n== {title}")

    def command(self, text: str) -> None:
        """Show the command that does the same."""
        click.echo(f"$ {text}")

    def say(self, text: str) -> None:
        """Say what was seen."""
        click.echo(f"   {text}")

    def show(self, board: Board) -> None:
        """Print what changed since the last time."""
        now = {(side, name): state for side, pods in board.items() for name, state in pods}
        for key, state in now.items():
            if self._shown.get(key) != state:
                click.echo(f"   {key[0]:<12} {key[1]:<24} {state}")
        for side, name in self._shown.keys() - now.keys():
            click.echo(f"   {side:<12} {name:<24} gone")
        self._shown = now

    def settle(self) -> None:
        """Nothing to do: every line stays where it is."""


class LiveStage:
    """Two columns that change in place, then stay above what follows."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(highlight=False)
        self._live: Live | None = None

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._console.print(f"\n[bold cyan]{title}[/]")

    def command(self, text: str) -> None:
        """Show the command that does the same."""
        from rich.text import Text

        self._console.print(Text.assemble(("$ ", "dim"), text))

    def say(self, text: str) -> None:
        """Say what was seen."""
        from rich.text import Text

        self._console.print(Text(f"  {text}"))

    def show(self, board: Board) -> None:
        """Show the pods as they are now."""
        from rich.live import Live

        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=20)
            self._live.start()
        self._live.update(_columns(board))

    def settle(self) -> None:
        """Leave the last picture where it is."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _columns(board: Board) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    colours = {"Running": "green", "Terminating": "red"}
    table = Table(box=None, padding=(0, 4, 0, 2))
    for side in SIDES:
        table.add_column(side, min_width=36, header_style="bold")
    rows = max((len(pods) for pods in board.values()), default=0)
    for index in range(rows):
        cells = []
        for side in SIDES:
            pods = board.get(side, ())
            name, state = pods[index] if index < len(pods) else ("", "")
            cells.append(Text.assemble(f"{name:<22} ", (state, colours.get(state, "yellow"))))
        table.add_row(*cells)
    return table
