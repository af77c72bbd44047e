"""Who may block the deletion of an owner must be allowed to change the owner's finalizers.

Differs from Kubernetes: the plugin asks the authorizer; here every writer who may write the dependent may also block.
The module keeps the plugin's place in the order.
Source: plugin/pkg/admission/gc (v1.37).
"""

RESOURCES: frozenset[str] = frozenset({"none"})
