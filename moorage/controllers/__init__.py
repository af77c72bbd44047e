"""Pure rules: decide(observed, now) -> Decision. One file or folder a controller; they never import each other."""
