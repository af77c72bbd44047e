"""The simulator, faults, invariants, builders."""
