"""Functions that Kubernetes adds to CEL: URLs, addresses, networks, quantities, formats.

Source: apiserver/pkg/cel/library/{urls,ip,cidr,quantity,format}.go (v1.37).
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from moorage.objects.cel.moments import to_timestamp
from moorage.objects.cel.semver import compare_versions, to_semver
from moorage.objects.cel.values import NANOS, EvaluationError, Opaque, Optional
from moorage.objects.quantity import Quantity, QuantityError, parse_quantity
from moorage.objects.validation import (
    Check,
    dns1035_label_problems,
    dns1123_label_problems,
    dns1123_subdomain_problems,
    label_value_problems,
    name_prefix_of,
    qualified_name_problems,
)


def _url(text: str) -> Opaque:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise EvaluationError(f"URL parse error during conversion from string: {error}") from None
    is_absolute = bool(parts.scheme) and bool(re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*:.+", text, re.DOTALL))
    if any(ord(char) <= 32 or ord(char) == 127 for char in text) or not (is_absolute or text.startswith("/")):
        raise EvaluationError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return Opaque("url", parts)


def _host(url: Opaque) -> str:
    return str(url.value.netloc.rpartition("@")[2])


def _host_name(url: Opaque) -> str:
    host = _host(url)
    if host.startswith("["):
        return host[1 : host.find("]")]
    return host.rpartition(":")[0] if re.search(r":\d*$", host) else host


def _port(url: Opaque) -> str:
    return _host(url).rpartition(":")[2] if re.search(r":\d+$", _host(url)) else ""


def _ip(text: str) -> Opaque:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise EvaluationError(f'IP Address "{text}" parse error during conversion from string') from None
    if "%" in text or (address.version == 6 and address.ipv4_mapped is not None):
        raise EvaluationError(f'IP Address "{text}" is an IPv4-mapped address or has a zone')
    return Opaque("ip", address)


def _cidr(text: str) -> Opaque:
    try:
        network = ipaddress.ip_interface(text) if text.rpartition("/")[2].isdigit() and "/" in text else None
    except ValueError:
        network = None
    if network is None:
        raise EvaluationError(f"network address parse error during conversion from string: invalid CIDR {text}")
    return Opaque("cidr", network)


def _contains_ip(cidr: Opaque, ip: Any) -> bool:
    address = (ip if isinstance(ip, Opaque) else _ip(ip)).value
    return bool(address.version == cidr.value.version and address in cidr.value.network)


def _contains_cidr(cidr: Opaque, other: Any) -> bool:
    inner = (other if isinstance(other, Opaque) else _cidr(other)).value
    same = inner.version == cidr.value.version
    return bool(same and inner.ip in cidr.value.network and inner.network.prefixlen >= cidr.value.network.prefixlen)


def _quantity(text: str) -> Opaque:
    try:
        return Opaque("quantity", parse_quantity(text))
    except QuantityError as error:
        raise EvaluationError(str(error)) from None


def _quantity_of(value: Any) -> Quantity:
    found: Quantity = Quantity(value * NANOS) if isinstance(value, int) else value.value
    return found


def _compared(one: Opaque, other: Opaque) -> int:
    if one.kind == "semver":
        return compare_versions(one.value, other.value)
    mine, theirs = int(one.value.nanos), int(other.value.nanos)
    return (mine > theirs) - (mine < theirs)


def _as_integer(quantity: Opaque) -> int:
    if quantity.value.nanos % NANOS:
        raise EvaluationError("cannot convert value to integer")
    return int(quantity.value.nanos // NANOS)


def _can(make: Callable[..., Any]) -> Callable[..., bool]:
    def check(*args: Any) -> bool:
        try:
            make(*args)
        except EvaluationError:
            return False
        return True

    return check


def _validate(form: Opaque, text: str) -> Optional:
    problems = form.value(text)
    return Optional((list(problems),)) if problems else Optional()


def _matching(pattern: str, problem: str) -> Check:
    return lambda text: () if re.fullmatch(pattern, text) else (problem,)


def _convertible(make: Callable[[str], Any], problem: str) -> Check:
    return lambda text: () if _can(make)(text) else (problem,)


def _prefix(check: Check) -> Check:
    return lambda text: check(name_prefix_of(text))


#: format -> what is wrong with a text that should have it.
_CHECKS: Final[Mapping[str, Check]] = {
    "dns1123Label": dns1123_label_problems,
    "dns1123Subdomain": dns1123_subdomain_problems,
    "dns1035Label": dns1035_label_problems,
    "qualifiedName": qualified_name_problems,
    "dns1123LabelPrefix": _prefix(dns1123_label_problems),
    "dns1123SubdomainPrefix": _prefix(dns1123_subdomain_problems),
    "dns1035LabelPrefix": _prefix(dns1035_label_problems),
    "labelValue": label_value_problems,
    "uri": _convertible(_url, "invalid URI"),
    "uuid": _matching(
        r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", "does not match the UUID"
    ),
    "byte": _matching(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", "invalid base64"),
    "date": _convertible(lambda text: to_timestamp(f"{text}T00:00:00Z"), "invalid date"),
    "datetime": _convertible(to_timestamp, "invalid datetime"),
}


def _format(name: str) -> Opaque:
    return Opaque("format", _CHECKS[name])


#: name -> what it does; a method's receiver is its first argument.
LIBRARIES: Final[Mapping[str, Callable[..., Any]]] = {
    "url": _url,
    "isURL": _can(_url),
    "getScheme": lambda url: url.value.scheme,
    "getHost": _host,
    "getHostname": _host_name,
    "getPort": _port,
    "getEscapedPath": lambda url: url.value.path,
    "getQuery": lambda url: parse_qs(url.value.query, keep_blank_values=True),
    "ip": _ip,
    "isIP": _can(_ip),
    "ip.isCanonical": lambda text: str(_ip(text).value) == text,
    "family": lambda ip: ip.value.version,
    "isUnspecified": lambda ip: ip.value.is_unspecified,
    "isLoopback": lambda ip: ip.value.is_loopback,
    "isLinkLocalMulticast": lambda ip: (
        ip.value in ipaddress.ip_network("224.0.0.0/24" if ip.value.version == 4 else "ff02::/16")
    ),
    "isLinkLocalUnicast": lambda ip: ip.value.is_link_local,
    "isGlobalUnicast": lambda ip: (
        not (ip.value.is_unspecified or ip.value.is_loopback or ip.value.is_multicast or ip.value.is_link_local)
    ),
    "cidr": _cidr,
    "isCIDR": _can(_cidr),
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "masked": lambda cidr: Opaque("cidr", ipaddress.ip_interface(str(cidr.value.network))),
    "prefixLength": lambda cidr: cidr.value.network.prefixlen,
    "quantity": _quantity,
    "isQuantity": _can(_quantity),
    "sign": lambda it: (it.value.nanos > 0) - (it.value.nanos < 0),
    "add": lambda it, other: Opaque("quantity", it.value + _quantity_of(other)),
    "sub": lambda it, other: Opaque("quantity", it.value - _quantity_of(other)),
    "isGreaterThan": lambda it, other: _compared(it, other) > 0,
    "isLessThan": lambda it, other: _compared(it, other) < 0,
    "compareTo": _compared,
    "semver": to_semver,
    "isSemver": _can(to_semver),
    "major": lambda it: it.value.major,
    "minor": lambda it: it.value.minor,
    "patch": lambda it: it.value.patch,
    "asInteger": _as_integer,
    "isInteger": lambda it: it.value.nanos % NANOS == 0,
    "asApproximateFloat": lambda it: it.value.nanos / NANOS,
    **{f"format.{name}": partial(_format, name) for name in _CHECKS},
    "format.named": lambda name: Optional((_format(name),)) if name in _CHECKS else Optional(),
    "validate": _validate,
}
