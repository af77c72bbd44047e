"""HTTP only: routes, content types, watch streams, upgrades."""
