"""ConversionReviews: what a conversion webhook is asked, and the objects that it answers with. Pure.

Source: apiextensions-apiserver/pkg/apiserver/conversion/webhook_converter.go (v1.37).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from moorage.objects.go_values import shown_kind
from moorage.objects.metadata import Object

_VERSIONS: Final = ("v1", "v1beta1")
_GROUP: Final = "apiextensions.k8s.io"


class Conversion(NamedTuple):
    """How a definition converts by a webhook. versions: the ConversionReviews that it reads."""

    client: Mapping[str, Any]
    versions: Sequence[str]


class Unconverted(ValueError):
    """Objects could not be converted; the text is upstream's."""


def conversion_of(definition: Object) -> Conversion | None:
    """Return how objects of a definition are converted, None if only their apiVersion changes."""
    conversion = definition["spec"].get("conversion") or {}
    if conversion.get("strategy") != "Webhook":
        return None
    webhook = conversion.get("webhook") or {}
    return Conversion(webhook.get("clientConfig") or {}, tuple(webhook.get("conversionReviewVersions") or ()))


def review_version(accepted: Sequence[str]) -> str:
    """Return the first version of ConversionReview that both sides speak. Raises Unconverted."""
    for version in accepted:
        if version in _VERSIONS:
            return version
    raise Unconverted("no supported conversion review versions")


def review_of(objects: Sequence[Object], api_version: str, version: str, uid: str) -> bytes:
    """Return the ConversionReview that asks for objects in a version."""
    request = {"uid": uid, "desiredAPIVersion": api_version, "objects": list(objects)}
    return orjson.dumps({"kind": "ConversionReview", "apiVersion": f"{_GROUP}/{version}", "request": request})


def converted_objects(
    answer: bytes, objects: Sequence[Object], api_version: str, version: str, uid: str
) -> list[dict[str, Any]]:
    """Return the objects in the asked version, with the metadata of what they were made of. Raises Unconverted."""
    shown = shown_kind(objects[0])
    try:
        found = _objects(answer, version, uid)
    except Unconverted as error:
        raise Unconverted(f"conversion webhook for {shown} failed: {error}") from None
    if len(found) != len(objects):
        raise Unconverted(f"conversion webhook for {shown} returned {len(found)} objects, expected {len(objects)}")
    return [_checked(new, old, api_version) for new, old in zip(found, objects, strict=True)]


def _objects(answer: bytes, version: str, uid: str) -> Sequence[Any]:
    try:
        review = orjson.loads(answer)
    except orjson.JSONDecodeError as error:
        raise Unconverted(f"couldn't get version/kind; json parse error: {error}") from None
    review = review if isinstance(review, Mapping) else {}
    response, expected = review.get("response"), f"{_GROUP}/v1, Kind=ConversionReview"
    if version == "v1" and shown_kind(review) != expected:
        raise Unconverted(f"expected webhook response of {expected}, got {shown_kind(review)}")
    if not isinstance(response, Mapping):
        raise Unconverted("no response provided")
    given = response.get("uid") or ""
    if version == "v1" and given != uid:
        raise Unconverted(f'expected response.uid="{uid}", got "{given}"')
    result = response.get("result") or {}
    status = result.get("status") or ""
    if status != "Success":
        raise Unconverted(result.get("message") or f"response.result.status was '{status}', not 'Success'")
    found = response.get("convertedObjects") or ()
    return found if isinstance(found, list) else ()


def _checked(new: Any, old: Object, api_version: str) -> dict[str, Any]:
    """Return a converted object with its old metadata but for labels and annotations. Raises Unconverted."""
    begin = f"conversion webhook for {shown_kind(old)} returned invalid"
    if not isinstance(new, dict):
        raise Unconverted(f"{begin} object: it is no object")
    if new.get("apiVersion") != api_version:
        expected, received = (_group_version(each) for each in (api_version, new.get("apiVersion") or ""))
        raise Unconverted(f"{begin} object at index 0: invalid groupVersion (expected {expected}, received {received})")
    if new.get("kind") != old["kind"]:
        kinds = f"(expected {old['kind']}, received {new.get('kind') or ''})"
        raise Unconverted(f"{begin} object at index 0: invalid kind {kinds}")
    given = new.get("metadata") or {}
    for field in ("name", "namespace", "uid"):
        before, after = old["metadata"].get(field) or "", given.get(field) or ""
        if before != after:
            shown = "UID" if field == "uid" else field
            raise Unconverted(f"{begin} object: must have the same {shown}: {before} != {after}")
    if "metadata" not in new:
        raise Unconverted(f"{begin} metadata: missing metadata in converted object")
    return {**new, "metadata": _metadata(given, old["metadata"], begin)}


def _group_version(api_version: str) -> str:
    return api_version or "/"


def _metadata(given: Mapping[str, Any], old: Object, begin: str) -> dict[str, Any]:
    metadata = {key: value for key, value in old.items() if key not in ("labels", "annotations")}
    for field in ("labels", "annotations"):
        values = given.get(field)
        if values is None:
            continue
        for key, value in values.items() if isinstance(values, Mapping) else ():
            if not isinstance(value, str):
                text = f"metadata.{field}[{key}] must be a string, but is {type(value).__name__} in converted object"
                raise Unconverted(f"{begin} metadata: {text}")
        metadata[field] = values
    return metadata
