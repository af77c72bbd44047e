"""Where a pod goes: filters that explain themselves, scores; pure except loop.py."""
