"""Which form an answer takes: what the client accepts against what can be written. Pure, and remembered per header.

Two steps refuse with two texts, as upstream's router and its serializers do.
Source: apiserver/pkg/endpoints/handlers/{negotiation,response.go}, munnerz/goautoneg (v1.37).

Differs from Kubernetes: protobuf is never written. Whoever accepts nothing but protobuf gets JSON, which every known
client reads by the answer's Content-Type.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from moorage.objects.errors import NotAcceptable

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
MERGE_PATCH: Final = "application/merge-patch+json"

#: What an answer can be written as, in upstream's order.
WRITTEN: Final = (JSON, YAML, PROTOBUF)
_STREAMED: Final = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")

#: Conversions of objects, and the versions of meta.k8s.io that they exist in.
_CONVERSIONS: Final = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
_CONVERSION_VERSIONS: Final = frozenset({"v1", "v1beta1"})

#: User agents of people who look at the answer with their eyes.
_EYES: Final = ("curl", "Wget", "Mozilla/5.0")


class Format(NamedTuple):
    """How an answer is written.

    encoding: JSON or YAML.
    convert:  "" for the object itself, else Table, PartialObjectMetadata, PartialObjectMetadataList, or
              APIGroupDiscoveryList.
    version:  the version that the conversion speaks: "v1", "v1beta1", "v2".
    """

    encoding: str = JSON
    convert: str = ""
    version: str = ""


class _Clause(NamedTuple):
    media_type: str
    quality: float
    parameters: Mapping[str, str]


_Convert = Callable[[Mapping[str, str]], tuple[str, str] | None]

PLAIN: Final = Format()


@lru_cache(512)
def format_of_object(accept: str | None) -> Format:
    """Return the form for an answer about one object, or for what a write answers. Raises NotAcceptable."""
    return _negotiated(accept, WRITTEN, WRITTEN, _convert_object)


@lru_cache(512)
def format_of_list(accept: str | None) -> Format:
    """Return the form for a list. Raises NotAcceptable."""
    return _negotiated(accept, (*WRITTEN, *_STREAMED), WRITTEN, _convert_object)


@lru_cache(512)
def format_of_watch(accept: str | None) -> Format:
    """Return the form for each object of a watch; YAML cannot be streamed. Raises NotAcceptable."""
    offered = (*WRITTEN, *_STREAMED)
    return _negotiated(accept, offered, _STREAMED, _convert_object, streams=True)


@lru_cache(512)
def format_of_discovery(accept: str | None, *, aggregated: bool) -> Format:
    """Return the form for a discovery page; `aggregated` tells whether it has the aggregated form. Raises NotAcceptable."""
    return _negotiated(accept, WRITTEN, WRITTEN, _convert_discovery if aggregated else _convert_nothing)


def format_of_error(accept: str | None) -> Format:
    """Return the form for a Status of refusal: JSON where the client wants what cannot be had."""
    try:
        return Format(format_of_object(accept).encoding)
    except NotAcceptable:
        return PLAIN


def is_pretty(query: Mapping[str, str], agent: str) -> bool:
    """Tell whether JSON is to be indented: as `pretty` says, without it for eyes alone."""
    asked = query.get("pretty")
    if asked is None:
        return agent.startswith(_EYES)
    return asked != "0" and asked.lower() != "false"


def _negotiated(
    accept: str | None, offered: Sequence[str], written: Sequence[str], convert: _Convert, *, streams: bool = False
) -> Format:
    clauses = _clauses(accept or "*/*")
    if not any(clause.media_type in offered or clause.media_type == "*/*" for clause in clauses):
        raise NotAcceptable(f"406: Not Acceptable\n\nAvailable representations: {', '.join(offered)}", details={})
    last: Format | None = None
    for clause in sorted(clauses, key=lambda each: -each.quality):
        encoding = _encoding_for(clause.media_type)
        if not encoding or (streams and encoding == YAML):
            continue
        form = convert(clause.parameters)
        if form is None:
            continue
        if clause.media_type == PROTOBUF:
            last = last or Format(JSON, *form)
            continue
        return Format(encoding, *form)
    if last is not None:
        return last
    raise NotAcceptable(f"only the following media types are accepted: {', '.join(written)}")


def _clauses(accept: str) -> list[_Clause]:
    """Return the alternatives of an Accept header in order. What cannot be read is left out."""
    clauses = []
    for text in accept.split(","):
        media_type, *rest = (part.strip() for part in text.split(";"))
        parameters = {}
        for part in rest:
            name, _, value = part.partition("=")
            parameters[name.strip()] = value.strip().strip('"')
        if media_type:
            clauses.append(_Clause(media_type, _quality(parameters.pop("q", "1")), parameters))
    return clauses


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0


def _encoding_for(media_type: str) -> str:
    if media_type == YAML:
        return YAML
    return JSON if media_type in (JSON, PROTOBUF, "*/*", "application/*") else ""


def _convert_object(parameters: Mapping[str, str]) -> tuple[str, str] | None:
    """Return (convert, version) for a clause's parameters, None if there is no such conversion."""
    convert = parameters.get("as", "")
    if not convert:
        return "", ""
    version = parameters.get("v", "")
    known = convert in _CONVERSIONS and version in _CONVERSION_VERSIONS and parameters.get("g") == "meta.k8s.io"
    return (convert, version) if known else None


def _convert_discovery(parameters: Mapping[str, str]) -> tuple[str, str] | None:
    convert = parameters.get("as", "")
    if not convert:
        return "", ""
    wanted = (convert, parameters.get("v"), parameters.get("g"))
    return (convert, "v2") if wanted == ("APIGroupDiscoveryList", "v2", "apidiscovery.k8s.io") else None


def _convert_nothing(parameters: Mapping[str, str]) -> tuple[str, str] | None:
    return None if parameters.get("as") else ("", "")
