"""Quantities such as `500m`, `1.5Gi` or `12e6`: exact numbers that remember how they were written.

Nothing is more precise than a billionth: what is, was rounded away from zero when it was parsed, so a quantity is a
whole number of nanos. No floats anywhere.
Source: apimachinery pkg/api/resource/quantity.go (v1.37).

Differs from Kubernetes: exponents beyond ±1000 are refused (they would only cost memory), and decimal values of 1000E
and more keep their suffix (upstream prints them without).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_PATTERN: Final = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_FORMAT_WRONG: Final = f"quantities must match the regular expression '{_PATTERN}'"
_NUMERIC_WRONG: Final = "unable to parse numeric part of quantity"
_SUFFIX_WRONG: Final = "unable to parse quantity's suffix"

#: What the scanner of upstream takes: stricter than the pattern in its error text.
_SCANNED: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[+-]?[0-9]*)", re.ASCII)
_EXPONENT: Final = re.compile(r"[eE]([+-]?[0-9]+)", re.ASCII)

NANO: Final = 10**9
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_BINARY_SUFFIX: Final = ("", *_BINARY)

#: Binary quantities are capped here.
_MOST: Final = (2**63 - 1) * NANO

#: The widest exponent that is read.
_EXPONENT_MOST: Final = 1000

#: Digits that upstream's short way handles; only that way keeps a text as it was written.
_SHORT_DIGITS: Final = 18
_SHORT_BINARY_DIGITS: Final = 14


class QuantityError(ValueError):
    """The text is no quantity; the message is upstream's."""


@dataclass(frozen=True, slots=True, order=False)
class Quantity:
    """A number of nanos and the way to write it: DecimalSI, BinarySI or DecimalExponent.

    Compares by value alone: `1Gi` equals `1073741824`.
    """

    nanos: int
    format: str = "DecimalSI"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __lt__(self, other: "Quantity") -> bool:
        return self.nanos < other.nanos

    def __le__(self, other: "Quantity") -> bool:
        return self.nanos <= other.nanos

    def __gt__(self, other: "Quantity") -> bool:
        return self.nanos > other.nanos

    def __ge__(self, other: "Quantity") -> bool:
        return self.nanos >= other.nanos

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __add__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def __mul__(self, times: int) -> "Quantity":
        return Quantity(self.nanos * times, self.format)

    def __neg__(self) -> "Quantity":
        return Quantity(-self.nanos, self.format)

    def __str__(self) -> str:
        return _written(self)

    @property
    def value(self) -> int:
        """The whole number, rounded away from zero (bytes, pods, cores)."""
        return _rounded(self.nanos, NANO)

    @property
    def milli_value(self) -> int:
        """Thousandths, rounded away from zero (millicores)."""
        return _rounded(self.nanos, NANO // 1000)


ZERO: Final = Quantity(0)


@lru_cache(maxsize=1024)
def parse_quantity(text: str) -> Quantity:
    """Return the quantity that the text names. Raises QuantityError with upstream's message."""
    negative, whole, fraction, suffix = _scanned(text)
    shape, base, exponent = _interpreted(suffix)
    digits = int(whole + fraction)
    nanos = _nanos(digits, len(fraction), base, exponent)
    if shape == "BinarySI":
        nanos = min(nanos, _MOST)
        if 0 < nanos < NANO:
            shape = "DecimalSI"
    return Quantity(-nanos if negative else nanos, shape)


@lru_cache(maxsize=1024)
def canonical(text: str) -> str:
    """Return the text as the API answers it: `1500m` for `1.5`, `1k` for `1000`. Raises QuantityError.

    Texts that upstream takes for canonical stay as they are (`1.500` is one of them).
    """
    quantity = parse_quantity(text)
    return text if _is_kept(text) else _written(quantity)


@lru_cache(maxsize=1024)
def rounded_to_milli(text: str) -> str:
    """Return the canonical text, rounded away from zero to a thousandth, as resource lists are defaulted."""
    quantity = parse_quantity(text)
    if quantity.nanos % (NANO // 1000) == 0:
        return canonical(text)
    return _written(Quantity(quantity.milli_value * (NANO // 1000), quantity.format))


def _scanned(text: str) -> tuple[bool, str, str, str]:
    """Return sign, digits before and after the point, and suffix. No digits at all are a zero for upstream's short way."""
    match = _SCANNED.fullmatch(text) if text else None
    if match is None:
        raise QuantityError(_FORMAT_WRONG)
    sign, whole, fraction, suffix = match.groups()
    if suffix in ("Pi", "Ei") and not whole and not fraction:
        raise QuantityError(_NUMERIC_WRONG)
    return sign == "-", whole.lstrip("0") or "0", fraction or "", suffix


def _interpreted(suffix: str) -> tuple[str, int, int]:
    """Return format, base and exponent of a suffix."""
    if suffix in _DECIMAL:
        return "DecimalSI", 10, _DECIMAL[suffix]
    if suffix in _BINARY:
        return "BinarySI", 2, _BINARY[suffix]
    match = _EXPONENT.fullmatch(suffix)
    if match is None:
        raise QuantityError(_SUFFIX_WRONG)
    exponent = int(match[1]) if len(match[1]) <= 6 else _EXPONENT_MOST + 1
    if abs(exponent) > _EXPONENT_MOST:
        raise QuantityError(_NUMERIC_WRONG)
    return "DecimalExponent", 10, exponent


def _nanos(digits: int, places: int, base: int, exponent: int) -> int:
    """Return the nanos of `digits / 10^places * base^exponent`, rounded up."""
    scale = 9 - places
    if base == 2:
        digits <<= exponent
    else:
        scale += exponent
    return digits * 10**scale if scale >= 0 else _rounded(digits, 10**-scale)


def _rounded(value: int, unit: int) -> int:
    """Return value / unit, rounded away from zero."""
    return -(-value // unit) if value >= 0 else value // unit


def _is_kept(text: str) -> bool:
    """Tell whether upstream keeps a (valid) text as it is: short, and not to be scaled by its digits."""
    if text == "0":
        return True
    _, whole, fraction, suffix = _scanned(text)
    shape, _, exponent = _interpreted(suffix)
    if shape == "BinarySI":
        room = _SHORT_BINARY_DIGITS - len(whole) - exponent * 3 // 10
        return not fraction and room >= 0 and int(whole) & 7 != 0
    digits = whole + fraction
    scale = exponent - len(fraction)
    is_short = len(digits) <= _SHORT_DIGITS and scale >= -9
    return is_short and scale % 3 == 0 and digits[0] != "0" and not digits.endswith("000")


def _written(quantity: Quantity) -> str:
    """Return the canonical text: no fraction, the largest suffix that loses nothing."""
    nanos = quantity.nanos
    if nanos == 0:
        return "0"
    if quantity.format == "BinarySI" and abs(nanos) >= 1024 * NANO and nanos % NANO == 0:
        return _written_binary(nanos // NANO)
    exponent = -9
    while nanos % 1000 == 0 and (exponent < 18 or quantity.format == "DecimalExponent"):
        nanos //= 1000
        exponent += 3
    if quantity.format == "DecimalExponent":
        return f"{nanos}e{exponent}" if exponent else str(nanos)
    return f"{nanos}{_DECIMAL_SUFFIX[exponent]}"


def _written_binary(value: int) -> str:
    power = 0
    while value % 1024 == 0 and power < len(_BINARY_SUFFIX) - 1:
        value //= 1024
        power += 1
    return f"{value}{_BINARY_SUFFIX[power]}"
