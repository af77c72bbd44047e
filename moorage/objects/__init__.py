"""Pure knowledge of Kubernetes objects: no I/O, no clock, no chance. Imports nothing of ours."""
