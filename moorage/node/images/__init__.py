"""Images: references, registry, archives, layers on disk."""
