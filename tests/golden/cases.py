"""Recorded cases: questions and what a real v1.37.2 answered, one file for each area, packed by scripts/import-golden.

A case has a `name`, unique in its area; `steps`; `answers`, one for each step, None where none was kept; and flags:
`nodes` (needs nodes that run pods), `cluster` (touches what is shared: runs alone), `managedFields` (compared only
then), `sorted` (the order within traces does not matter), `ignore` (paths that are not compared), `cleanup` (requests
to send afterwards).
"""

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"

Case = dict[str, Any]


def all_files() -> list[Path]:
    """Return every packed file, by name."""
    return sorted(DATA.glob("*.json.gz"))


def area_of(file: Path) -> str:
    """Return what a file is called in ratchets and reports: api-list for api-list.json.gz."""
    return file.name.partition(".")[0]


def cases_of(file: Path, containing: str = "") -> list[Case]:
    """Return the cases of a file, packed or as recorded, whose name contains a text."""
    raw = file.read_bytes()
    text = gzip.decompress(raw) if file.suffix == ".gz" else raw
    cases: list[Case] = json.loads(text.decode("utf-8", "surrogatepass"))
    return [case for case in cases if containing in case["name"]]


def files_named(names: Sequence[str]) -> Iterable[Path]:
    """Yield the files that are meant by paths, or by areas of ours. Raises FileNotFoundError."""
    for name in names:
        path = Path(name)
        packed = DATA / f"{name}.json.gz"
        if not path.is_file() and not packed.is_file():
            raise FileNotFoundError(f"{name} is neither a file nor an area of {DATA}")
        yield path if path.is_file() else packed
