"""The only file that makes chance: UIDs, name suffixes, secrets, jitter."""

import os
import random
from typing import Protocol

#: What the API server draws generated names from: no vowels, no look-alikes.
#: Source: apimachinery/pkg/util/rand (v1.37).
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5


class Entropy(Protocol):
    """A source of chance; a seeded one makes a whole cluster run repeatable."""

    def uid(self) -> str:
        """Return a fresh UUID, version 4, as text."""

    def suffix(self, length: int = SUFFIX_LENGTH) -> str:
        """Return a random suffix for a generated name."""

    def secret(self, size_bytes: int) -> bytes:
        """Return bytes that nobody can guess."""

    def fraction(self) -> float:
        """Return a number in [0, 1), for jitter and fair choices."""


class RandomEntropy:
    """Chance from a random.Random; the operating system's in production, a seeded one in simulation."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def uid(self) -> str:
        """Return a fresh UUID, version 4, as text."""
        bits = self._source.getrandbits(128)
        bits = (bits & ~(0xF << 76) | (0x4 << 76)) & ~(0x3 << 62) | (0x2 << 62)
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def suffix(self, length: int = SUFFIX_LENGTH) -> str:
        """Return a random suffix for a generated name."""
        return "".join(self._source.choices(SUFFIX_ALPHABET, k=length))

    def secret(self, size_bytes: int) -> bytes:
        """Return bytes that nobody can guess."""
        return self._source.randbytes(size_bytes)

    def fraction(self) -> float:
        """Return a number in [0, 1), for jitter and fair choices."""
        return self._source.random()


class SystemEntropy(RandomEntropy):
    """The operating system's chance; names and UIDs come from a generator that it seeds (they need not be secret)."""

    def __init__(self) -> None:
        super().__init__(random.Random(os.urandom(32)))

    def secret(self, size_bytes: int) -> bytes:
        """Return bytes that nobody can guess."""
        return os.urandom(size_bytes)


def seeded(seed: int) -> RandomEntropy:
    """Return an Entropy that gives the same sequence for the same seed."""
    return RandomEntropy(random.Random(seed))
