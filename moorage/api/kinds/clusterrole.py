"""ClusterRoles: what may be done everywhere, or is gathered from other roles.

Source: pkg/registry/rbac/clusterrole, pkg/apis/rbac/validation (v1.37).
"""

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.rbac.escalation import check_role
from moorage.api.kinds.rbac.policies import validate_rules
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object
from moorage.objects.selector_rules import validate_label_selector
from moorage.objects.validation import invalid, required


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Refuse to grant what the author does not have."""
    check_role(draft, None, request, lookup)


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Refuse to grant what the author does not have."""
    check_role(draft, old, request, lookup)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a ClusterRole."""
    del request
    causes = validate_rules(obj.get("rules") or (), namespaced=False)
    aggregation = obj.get("aggregationRule")
    if aggregation is None:
        return causes
    path = "aggregationRule.clusterRoleSelectors"
    selectors = aggregation.get("clusterRoleSelectors") or ()
    if not selectors:
        causes.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
    for index, selector in enumerate(selectors):
        if found := validate_label_selector(f"{path}[{index}]", selector):
            causes += [*found, invalid(f"{path}[{index}]", None, "invalid label selector.")]
    return causes
