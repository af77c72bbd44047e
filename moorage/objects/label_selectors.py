"""Label selectors in their structured form (`matchLabels`, `matchExpressions`), tested against labels.

The text form of the API's query parameters belongs to moorage.api.list_options.
Source: apimachinery/pkg/apis/meta/v1/helpers.go LabelSelectorAsSelector (v1.37).
"""

from collections.abc import Mapping

from moorage.objects.metadata import Object, labels_of


def is_selected(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """Tell whether the labels meet a LabelSelector. No selector takes nothing, an empty one takes everything."""
    if selector is None:
        return False
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    for key, value in wanted.items():
        if labels.get(key) != value:
            return False
    return all(_is_met(each, labels) for each in selector.get("matchExpressions") or ())


def selects(workload: Object, obj: Object) -> bool:
    """Tell whether `spec.selector` of a workload (a LabelSelector) is not empty and takes the object's labels."""
    selector = (workload.get("spec") or {}).get("selector")
    return bool(selector) and is_selected(selector, labels_of(obj))


def _is_met(requirement: Object, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement["key"])
    values = requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False
