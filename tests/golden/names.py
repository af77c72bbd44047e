"""Names for what cannot be equal between two clusters: UIDs, times, revisions, random suffixes, hashes, addresses.

The recorded answers carry the same names, so that what was asked and what was recorded compare as plain data.
"""

import re
from typing import Any

_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_HASH = re.compile(r"(?<=-)[456789bcdf]{8,10}\b|^[456789bcdf]{8,10}$")
_ADDRESS = re.compile(r"\b10\.(96|124|244|0)\.\d+\.\d+\b")
_OUTDATED = re.compile(r"(old resource version|large resource version): \d+(, current: \d+)?")
_TWO_REVISIONS = re.compile(r"resource version:? (?:\d+|<rv>) \(\d+\)")

#: How long the suffix is that a server appends to generateName.
_SUFFIX_LENGTH = 5


class Names:
    """The names of one case. `learn` first from everything that was seen, then `clean` each answer, in order."""

    def __init__(self, namespace: str, *, managed_fields: bool = False) -> None:
        self._namespace = namespace
        self._managed_fields = managed_fields
        self._uids: dict[str, str] = {}
        self._generated: dict[str, str] = {}

    def learn(self, value: Any) -> None:
        """Remember names that a server generated, wherever they stand in a value."""
        if isinstance(value, dict):
            self._learn_name(value.get("metadata"))
            for each in value.values():
                self.learn(each)
        elif isinstance(value, list):
            for each in value:
                self.learn(each)

    def text(self, text: str) -> str:
        """Return a text with names in place of what cannot be equal."""
        text = _TIME.sub("<time>", _UID.sub(self._uid, text.replace(self._namespace, "$ns")))
        for name, shown in self._generated.items():
            text = text.replace(name, shown)
        return _ADDRESS.sub("<ip>", _HASH.sub("<hash>", text))

    def clean(self, value: Any, key: str = "") -> Any:
        """Return a value as it is compared; `key` is the field that it stands in."""
        match value:
            case dict():
                kept = value.items() if self._managed_fields else _without_managed_fields(value)
                return {self.text(field): self.clean(each, field) for field, each in kept}
            case list():
                return [self.clean(each, key) for each in (_ordered(value) if key == "managedFields" else value)]
            case str():
                return self._clean_text(value, key)
        return value

    def _clean_text(self, text: str, key: str) -> str:
        if key == "resourceVersion" and text.isdigit() and text != "0":
            return "<rv>"
        if key == "continue" and text:
            return "<continue>"
        text = _OUTDATED.sub(_without_revisions, self.text(text))
        return _TWO_REVISIONS.sub("resource version: <rv> (<rv>)", text)

    def _learn_name(self, metadata: Any) -> None:
        if not isinstance(metadata, dict) or not metadata.get("generateName"):
            return
        name, prefix = metadata.get("name", ""), metadata["generateName"]
        if name.startswith(prefix) and len(name) == len(prefix) + _SUFFIX_LENGTH:
            self._generated.setdefault(name, f"{prefix}<gen>")

    def _uid(self, found: re.Match[str]) -> str:
        return self._uids.setdefault(found[0], f"<uid{len(self._uids) + 1}>")


def _without_managed_fields(value: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(field, each) for field, each in value.items() if field != "managedFields"]


def _ordered(entries: list[Any]) -> list[Any]:
    """Return managedFields entries in an order of their own, without the times."""
    timeless = [{field: each for field, each in entry.items() if field != "time"} for entry in entries]
    return sorted(
        timeless, key=lambda entry: [str(entry.get(k)) for k in ("manager", "operation", "subresource", "apiVersion")]
    )


def _without_revisions(found: re.Match[str]) -> str:
    return f"{found[1]}: <rv>{', current: <rv>' if found[2] else ''}"
