"""ClusterRoles: what may be done everywhere, alone or put together from others.

Source: pkg/apis/rbac/validation (v1.37).
"""

from moorage.api.kinds.rbac import validate_rules
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object
from moorage.objects.selector_rules import validate_label_selector
from moorage.objects.validation import invalid, required


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a ClusterRole."""
    del request
    causes = validate_rules(obj.get("rules") or [], namespaced=False)
    aggregation = obj.get("aggregationRule")
    if aggregation is None:
        return causes
    path = "aggregationRule.clusterRoleSelectors"
    selectors = aggregation.get("clusterRoleSelectors") or []
    if not selectors:
        text = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        causes.append(required(path, text))
    for index, selector in enumerate(selectors):
        found = validate_label_selector(f"{path}[{index}]", selector)
        causes += found
        if found:
            causes.append(invalid(f"{path}[{index}]", None, "invalid label selector."))
    return causes
