"""APIServices of custom groups: there as long as a definition serves the group in that version.

Source: pkg/controlplane/controller/crdregistration, kube-aggregator/pkg/controllers/autoregister (v1.37).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from moorage.controllers.custom_resources import RESOURCE as DEFINITIONS
from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Create, Delete, Update
from moorage.objects.api_services import ALWAYS, CUSTOM_PRIORITY, MANAGED_LABEL, RESOURCE, api_service
from moorage.objects.metadata import Object, Ref, is_condition_true, labels_of, uid_of


@dataclass(frozen=True, slots=True)
class Observed:
    """A group version of definitions (`v1.example.com`), whether one serves it, and its APIService if there is one."""

    name: str
    is_served: bool
    found: Object | None


def observe(view: View, ref: Ref) -> Observed | None:
    """Select an APIService and say whether a definition wants it."""
    found = view.get(RESOURCE, "", ref.name)
    if found is not None and labels_of(found).get(MANAGED_LABEL) != ALWAYS:
        return None  # the server's own, or somebody's who serves the group himself
    definitions = view.list(DEFINITIONS)
    return Observed(ref.name, any(ref.name in _served(each) for each in definitions), found)


def decide(observed: Observed, now: datetime) -> Decision:
    """Make, mend or remove the APIService."""
    del now
    version, _, group = observed.name.partition(".")
    wanted, found = api_service(group, version, ALWAYS, CUSTOM_PRIORITY), observed.found
    if not observed.is_served:
        if found is None:
            return Decision(because="no definition serves it")
        ref = Ref(RESOURCE, "", observed.name, uid_of(found))
        return Decision((Delete(ref),), because="no definition serves it any more")
    if found is None:
        return Decision((Create(RESOURCE, wanted),), because="a definition serves it")
    if found.get("spec") != wanted["spec"]:
        return Decision((Update(RESOURCE, {**found, "spec": wanted["spec"]}),), because="a definition serves it")
    return Decision(because="a definition serves it")


def _served(definition: Object) -> list[str]:
    """Return the names of the APIServices that an established definition wants."""
    if not is_condition_true(definition, "Established"):
        return []
    spec = definition["spec"]
    return [f"{each['name']}.{spec['group']}" for each in spec.get("versions") or () if each.get("served")]


def _wakes(view: View, definition: Object) -> Iterable[Ref]:
    del view
    return [Ref(RESOURCE, "", name) for name in _served(definition)]


CONTROLLER: Final = Controller(
    name="crd-registration-controller",
    kind=RESOURCE,
    wakes={DEFINITIONS: _wakes},
    observe=observe,
    decide=decide,
    sweeps=True,
)
