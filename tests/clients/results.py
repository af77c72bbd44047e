"""What the programs of checks say, in whatever language they are written: one line of JSON for each check."""

import json


def expect_all_passed(said: str) -> None:
    """Fail with all that failed. Raises AssertionError also if nothing was checked."""
    results = [json.loads(line) for line in said.splitlines() if line.startswith('{"check"')]
    assert results, said
    failures = [f"{each['check']}\n{each['error']}" for each in results if each["error"]]
    assert not failures, "\n".join(failures)
