"""What a rule answers: what is not as wished about an object, and which other object holds it up."""

from typing import Final, NamedTuple

from moorage.objects.kinds import builtin
from moorage.objects.metadata import Ref

#: How much of a message of somebody else is repeated.
TEXT_MOST: Final = 220


class Cause(NamedTuple):
    """Why one object is not as wished.

    says:    completes the sentence "Pod web-1 …".
    command: what mends it, or shows more; "" if there is nothing better than the holder's.
    holder:  the object that holds it up, which may not exist; None if the reason is in the object itself.
    held_as: what is said about a holder that is as it should be ("uses it"); "" leaves it out.
    absent:  the command for a holder that does not exist.
    """

    says: str
    command: str = ""
    holder: Ref | None = None
    held_as: str = ""
    absent: str = ""


def kind_of(resource: str) -> str:
    """Return the kind of a built-in resource, its id for others."""
    try:
        return builtin(resource).kind
    except KeyError:
        return resource


def kubectl(words: str, namespace: str = "") -> str:
    """Return a command; the namespace is named unless it is the usual one."""
    where = f" -n {namespace}" if namespace and namespace != "default" else ""
    return f"kubectl{where} {words}"


def cut(text: str) -> str:
    """Return a message as one line that is not too long, without the dot at its end."""
    line = " ".join(text.split()).removesuffix(".")
    return line if len(line) <= TEXT_MOST else f"{line[: TEXT_MOST - 1]}…"


def count(number: int, noun: str) -> str:
    """Return "1 pod" or "2 pods"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
