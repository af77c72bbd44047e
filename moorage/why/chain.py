"""From the object that is asked about to the root of its trouble: each link is the holder of the one before."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from moorage.objects.metadata import Object, Ref, is_terminating
from moorage.why import deletion, generic
from moorage.why.cause import Cause, cut, kind_of, kubectl
from moorage.why.rules import RULES
from moorage.why.world import Unreadable, World

#: An answer has no more lines than this.
LINES_MOST: Final = 5
#: A chain that goes on for longer would not be understood.
LINKS_MOST: Final = 8


class Link(NamedTuple):
    """One object and what is said about it."""

    ref: Ref
    says: str


@dataclass(frozen=True, slots=True)
class Answer:
    """From what was asked to the root; `command` mends it or shows more. Where nothing is wrong there is one link."""

    links: tuple[Link, ...]
    is_wrong: bool
    command: str = ""

    @property
    def root(self) -> Link:
        """The object that holds all the others up."""
        return self.links[-1]

    def lines(self) -> list[str]:
        """Return the answer as at most five lines."""
        asked = self.links[0]
        if not self.is_wrong:
            return [f"{shown(asked.ref, '')} {asked.says}: nothing is wrong with it."]
        texts = [f"{shown(each.ref, asked.ref.namespace)} {each.says}" for each in self.links[1:]]
        room = LINES_MOST - 1 - bool(self.command)
        if len(texts) > room:
            joined = ", because ".join(texts[: len(texts) - room + 1])
            texts = [joined, *texts[len(texts) - room + 1 :]]
        lines = [f"{shown(asked.ref, '')} {asked.says}", *(f"  because {text}" for text in texts)]
        return [*lines, f"try: {self.command}"] if self.command else lines


def shown(ref: Ref, namespace: str) -> str:
    """Return "Pod web-1", with the namespace where it is another than this one."""
    where = f"{ref.namespace}/" if ref.namespace and ref.namespace != namespace else ""
    return f"{kind_of(ref.resource)} {where}{ref.name}"


def explain(ref: Ref, obj: Object, world: World) -> Answer:
    """Return why an object is not as wished. Raises Missing."""
    try:
        cause = cause_of(ref, obj, world)
    except Unreadable as error:
        return Answer((Link(ref, f"cannot be explained: {cut(str(error))}"),), is_wrong=True)
    if cause is None:
        return Answer((Link(ref, generic.state_of(ref.resource, obj)),), is_wrong=False)
    links: list[Link] = []
    command = ""
    while cause is not None:
        links.append(Link(ref, cause.says))
        command = cause.command or command
        holder = cause.holder
        if holder is None or len(links) > LINKS_MOST or any(_is_same(holder, link.ref) for link in links):
            break
        before, ref = cause, holder
        try:
            found = world.get(holder)
            cause = cause_of(holder, found, world) if found is not None else None
        except Unreadable as error:
            links.append(Link(holder, f"cannot be explained: {cut(str(error))}"))
            break
        if found is None:
            links.append(Link(holder, "does not exist"))
            command = before.absent or kubectl(f"get {holder.resource}", holder.namespace)
        elif cause is None and before.held_as:
            links.append(Link(holder, before.held_as))
    return Answer(tuple(links), is_wrong=True, command=command)


def cause_of(ref: Ref, obj: Object, world: World) -> Cause | None:
    """Return what is not as wished about one object, None if nothing is. Raises Missing, Unreadable."""
    if is_terminating(obj):
        return deletion.explain(ref, obj, world)
    rule = RULES.get(ref.resource)
    cause = rule(obj, world) if rule is not None else None
    if cause is None and (rule is None or ref.resource not in generic.COMPLETE):
        cause = generic.explain(ref, obj, world)
    return cause


def _is_same(one: Ref, other: Ref) -> bool:
    return one[:3] == other[:3]
