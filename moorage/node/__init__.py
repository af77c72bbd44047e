"""One node: pure decisions about pods, and the loop that performs them."""
