"""Names of fields as they stand in expressions: what is no identifier there is written in another way.

Source: apiserver/pkg/cel/escaping.go (v1.37).
"""

from typing import Final

#: Words that the language keeps for itself.
RESERVED: Final = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return var void "
    "while".split()
)


def escaped(name: str) -> str:
    """Return a property's name as it stands in expressions."""
    if name in RESERVED:
        return f"__{name}__"
    for text, word in (("__", "underscores"), (".", "dot"), ("-", "dash"), ("/", "slash")):
        name = name.replace(text, f"__{word}__")
    return name
