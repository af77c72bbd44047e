"""How a pod resolves names: dnsConfig and hostAliases.

Source: pkg/apis/core/validation/validation.go, validatePodDNSConfig, ValidateHostAliases (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.objects.addresses import validate_ip
from moorage.objects.errors import Cause
from moorage.objects.validation import (
    dns1123_subdomain_problems,
    each_invalid,
    invalid,
    required,
    underscored_subdomain_problems,
)

NAMESERVERS_MOST, SEARCHES_MOST, SEARCH_CHARS_MOST = 3, 32, 2048


def validate_dns_config(path: str, spec: Mapping[str, Any]) -> list[Cause]:
    """Return every broken rule of the dnsConfig, and what the policy None needs of it."""
    place = f"{path}.dnsConfig"
    causes: list[Cause] = []
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [required(place, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(f"{place}.nameservers", text)]
    if config is None:
        return causes
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > NAMESERVERS_MOST:
        text = f"must not have more than {NAMESERVERS_MOST} nameservers"
        causes.append(invalid(f"{place}.nameservers", servers, text))
    for index, server in enumerate(servers):
        causes += validate_ip(f"{place}.nameservers[{index}]", server)
    causes += _validate_searches(f"{place}.searches", searches)
    causes += [
        required(f"{place}.options[{index}]", "must not be empty")
        for index, option in enumerate(config.get("options") or ())
        if not option.get("name")
    ]
    return causes


def _validate_searches(path: str, searches: list[str]) -> list[Cause]:
    causes: list[Cause] = []
    if len(searches) > SEARCHES_MOST:
        text = f"must not have more than {SEARCHES_MOST} search paths"
        causes.append(invalid(path, searches, text))
    if len(" ".join(searches).encode()) > SEARCH_CHARS_MOST:
        text = f"must not have more than {SEARCH_CHARS_MOST} characters (including spaces) in the search list"
        causes.append(invalid(path, searches, text))
    for index, search in enumerate(searches):
        if search != ".":
            domain = search.removesuffix(".")
            causes += each_invalid(f"{path}[{index}]", domain, underscored_subdomain_problems(domain))
    return causes


def validate_host_aliases(path: str, aliases: list[Mapping[str, Any]]) -> list[Cause]:
    """Return every broken rule of lines for the pod's hosts file."""
    causes: list[Cause] = []
    for index, alias in enumerate(aliases):
        causes += validate_ip(f"{path}[{index}].ip", alias.get("ip") or "")
        for position, name in enumerate(alias.get("hostnames") or ()):
            place = f"{path}[{index}].hostnames[{position}]"
            causes += each_invalid(place, name, dns1123_subdomain_problems(name))
    return causes
