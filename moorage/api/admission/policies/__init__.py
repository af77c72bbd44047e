"""Admission policies: expressions of users that change, refuse or annotate writes. One file a concern."""
