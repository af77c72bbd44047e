"""The revision log: bytes with revisions, durable before visible. No Kubernetes words."""
