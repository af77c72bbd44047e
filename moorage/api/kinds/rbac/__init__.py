"""What the four kinds of RBAC share."""
