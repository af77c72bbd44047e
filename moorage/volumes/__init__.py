"""Volume drivers behind one Protocol (driver.py)."""
