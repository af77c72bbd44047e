"""Checks of IP addresses and CIDR blocks, strict as upstream is for new fields.

Source: apimachinery/pkg/util/validation/ip.go (v1.37).
"""

import ipaddress
import re
from functools import lru_cache

from moorage.objects.errors import Cause
from moorage.objects.validation import each_invalid, invalid

IP_TEXT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_TEXT = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

_leading_zero = re.compile(r"(^|\.)0\d").search


def is_ipv6(text: str) -> bool:
    """Tell whether a valid address or CIDR block is of IPv6."""
    return ":" in text


@lru_cache(4096)
def ip_problems(text: str) -> tuple[str, ...]:
    """Check an IP address: parseable, no leading zeros, not IPv4 in IPv6's clothes."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        if ":" not in text and _leading_zero(text) and re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", text):
            return ("must not have leading 0s",)
        return (IP_TEXT,)
    if "%" in text:
        return (IP_TEXT,)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return ("must not be an IPv4-mapped IPv6 address",)
    return ()


@lru_cache(4096)
def cidr_problems(text: str) -> tuple[str, ...]:
    """Check a CIDR block: parseable, no leading zeros, no host bits, not IPv4 in IPv6's clothes."""
    address, slash, length = text.partition("/")
    if not slash or not length.isdigit():
        return (CIDR_TEXT,)
    problems = ip_problems(address)
    if problems and problems[0] == IP_TEXT:
        return (CIDR_TEXT,)
    if int(length) > (128 if ":" in address else 32):
        return (CIDR_TEXT,)
    if (problems and "leading" in problems[0]) or (len(length) > 1 and length[0] == "0"):
        return ("must not have leading 0s in IP or prefix length",)
    if not problems:
        network = ipaddress.ip_network(f"{address}/{length}", strict=False)
        if network.network_address != ipaddress.ip_address(address):
            return ("must not have bits set beyond the prefix length",)
    return ("must not have an IPv4-mapped IPv6 address",) if problems else ()


def validate_ip(path: str, text: str) -> list[Cause]:
    """Return the causes of a text that is no IP address."""
    return each_invalid(path, text, ip_problems(text))


def validate_cidr(path: str, text: str) -> list[Cause]:
    """Return the causes of a text that is no CIDR block."""
    return each_invalid(path, text, cidr_problems(text))


def ip_warnings(path: str, text: str) -> list[str]:
    """Return the warning about an address that is written unusually: `0` before digits, or IPv6 not as in RFC 5952."""
    bare = ".".join(part.lstrip("0") or "0" for part in text.split(".")) if ":" not in text else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return []
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if bare != text or mapped is not None:
        return [f'{path}: non-standard IP address "{text}" is invalid: use "{mapped or address}"']
    if str(address) != text:
        return [f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")']
    return []


def cidr_warnings(path: str, text: str) -> list[str]:
    """Return the warnings about a block that is written unusually, or has bits after its prefix."""
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        return []
    texts = []
    if interface.ip != interface.network.network_address:
        single = f"{interface.ip}/{interface.max_prefixlen}"
        use = f'should be "{interface.network}" or "{single}"?'
        texts.append(f'{path}: CIDR value "{text}" is ambiguous in this context ({use})')
    if not texts and interface.version == 6 and str(interface) != text:
        texts.append(f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{interface}")')
    return texts


def validate_endpoint_ip(path: str, text: str) -> list[Cause]:
    """Return the causes of an address that cannot be an endpoint: unspecified, loopback, link-local."""
    causes: list[Cause] = []
    address = ipaddress.ip_address(text)
    if address.is_unspecified:
        causes.append(invalid(path, text, f"may not be unspecified ({text})"))
    if address.is_loopback:
        causes.append(invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if address.is_link_local:
        causes.append(invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    if address.is_multicast and _is_link_local_multicast(address):
        causes.append(invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"))
    return causes


def _is_link_local_multicast(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return str(address).startswith(("224.0.0.", "ff02:"))
