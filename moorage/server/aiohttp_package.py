"""Importing aiohttp's server without its client: half of the 160 ms that the whole package takes to import.

`import aiohttp` loads client, connector and cookie jar before any submodule can be had. `prepare` puts a package in
`sys.modules` whose own body runs when something asks for a name that is not a submodule (`aiohttp.ClientSession`), so
that whoever needs the client gets it, then. Call it before the first `from aiohttp.… import`.
"""

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    """aiohttp before its body ran: knows its submodules and its version."""

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if spec is None or spec.loader is None or name.startswith("__"):
            raise AttributeError(name)
        if importlib.util.find_spec(f"aiohttp.{name}") is not None:
            return importlib.import_module(f"aiohttp.{name}")
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec.loader.exec_module(self)
        return getattr(self, name)


def prepare() -> None:
    """Make `from aiohttp.web_server import Server` cheap, unless aiohttp was imported already."""
    if "aiohttp" in sys.modules:
        return
    spec = importlib.util.find_spec("aiohttp")
    version = _version_of(spec)
    if spec is None or not version:
        return
    package = _Package("aiohttp")
    package.__spec__ = spec
    package.__loader__ = spec.loader
    package.__file__ = spec.origin
    package.__path__ = list(spec.submodule_search_locations or ())
    package.__version__ = version  # type: ignore[attr-defined]
    sys.modules["aiohttp"] = package


def _version_of(spec: ModuleSpec | None) -> str:
    """Return the version that the package's first line states, "" if it does not: then it is imported as usual."""
    if spec is None or not spec.origin:
        return ""
    try:
        with open(spec.origin, encoding="utf-8") as file:
            name, _, value = file.readline().partition(" = ")
    except (OSError, UnicodeDecodeError):
        return ""
    return value.strip().strip('"') if name == "__version__" else ""
