"""The command `moorage`. Commands are imported when they are called: start-up is a feature."""

import importlib
import sys
from collections.abc import Mapping

import click

#: Command -> (module, one line of help). The help stands here so that `moorage --help` imports no command.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "up": ("up", "Start a cluster in the background, or say that it runs."),
    "down": ("down", "Stop a cluster; its data stays unless told otherwise."),
    "status": ("status", "Say whether a cluster runs, and what it consists of."),
    "kubeconfig": ("kubeconfig", "Print the administrator's kubeconfig."),
    "why": ("why", "Say why an object is not as wished, what holds it up, and what mends it."),
    "logs": ("logs", "Print what the cluster's own process says."),
    "image": ("image", "Load, list and remove images for the cluster's nodes."),
    "demo": ("demo", "Play a lesson on a running cluster."),
    "simulate": ("simulate", "Live through random lives of a cluster in virtual time."),
    "version": ("version", "Print the versions of Moorage and of the Kubernetes that it speaks."),
    "completion": ("completion", "Print the completion script of a shell."),
}


class Refused(click.ClickException):
    """The command was refused or failed: one message, which says what to do next. Exit code 1."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)

    def show(self, file: object = None) -> None:
        """Print the message on stderr."""
        click.echo(f"moorage: {self.message}", err=True)


class Commands(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"moorage.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
def moorage(debug: bool) -> None:
    """A small Kubernetes in one Python package: real API, controllers, scheduler and pods.

    Start with `moorage up`, then use kubectl as on any cluster.
    """


def main() -> None:
    """Run the command line; exit codes: 0 done, 1 refused or failed, 2 wrong usage."""
    debug = "--debug" in sys.argv[1:]
    try:
        moorage.main(prog_name="moorage", standalone_mode=True)
    except Exception as error:
        if debug:
            raise
        click.echo(
            f"moorage: {error or type(error).__name__} (run again with `moorage --debug …` for details)", err=True
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
