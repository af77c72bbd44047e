"""The Kubernetes API as a library, without HTTP."""
