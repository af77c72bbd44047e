"""How upstream prints whole objects in messages: the internal form, with Go's field names and every empty field.

`internal_form` rebuilds it from our JSON for the types that messages show; `difference_text` is the unified diff of two.
One line a type: `Name` is null when missing; `Name=""`, `Name=0`, `Name=false` have that value instead; `Name:Type` is a
nested type, `Name=Type` one that is never null, `Name[Type]` a list of it. JSON names are found without regard to case.
Source: pkg/apis/*/types.go, apimachinery/pkg/util/diff (v1.37).
"""

import difflib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from moorage.objects.metadata import Object

_TYPES = """
PodSpec: Volumes[Volume] InitContainers[Container] Containers[Container] EphemeralContainers[EphemeralContainer] RestartPolicy="" TerminationGracePeriodSeconds ActiveDeadlineSeconds DNSPolicy="" NodeSelector ServiceAccountName="" DeprecatedServiceAccount="" AutomountServiceAccountToken NodeName="" HostNetwork=false HostPID=false HostIPC=false ShareProcessNamespace SecurityContext:PodSecurityContext ImagePullSecrets[LocalObjectReference] Hostname="" Subdomain="" Affinity:Affinity SchedulerName="" Tolerations[Toleration] HostAliases[HostAlias] PriorityClassName="" Priority DNSConfig:PodDNSConfig ReadinessGates[PodReadinessGate] RuntimeClassName EnableServiceLinks PreemptionPolicy Overhead TopologySpreadConstraints[TopologySpreadConstraint] SetHostnameAsFQDN OS:PodOS HostUsers SchedulingGates[PodSchedulingGate] ResourceClaims[PodResourceClaim] Resources:ResourceRequirements HostnameOverride SchedulingGroup:PodSchedulingGroup EvictionResponders[EvictionResponder]
Container: Name="" Image="" Command Args WorkingDir="" Ports[ContainerPort] EnvFrom[EnvFromSource] Env[EnvVar] Resources=ResourceRequirements ResizePolicy[ContainerResizePolicy] RestartPolicy RestartPolicyRules[ContainerRestartRule] VolumeMounts[VolumeMount] VolumeDevices[VolumeDevice] LivenessProbe:Probe ReadinessProbe:Probe StartupProbe:Probe Lifecycle:Lifecycle TerminationMessagePath="" TerminationMessagePolicy="" ImagePullPolicy="" SecurityContext:SecurityContext Stdin=false StdinOnce=false TTY=false
EphemeralContainer: +Container TargetContainerName=""
ContainerPort: Name="" HostPort=0 ContainerPort=0 Protocol="" HostIP=""
EnvFromSource: Prefix="" ConfigMapRef:OptionalReference SecretRef:OptionalReference
OptionalReference: Name="" Optional
EnvVar: Name="" Value="" ValueFrom:EnvVarSource
EnvVarSource: FieldRef:ObjectFieldSelector ResourceFieldRef:ResourceFieldSelector ConfigMapKeyRef:KeySelector SecretKeyRef:KeySelector FileKeyRef:FileKeySelector
ObjectFieldSelector: APIVersion="" FieldPath=""
ResourceFieldSelector: ContainerName="" Resource="" Divisor="0"
KeySelector: Name="" Key="" Optional
FileKeySelector: VolumeName="" Path="" Key="" Optional
ResourceRequirements: Limits Requests Claims[ResourceClaim]
ResourceClaim: Name="" Request=""
ContainerResizePolicy: ResourceName="" RestartPolicy=""
ContainerRestartRule: Action="" ExitCodes:ContainerRestartRuleOnExitCodes
ContainerRestartRuleOnExitCodes: Operator="" Values
VolumeMount: Name="" ReadOnly=false RecursiveReadOnly MountPath="" SubPath="" MountPropagation SubPathExpr="" BindMountOptions
VolumeDevice: Name="" DevicePath=""
Probe: +Handler InitialDelaySeconds=0 TimeoutSeconds=0 PeriodSeconds=0 SuccessThreshold=0 FailureThreshold=0 TerminationGracePeriodSeconds
Handler: Exec:ExecAction HTTPGet:HTTPGetAction TCPSocket:TCPSocketAction GRPC:GRPCAction
ExecAction: Command
HTTPGetAction: Path="" Port=0 Host="" Scheme="" HTTPHeaders[HTTPHeader]
HTTPHeader: Name="" Value=""
TCPSocketAction: Port=0 Host=""
GRPCAction: Port=0 Service
Lifecycle: PostStart:LifecycleHandler PreStop:LifecycleHandler StopSignal
LifecycleHandler: Exec:ExecAction HTTPGet:HTTPGetAction TCPSocket:TCPSocketAction Sleep:SleepAction
SleepAction: Seconds=0
SecurityContext: Capabilities:Capabilities Privileged SELinuxOptions:SELinuxOptions WindowsOptions:WindowsOptions RunAsUser RunAsGroup RunAsNonRoot ReadOnlyRootFilesystem AllowPrivilegeEscalation ProcMount SeccompProfile:Profile AppArmorProfile:Profile
Capabilities: Add Drop
SELinuxOptions: User="" Role="" Type="" Level=""
WindowsOptions: GMSACredentialSpecName GMSACredentialSpec RunAsUserName HostProcess
Profile: Type="" LocalhostProfile
PodSecurityContext: SELinuxOptions:SELinuxOptions WindowsOptions:WindowsOptions RunAsUser RunAsGroup RunAsNonRoot SupplementalGroups SupplementalGroupsPolicy FSGroup Sysctls[Sysctl] FSGroupChangePolicy SeccompProfile:Profile AppArmorProfile:Profile SELinuxChangePolicy
Sysctl: Name="" Value=""
LocalObjectReference: Name=""
SecretReference: Name="" Namespace=""
Affinity: NodeAffinity:NodeAffinity PodAffinity:PodAffinity PodAntiAffinity:PodAffinity
NodeAffinity: RequiredDuringSchedulingIgnoredDuringExecution:NodeSelector PreferredDuringSchedulingIgnoredDuringExecution[PreferredSchedulingTerm]
NodeSelector: NodeSelectorTerms[NodeSelectorTerm]
NodeSelectorTerm: MatchExpressions[NodeSelectorRequirement] MatchFields[NodeSelectorRequirement]
NodeSelectorRequirement: Key="" Operator="" Values
PreferredSchedulingTerm: Weight=0 Preference=NodeSelectorTerm
PodAffinity: RequiredDuringSchedulingIgnoredDuringExecution[PodAffinityTerm] PreferredDuringSchedulingIgnoredDuringExecution[WeightedPodAffinityTerm]
PodAffinityTerm: LabelSelector Namespaces TopologyKey="" NamespaceSelector MatchLabelKeys MismatchLabelKeys
WeightedPodAffinityTerm: Weight=0 PodAffinityTerm=PodAffinityTerm
Toleration: Key="" Operator="" Value="" Effect="" TolerationSeconds
HostAlias: IP="" Hostnames
PodDNSConfig: Nameservers Searches Options[PodDNSConfigOption]
PodDNSConfigOption: Name="" Value
PodReadinessGate: ConditionType=""
TopologySpreadConstraint: MaxSkew=0 TopologyKey="" WhenUnsatisfiable="" LabelSelector MinDomains NodeAffinityPolicy NodeTaintsPolicy MatchLabelKeys
PodOS: Name=""
PodSchedulingGate: Name=""
PodResourceClaim: Name="" ResourceClaimName ResourceClaimTemplateName
PodSchedulingGroup: PodGroupName
EvictionResponder: Name="" Priority=0
Volume: Name="" HostPath:HostPath EmptyDir:EmptyDir GCEPersistentDisk:GCEDisk AWSElasticBlockStore:AWSDisk GitRepo:GitRepo Secret:Secret NFS:NFS ISCSI:ISCSI Glusterfs:Glusterfs PersistentVolumeClaim:ClaimSource RBD:RBD FlexVolume:FlexVolume Cinder:Cinder CephFS:CephFS Flocker:Flocker DownwardAPI:DownwardAPI FC:FC AzureFile:AzureFile ConfigMap:ConfigMap VsphereVolume:Vsphere Quobyte:Quobyte AzureDisk:AzureDisk PhotonPersistentDisk:Photon Projected:Projected PortworxVolume:Portworx ScaleIO:ScaleIO StorageOS:StorageOS CSI:CSI Ephemeral:Ephemeral Image:Image
HostPath: Path="" Type
EmptyDir: Medium="" SizeLimit Mode
GCEDisk: PDName="" FSType="" Partition=0 ReadOnly=false
AWSDisk: VolumeID="" FSType="" Partition=0 ReadOnly=false
GitRepo: Repository="" Revision="" Directory=""
Secret: SecretName="" Items[KeyToPath] DefaultMode DefaultUser Optional
ConfigMap: Name="" Items[KeyToPath] DefaultMode DefaultUser Optional
KeyToPath: Key="" Path="" Mode User
NFS: Server="" Path="" ReadOnly=false
ISCSI: TargetPortal="" IQN="" Lun=0 ISCSIInterface="" FSType="" ReadOnly=false Portals DiscoveryCHAPAuth=false SessionCHAPAuth=false SecretRef:LocalObjectReference InitiatorName
Glusterfs: EndpointsName="" Path="" ReadOnly=false
ClaimSource: ClaimName="" ReadOnly=false
RBD: CephMonitors RBDImage="" FSType="" RBDPool="" RadosUser="" Keyring="" SecretRef:LocalObjectReference ReadOnly=false
FlexVolume: Driver="" FSType="" SecretRef:LocalObjectReference ReadOnly=false Options
Cinder: VolumeID="" FSType="" ReadOnly=false SecretRef:LocalObjectReference
CephFS: Monitors Path="" User="" SecretFile="" SecretRef:LocalObjectReference ReadOnly=false
Flocker: DatasetName="" DatasetUUID=""
DownwardAPI: Items[DownwardAPIFile] DefaultMode DefaultUser
DownwardAPIFile: Path="" FieldRef:ObjectFieldSelector ResourceFieldRef:ResourceFieldSelector Mode User
FC: TargetWWNs Lun FSType="" ReadOnly=false WWIDs
AzureFile: SecretName="" ShareName="" ReadOnly=false
Vsphere: VolumePath="" FSType="" StoragePolicyName="" StoragePolicyID=""
Quobyte: Registry="" Volume="" ReadOnly=false User="" Group="" Tenant=""
AzureDisk: DiskName="" DataDiskURI="" CachingMode FSType ReadOnly Kind
Photon: PdID="" FSType=""
Portworx: VolumeID="" FSType="" ReadOnly=false
ScaleIO: Gateway="" System="" SecretRef:LocalObjectReference SSLEnabled=false ProtectionDomain="" StoragePool="" StorageMode="" VolumeName="" FSType="" ReadOnly=false
StorageOS: VolumeName="" VolumeNamespace="" FSType="" ReadOnly=false SecretRef:LocalObjectReference
CSI: Driver="" ReadOnly FSType VolumeAttributes NodePublishSecretRef:LocalObjectReference
Ephemeral: VolumeClaimTemplate:ClaimTemplate
ClaimTemplate: Spec=ClaimSpec
Image: Reference="" PullPolicy=""
Projected: Sources[Projection] DefaultMode DefaultUser
Projection: Secret:ProjectedKeys DownwardAPI:DownwardAPIProjection ConfigMap:ProjectedKeys ServiceAccountToken:Token ClusterTrustBundle:TrustBundle PodCertificate:PodCertificate
ProjectedKeys: Name="" Items[KeyToPath] Optional
DownwardAPIProjection: Items[DownwardAPIFile]
Token: Audience="" ExpirationSeconds=0 Path="" User
TrustBundle: Name SignerName LabelSelector Optional Path="" User
PodCertificate: SignerName="" KeyType="" MaxExpirationSeconds CredentialBundlePath="" KeyPath="" CertificateChainPath="" UserAnnotations User
ClaimSpec: AccessModes Selector Resources=VolumeResources VolumeName="" StorageClassName VolumeMode DataSource:TypedReference DataSourceRef:TypedObjectReference VolumeAttributesClassName
VolumeResources: Limits Requests
TypedReference: APIGroup Kind="" Name=""
TypedObjectReference: APIGroup Kind="" Name="" Namespace
ClaimStatus: Phase="" AccessModes Capacity Conditions AllocatedResources AllocatedResourceStatuses CurrentVolumeAttributesClassName ModifyVolumeStatus HealthStatus
Claim: +Meta Spec=ClaimSpec Status=ClaimStatus
Meta:
PersistentVolumeSource: GCEPersistentDisk:GCEDisk AWSElasticBlockStore:AWSDisk HostPath:HostPath Glusterfs:GlusterfsVolume NFS:NFS RBD:RBDVolume Quobyte:Quobyte ISCSI:ISCSIVolume FlexVolume:FlexVolumeVolume Cinder:CinderVolume CephFS:CephFSVolume FC:FC Flocker:Flocker AzureFile:AzureFileVolume VsphereVolume:Vsphere AzureDisk:AzureDisk PhotonPersistentDisk:Photon PortworxVolume:Portworx ScaleIO:ScaleIOVolume Local:Local StorageOS:StorageOSVolume CSI:CSIVolume
GlusterfsVolume: EndpointsName="" Path="" ReadOnly=false EndpointsNamespace
RBDVolume: CephMonitors RBDImage="" FSType="" RBDPool="" RadosUser="" Keyring="" SecretRef:SecretReference ReadOnly=false
ISCSIVolume: TargetPortal="" IQN="" Lun=0 ISCSIInterface="" FSType="" ReadOnly=false Portals DiscoveryCHAPAuth=false SessionCHAPAuth=false SecretRef:SecretReference InitiatorName
FlexVolumeVolume: Driver="" FSType="" SecretRef:SecretReference ReadOnly=false Options
CinderVolume: VolumeID="" FSType="" ReadOnly=false SecretRef:SecretReference
CephFSVolume: Monitors Path="" User="" SecretFile="" SecretRef:SecretReference ReadOnly=false
AzureFileVolume: SecretName="" ShareName="" ReadOnly=false SecretNamespace
ScaleIOVolume: Gateway="" System="" SecretRef:SecretReference SSLEnabled=false ProtectionDomain="" StoragePool="" StorageMode="" VolumeName="" FSType="" ReadOnly=false
Local: Path="" FSType
StorageOSVolume: VolumeName="" VolumeNamespace="" FSType="" ReadOnly=false SecretRef
CSIVolume: Driver="" VolumeHandle="" ReadOnly=false FSType="" VolumeAttributes ControllerPublishSecretRef:SecretReference NodeStageSecretRef:SecretReference NodePublishSecretRef:SecretReference ControllerExpandSecretRef:SecretReference NodeExpandSecretRef:SecretReference
VolumeNodeAffinity: Required:NodeSelector
StatefulSetUpdateStrategy: Type="" RollingUpdate:RollingUpdateStatefulSet
RollingUpdateStatefulSet: Partition=0 MaxUnavailable
DaemonSetUpdateStrategy: Type="" RollingUpdate:RollingUpdateDaemonSet
RollingUpdateDaemonSet: MaxUnavailable MaxSurge
DeploymentStrategy: Type="" RollingUpdate:RollingUpdateDeployment
RollingUpdateDeployment: MaxUnavailable MaxSurge
ObjectReference: Kind="" Namespace="" Name="" UID="" APIVersion="" ResourceVersion="" FieldPath=""
RoleRef: APIGroup="" Kind="" Name=""
FlowSchemaSpec: PriorityLevelConfiguration=PriorityLevelReference MatchingPrecedence=0 DistinguisherMethod:Distinguisher Rules[PolicyRulesWithSubjects]
PriorityLevelReference: Name=""
Distinguisher: Type=""
PolicyRulesWithSubjects: Subjects[FlowSubject] ResourceRules[FlowResourceRule] NonResourceRules[FlowPathRule]
FlowSubject: Kind="" User:NamedSubject Group:NamedSubject ServiceAccount:AccountSubject
NamedSubject: Name=""
AccountSubject: Namespace="" Name=""
FlowResourceRule: Verbs APIGroups Resources ClusterScope=false Namespaces
FlowPathRule: Verbs NonResourceURLs
CSINodeDriver: Name="" NodeID="" TopologyKeys Allocatable:VolumeNodeResources
VolumeNodeResources: Count
DeviceClaimSpec: Devices=DeviceClaim
DeviceClaim: Requests[DeviceRequest] Constraints Config
DeviceRequest: Name="" Exactly:ExactDeviceRequest FirstAvailable
ExactDeviceRequest: DeviceClassName="" Selectors AllocationMode="" Count=0 AdminAccess Tolerations Capacity DerivedAttributes
ClaimTemplateSpec: Spec=DeviceClaimSpec
IngressClassParameters: APIGroup Kind="" Name="" Scope Namespace
ServiceCIDRSpec: CIDRs
CertificateCondition: Type="" Status="" Reason="" Message="" LastUpdateTime LastTransitionTime
"""  # noqa: E501 (one line a type)

#: Internal fields whose JSON name is another word.
_RENAMED = {"deprecatedserviceaccount": "serviceaccount", "cephmonitors": "monitors", "rbdimage": "image"}
_RENAMED |= {"rbdpool": "pool", "radosuser": "user", "endpointsname": "endpoints", "datadiskuri": "diskuri"}

_ZEROES: Mapping[str, Any] = {'""': "", "0": 0, "false": False, '"0"': "0"}


class _Field(NamedTuple):
    name: str
    key: str
    zero: Any
    type: str = ""
    is_list: bool = False


@cache
def _types() -> Mapping[str, tuple[_Field, ...]]:
    types: dict[str, tuple[_Field, ...]] = {}
    lines = [line.partition(":") for line in _TYPES.strip().splitlines()]
    written = {name: text.split() for name, _, text in lines}
    for name, words in written.items():
        fields: list[_Field] = []
        for word in words:
            fields += map(_field, written[word[1:]]) if word.startswith("+") else [_field(word)]
        types[name] = tuple(fields)
    return types


def _field(word: str) -> _Field:
    if word.endswith("]"):
        name, _, item = word[:-1].partition("[")
        return _Field(name, _key(name), None, item, is_list=True)
    name, sign, rest = word.partition(":") if ":" in word else word.partition("=")
    if sign == ":":
        return _Field(name, _key(name), None, rest)
    if rest in _ZEROES:
        return _Field(name, _key(name), _ZEROES[rest])
    return _Field(name, _key(name), {} if rest else None, rest)


def _key(name: str) -> str:
    key = name.lower()
    return _RENAMED.get(key, key)


def internal_form(kind: str, value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the value in the internal form of the named type, None if there is no value."""
    if value is None:
        return None
    given = {key.lower(): each for key, each in value.items()}
    return {field.name: _shown(field, given.get(field.key)) for field in _types()[kind]}


def internal_list(kind: str, values: list[Any] | None) -> list[Any] | None:
    """Return a list of values in the internal form of the named type, None if it is empty."""
    return [internal_form(kind, each) for each in values] if values else None


def _shown(field: _Field, value: Any) -> Any:
    if field.is_list:
        return internal_list(field.type, value)
    if field.type:
        return internal_form(field.type, field.zero if value is None else value)
    if value is None or (field.zero is None and value in ({}, [])):
        return field.zero
    if isinstance(value, dict):
        return dict(sorted(value.items()))
    return value


def difference_text(old: Any, new: Any) -> str:
    """Return the unified diff of two values in internal form, as messages embed it."""
    before, after = (json.dumps(each, indent=1, ensure_ascii=False).splitlines() for each in (old, new))
    lines = list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]
    return "".join(f"{line}\n" for line in lines)


def printed_claims(templates: list[Object] | None) -> list[Any] | None:
    """Return claims in the form in which messages show volumeClaimTemplates."""
    if not templates:
        return None
    return [_printed_claim(each) for each in templates]


def _printed_claim(claim: Object) -> dict[str, Any]:
    metadata = claim.get("metadata") or {}
    form = internal_form("Claim", claim) or {}
    shown = {key: value for key, value in metadata.items() if value}
    return {**shown, **form}
