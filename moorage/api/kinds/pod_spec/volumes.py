"""The volumes of a pod: exactly one source each, and that source's rules. Also used for persistent volumes.

Source: pkg/apis/core/validation/validation.go, validateVolumeSource (v1.37).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from moorage.api.kinds.pod_spec.claim_spec import validate_claim_template
from moorage.api.kinds.pod_spec.paths import validate_descending_path, validate_no_backsteps
from moorage.api.kinds.pod_spec.projected import (
    validate_config_map,
    validate_downward_api,
    validate_projected,
    validate_secret,
)
from moorage.objects.errors import Cause
from moorage.objects.quantity import parse_quantity
from moorage.objects.validation import (
    dns1123_label_problems,
    dns1123_subdomain_problems,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)

Source = Mapping[str, Any]
Rule = Callable[[str, Source], list[Cause]]

HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MANAGED_DISK = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_BLOB_DISK = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
_MORE_THAN_ONE = "may not specify more than 1 volume type"
_iqn = re.compile(r"iqn\.\d{4}-\d{2}\.([a-zA-Z0-9\-.]+)(:[^,;*&$|\s]+)").fullmatch
_eui = re.compile(r"eui.[a-zA-Z0-9]{16}").fullmatch
_naa = re.compile(r"naa.[a-zA-Z0-9]{32}").fullmatch


def needs(*fields: str) -> Rule:
    """Return the rule that these fields must not be empty."""

    def check(path: str, source: Source) -> list[Cause]:
        return [required(f"{path}.{field}") for field in fields if not source.get(field)]

    return check


def _validate_empty_dir(path: str, source: Source) -> list[Cause]:
    limit = source.get("sizeLimit")
    if limit and parse_quantity(limit).nanos < 0:
        return [forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
    if (mode := source.get("mode")) is not None and not 0 <= mode <= 0o1777:
        return [invalid(f"{path}.mode", mode, "must be a number between 0 and 01777 (octal), both inclusive")]
    return []


def validate_host_path(path: str, source: Source) -> list[Cause]:
    """Return the causes of a path on the node."""
    text = source.get("path") or ""
    causes = validate_no_backsteps(f"{path}.path", text) if text else [required(f"{path}.path")]
    if (kind := source.get("type")) is not None and kind not in HOST_PATH_TYPES:
        causes.append(not_supported(f"{path}.type", kind, HOST_PATH_TYPES))
    return causes


def _validate_git(path: str, source: Source) -> list[Cause]:
    causes = [] if source.get("repository") else [required(f"{path}.repository")]
    return causes + validate_descending_path(f"{path}.directory", source.get("directory") or "")


def _partition(path: str, source: Source) -> list[Cause]:
    partition = source.get("partition") or 0
    if 0 <= partition <= 255:
        return []
    return [invalid(f"{path}.partition", partition, "must be between 1 and 255, inclusive")]


def _validate_gce(path: str, source: Source) -> list[Cause]:
    path = path.rpartition(".")[0] + ".persistentDisk"
    return needs("pdName")(path, source) + _partition(path, source)


def _validate_aws(path: str, source: Source) -> list[Cause]:
    return needs("volumeID")(path, source) + _partition(path, source)


def _validate_nfs(path: str, source: Source) -> list[Cause]:
    causes = needs("server", "path")(path, source)
    if not (source.get("path") or "").startswith("/"):
        causes.append(invalid(f"{path}.path", source.get("path") or "", "must be an absolute path"))
    return causes


def _validate_iscsi(path: str, source: Source) -> list[Cause]:
    causes = needs("targetPortal")(path, source)
    name = source.get("iqn") or ""
    causes += _iscsi_name(f"{path}.iqn", name) if name else [required(f"{path}.iqn")]
    lun = source.get("lun") or 0
    if not 0 <= lun <= 255:
        causes.append(invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive"))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and not source.get("secretRef"):
        causes.append(required(f"{path}.secretRef"))
    if initiator := source.get("initiatorName"):
        causes += _iscsi_name(f"{path}.initiatorname", initiator)
    return causes


def _iscsi_name(path: str, name: str) -> list[Cause]:
    for prefix, check in (("iqn", _iqn), ("eui", _eui), ("naa", _naa)):
        if name.startswith(prefix):
            return [] if check(name) else [invalid(path, name, "must be valid format")]
    return [invalid(path, name, "must be valid format starting with iqn, eui, or naa")]


def _validate_flocker(path: str, source: Source) -> list[Cause]:
    name, uuid = source.get("datasetName") or "", source.get("datasetUUID")
    if not name and not uuid:
        return [required(path, "one of datasetName and datasetUUID is required")]
    causes = []
    if name and uuid:
        causes.append(invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    if "/" in name:
        causes.append(invalid(f"{path}.datasetName", name, "must not contain '/'"))
    return causes


def _validate_quobyte(path: str, source: Source) -> list[Cause]:
    causes = []
    text = "must be a host:port pair or multiple pairs separated by commas"
    registry = source.get("registry") or ""
    if not registry:
        causes.append(required(f"{path}.registry", text))
    elif len(registry) >= 65536 or any(":" not in pair or not all(pair.split(":", 1)) for pair in registry.split(",")):
        causes.append(invalid(f"{path}.registry", registry, text))
    if len(source.get("tenant") or "") >= 65:
        causes.append(required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    return causes + needs("volume")(path, source)


def _validate_fc(path: str, source: Source) -> list[Cause]:
    names, ids, lun = source.get("targetWWNs"), source.get("wwids"), source.get("lun")
    causes = []
    if not names and not ids:
        causes.append(required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both"))
    if names and ids:
        text = "targetWWNs and wwids can not be specified simultaneously"
        causes.append(invalid(f"{path}.targetWWNs", names, text))
    if names:
        if lun is None:
            causes.append(required(f"{path}.lun", "lun is required if targetWWNs is specified"))
        elif not 0 <= lun <= 255:
            causes.append(invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive"))
    return causes


def _validate_flex(path: str, source: Source) -> list[Cause]:
    causes = needs("driver")(path, source)
    for key in source.get("options") or ():
        namespace = "." + key.partition("/")[0] if "/" in key else "." + key
        if namespace.endswith((".kubernetes.io", ".k8s.io")):
            text = "kubernetes.io and k8s.io namespaces are reserved"
            causes.append(invalid(f"{path}.options[{key}]", key, text))
    return causes


def _validate_azure_disk(path: str, source: Source) -> list[Cause]:
    causes = needs("diskName", "diskURI")(path, source)
    caching, kind, uri = source.get("cachingMode"), source.get("kind"), source.get("diskURI") or ""
    if caching is not None and caching not in {"None", "ReadOnly", "ReadWrite"}:
        causes.append(not_supported(f"{path}.cachingMode", caching, ("None", "ReadOnly", "ReadWrite")))
    if kind is not None and kind not in {"Shared", "Dedicated", "Managed"}:
        causes.append(not_supported(f"{path}.kind", kind, ("Dedicated", "Managed", "Shared")))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        causes.append(not_supported(f"{path}.diskURI", uri, (_MANAGED_DISK,)))
    if kind is not None and kind != "Managed" and not uri.startswith("https://"):
        causes.append(not_supported(f"{path}.diskURI", uri, (_BLOB_DISK,)))
    return causes


def _validate_storage_os(path: str, source: Source) -> list[Cause]:
    name, namespace = source.get("volumeName") or "", source.get("volumeNamespace") or ""
    place = f"{path}.volumeName"
    causes = each_invalid(place, name, dns1123_label_problems(name)) if name else [required(place)]
    if namespace:
        causes += each_invalid(f"{path}.volumeNamespace", namespace, dns1123_label_problems(namespace))
    return causes


def validate_csi_driver_name(path: str, name: str) -> list[Cause]:
    """Return the causes of a driver's name that is no DNS subdomain of up to 63 characters."""
    if not name:
        return [required(path)]
    causes = [too_long(path, 63)] if len(name) > 63 else []
    return causes + each_invalid(path, name, dns1123_subdomain_problems(name.lower()))


def _validate_csi(path: str, source: Source) -> list[Cause]:
    causes = validate_csi_driver_name(f"{path}.driver", source.get("driver") or "")
    if (secret := source.get("nodePublishSecretRef")) is not None:
        name = secret.get("name") or ""
        if not name:
            causes.append(required(f"{path}.nodePublishSecretRef.name"))
        else:
            causes += each_invalid(f"{path}.name", name, dns1123_subdomain_problems(name))
    return causes


def _validate_ephemeral(path: str, source: Source) -> list[Cause]:
    template = source.get("volumeClaimTemplate")
    place = f"{path}.volumeClaimTemplate"
    return [required(place)] if template is None else validate_claim_template(place, template)


def _validate_image(path: str, source: Source) -> list[Cause]:
    causes = needs("reference")(path, source)
    policy = source.get("pullPolicy") or ""
    if not policy:
        causes.append(required(f"{path}.pullPolicy"))
    elif policy not in PULL_POLICIES:
        causes.append(not_supported(f"{path}.pullPolicy", policy, PULL_POLICIES))
    return causes


#: The sources in the order in which upstream looks at them, with their rules.
SOURCES: Mapping[str, Rule] = {
    "emptyDir": _validate_empty_dir,
    "hostPath": validate_host_path,
    "gitRepo": _validate_git,
    "gcePersistentDisk": _validate_gce,
    "awsElasticBlockStore": _validate_aws,
    "secret": validate_secret,
    "nfs": _validate_nfs,
    "iscsi": _validate_iscsi,
    "glusterfs": needs("endpoints", "path"),
    "flocker": _validate_flocker,
    "persistentVolumeClaim": needs("claimName"),
    "rbd": needs("monitors", "image"),
    "cinder": needs("volumeID"),
    "cephfs": needs("monitors"),
    "quobyte": _validate_quobyte,
    "downwardAPI": validate_downward_api,
    "fc": _validate_fc,
    "flexVolume": _validate_flex,
    "configMap": validate_config_map,
    "azureFile": needs("secretName", "shareName"),
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": _validate_azure_disk,
    "storageos": _validate_storage_os,
    "projected": validate_projected,
    "scaleIO": needs("gateway", "system", "volumeName"),
    "csi": _validate_csi,
    "ephemeral": _validate_ephemeral,
    "image": _validate_image,
}
#: What upstream's messages call a source that is one too many, where that differs.
_CALLED = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}


def validate_volumes(path: str, volumes: list[Source]) -> tuple[list[Cause], dict[str, Source]]:
    """Return every broken rule of a pod's volumes, and the flawless volumes by name."""
    causes: list[Cause] = []
    flawless: dict[str, Source] = {}
    for index, volume in enumerate(volumes):
        place = f"{path}[{index}]"
        name = volume.get("name") or ""
        found = _validate_source(place, volume, name)
        if not name:
            found.append(required(f"{place}.name"))
        elif problems := dns1123_label_problems(name):
            found += each_invalid(f"{place}.name", name, problems)
        if name in flawless:
            found.append(duplicate(f"{place}.name", name))
        if found:
            causes += found
        else:
            flawless[name] = volume
    return causes, flawless


def _validate_source(path: str, volume: Source, name: str) -> list[Cause]:
    kinds = [kind for kind, value in volume.items() if value is not None and kind in SOURCES]
    if len(kinds) == 1:
        kind = kinds[0]
        causes = SOURCES[kind](f"{path}.{kind}", volume[kind])
    elif not kinds:
        return [required(path, "must specify a volume type")]
    else:
        causes = []
        for position, kind in enumerate(sorted(kinds, key=list(SOURCES).index)):
            if position == 0:
                causes += SOURCES[kind](f"{path}.{kind}", volume[kind])
            else:
                causes.append(forbidden(f"{path}.{_CALLED.get(kind, kind)}", _MORE_THAN_ONE))
    iscsi = volume.get("iscsi")
    if iscsi and iscsi.get("initiatorName") and len(f"{name}:{iscsi.get('targetPortal')}") > 64:
        text = (
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is "
            "specified."
        )
        causes.append(invalid(f"{path}.name", name, text))
    return causes
