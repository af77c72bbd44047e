"""A small Kubernetes in one Python package."""

__version__ = "0.1.0.dev0"

#: The Kubernetes whose API this is.
KUBERNETES_VERSION = "v1.37.2"
