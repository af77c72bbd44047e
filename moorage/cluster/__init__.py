"""The composition root: configuration, wiring, certificates."""
