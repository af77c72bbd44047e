"""What the kinds of dynamic resource allocation share."""
