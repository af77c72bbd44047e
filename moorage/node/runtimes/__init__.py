"""What runs pods, behind one Protocol (runtime.py)."""
