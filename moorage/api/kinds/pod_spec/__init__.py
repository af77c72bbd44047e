"""The rules of a pod's specification, shared by pods and everything that has a pod template. Pure."""
