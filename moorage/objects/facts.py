"""Package data as lines: `name TAB JSON`, so that only what is asked for is decoded.

Reading a file of 600 lines this way takes a tenth of a millisecond, and a change of one fact is a change of one line.
Written by scripts/extract-facts. Plain files beside this module: importlib.resources would cost 10 ms of start-up.
"""

import os.path
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

_FOLDER: Final = os.path.join(os.path.dirname(__file__), "data")


@cache
def lines(table: str) -> Mapping[str, bytes]:
    """Return the JSON of each line of data/<table>.table by its name. Names with `$` are about the table itself."""
    rows = (line.partition(b"\t") for line in packaged(f"{table}.table").splitlines())
    return MappingProxyType({name.decode(): value for name, _, value in rows})


def packaged(name: str) -> bytes:
    """Return the content of a file under data/."""
    with open(os.path.join(_FOLDER, name), "rb") as file:
        return file.read()
