"""One file an admission plugin; chain.py names their order."""
