"""Pod addresses, services and names."""
