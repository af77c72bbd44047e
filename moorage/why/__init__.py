"""Why an object is not as wished: pure rules, one for each kind or cause, and the walk from what is asked to its root.

Rules read objects and Events through a World and return a Cause; no I/O, no clock, no chance live here. They know only
what any Kubernetes API tells, so that they work against any cluster.
"""
