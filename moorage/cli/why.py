"""`moorage why`: what holds an object up, told from the object to the root, and the command that mends it."""

import asyncio
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from moorage.cli.__main__ import Refused
from moorage.cli.options import cluster_options, directory_of, running

if TYPE_CHECKING:
    from moorage.client.kubeconfig import Credentials
    from moorage.why.chain import Answer


@click.command()
@cluster_options
@click.argument("words", nargs=-1, required=True, metavar="KIND/NAME | KIND NAME")
@click.option("-n", "--namespace", default="", help="Its namespace. Default: that of the context, or default.")
@click.option("--kubeconfig", type=click.Path(path_type=Path, dir_okay=False), help="Ask the cluster of this file.")
@click.option("--context", default="", help="Ask the cluster of this context of the kubeconfig.")
@click.option("--story", is_flag=True, help="Also what the cluster's controllers decided about these objects, and why.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def command(name: str, data_dir: Path | None, words: tuple[str, ...], **options: Any) -> None:
    """Say in at most five lines why an object is not as wished, what holds it up, and what mends it.

    Asks the cluster of --name, or any other one by --kubeconfig or --context. Exit code 0 with every answer, also with
    "nothing is wrong"; 1 if the object or the cluster is not there.
    """
    kind, called = _asked(words)
    is_foreign = bool(options["kubeconfig"] or options["context"])
    if options["story"] and is_foreign:
        raise Refused(
            "the story is kept by Moorage's own process alone.", hint="Name the cluster: --name or --data-dir."
        )
    credentials = _foreign(options["kubeconfig"], options["context"]) if is_foreign else _own(name, data_dir)
    namespace = options["namespace"] or credentials.namespace or "default"
    answer = asyncio.run(_answer(credentials, kind, called, namespace))
    story = _story(directory_of(name, data_dir), answer) if options["story"] else None
    if options["output"] == "json":
        click.echo(orjson.dumps(_plain(answer, story), option=orjson.OPT_INDENT_2))
        return
    for line in answer.lines():
        click.echo(line)
    for entry in story or ():
        click.echo(_told(entry))


def _asked(words: tuple[str, ...]) -> tuple[str, str]:
    parts = words[0].split("/", 1) if len(words) == 1 else list(words)
    if len(parts) != 2 or not all(parts) or any("/" in part for part in parts):
        raise click.UsageError("name one object: KIND/NAME or KIND NAME")
    return parts[0], parts[1]


def _own(name: str, data_dir: Path | None) -> "Credentials":
    running(name, data_dir)
    return _credentials((directory_of(name, data_dir) / "kubeconfig",), "")


def _foreign(kubeconfig: Path | None, context: str) -> "Credentials":
    from moorage.client.kubeconfig import paths_of

    return _credentials((kubeconfig,) if kubeconfig else paths_of(os.environ), context)


def _credentials(paths: tuple[Path, ...], context: str) -> "Credentials":
    from moorage.client.kubeconfig import KubeconfigError, read_credentials

    try:
        return read_credentials(paths, context)
    except KubeconfigError as error:
        raise Refused(f"{error}.") from error


async def _answer(credentials: "Credentials", kind: str, name: str, namespace: str) -> "Answer":
    from moorage.aio.clock import SystemClock
    from moorage.cli.inquiry import ask, resource_named
    from moorage.client.http import HttpClient
    from moorage.objects.errors import NotFound, StatusError
    from moorage.objects.metadata import Ref

    async with HttpClient(credentials, "moorage-why") as client:
        try:
            resource, is_namespaced = await resource_named(client, kind)
            where = namespace if is_namespaced else ""
            return await ask(client, Ref(resource, where, name), SystemClock().now())
        except NotFound as error:
            inside = f" in namespace {namespace}" if is_namespaced else ""
            scope = f" -n {namespace}" if is_namespaced and namespace != "default" else ""
            raise Refused(f"{error}{inside}.", hint=f"See what there is with: kubectl{scope} get {resource}") from error
        except StatusError as error:
            raise Refused(str(error)) from error
        except ConnectionError as error:
            raise Refused(f"the cluster cannot be reached: {error}") from error


def _story(directory: Path, answer: "Answer") -> list[dict[str, Any]]:
    """Return what was decided about the objects of an answer, oldest first."""
    from moorage.cluster.control import ControlRefused, ask

    refs = [list(link.ref[:3]) for link in answer.links]
    try:
        return list(ask(directory, {"do": "story", "refs": refs}))
    except (ControlRefused, OSError) as error:
        raise Refused(f"the cluster's process does not tell its story: {error}") from error


def _told(entry: dict[str, Any]) -> str:
    ref = entry["ref"]
    at = datetime.fromisoformat(entry["at"].replace("Z", "+00:00"))
    done = ", ".join(entry["actions"]) or "nothing"
    error = f": {entry['error']}" if entry["error"] else ""
    about = f"{ref['resource']} {ref['name']}"
    return f"{at:%H:%M:%S} {entry['controller']} {about}: {entry['because']} → {done} ({entry['outcome']}{error})"


def _plain(answer: "Answer", story: list[dict[str, Any]] | None) -> dict[str, Any]:
    from moorage.why.cause import kind_of

    def plain(link: Any) -> dict[str, str]:
        ref = link.ref
        return {
            "kind": kind_of(ref.resource),
            "resource": ref.resource,
            "namespace": ref.namespace,
            "name": ref.name,
            "says": link.says,
        }

    shown: dict[str, Any] = {
        "wrong": answer.is_wrong,
        "chain": [plain(link) for link in answer.links],
        "root": plain(answer.root),
        "command": answer.command,
    }
    return shown if story is None else {**shown, "story": story}
