"""The rules of services by concept: what is allocated, and what is allowed. Pure over what a Lookup lists."""
