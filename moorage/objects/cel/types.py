"""Types of expressions: what they are, how they fit, and which functions there are.

Source: the CEL language definition; libraries of apiserver/pkg/cel/library and cel-go/ext (v1.37).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple


class CelType(NamedTuple):
    """A type: `list` and `map` have arguments, objects have fields (by their name in expressions).

    A name of one upper-case letter stands for any type, the same one at each of its places.
    """

    name: str
    args: "tuple[CelType, ...]" = ()
    fields: "Mapping[str, CelType] | None" = None

    def __str__(self) -> str:
        if self.name == "null_type":
            return "null"
        if self.name == "dyn":
            return "dyn"
        if self.name in _LONG_NAMES:
            return _LONG_NAMES[self.name]
        if self.name == "optional":
            return f"optional_type({self.args[0]})"
        if self.fields is not None:
            return self.name
        return f"{self.name}({', '.join(map(str, self.args))})" if self.args else self.name


DYN: Final = CelType("dyn")
#: What an empty list or map holds: anything, and nothing against a better known type.
FREE: Final = CelType("dyn", (CelType("free"),))
BOOL: Final = CelType("bool")
INT: Final = CelType("int")
UINT: Final = CelType("uint")
DOUBLE: Final = CelType("double")
STRING: Final = CelType("string")
BYTES: Final = CelType("bytes")
NULL: Final = CelType("null_type")
DURATION: Final = CelType("duration")
TIMESTAMP: Final = CelType("timestamp")
TYPE: Final = CelType("type")


def list_of(item: CelType) -> CelType:
    """Return the type of a list."""
    return CelType("list", (item,))


def map_of(key: CelType, value: CelType) -> CelType:
    """Return the type of a map."""
    return CelType("map", (key, value))


def optional_of(value: CelType) -> CelType:
    """Return the type of a value that may be missing."""
    return CelType("optional", (value,))


def object_of(fields: Mapping[str, CelType]) -> CelType:
    """Return the type of an object with these fields."""
    return CelType("object", (), fields)


class _AnyField(Mapping[str, CelType]):
    """Has every field, of any type."""

    def __getitem__(self, key: str) -> CelType:
        return DYN

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, key: object) -> bool:
        return True


def named_object(name: str, fields: Mapping[str, CelType] | None = None) -> CelType:
    """Return the type of objects that is known by its name: with these fields, or with any."""
    return CelType(name, (), _AnyField() if fields is None else fields)


#: What stands for types in one call: parameter -> type.
Bindings = dict[str, CelType]

#: Types that have null among their values.
_NULLABLE: Final = frozenset({"object", "duration", "timestamp", "dyn", "optional"})


def fits(given: CelType, wanted: CelType, bindings: Bindings) -> bool:
    """Tell whether a value of one type may stand where another is wanted; binds type parameters on the way."""
    if len(wanted.name) == 1 and wanted.name.isupper():
        bound = bindings.get(wanted.name)
        if bound is None or bound.name == "dyn":
            bindings[wanted.name] = given
            return True
        if _is_open(bound) and fits(given, bound, bindings):
            bindings[wanted.name] = given
            return True
        if given.name == "dyn" or fits(given, bound, bindings):
            return True
        return _widens(given, wanted.name, bound, bindings)
    if given.name == "dyn" or wanted.name == "dyn":
        return True
    if given.name == "null_type" and (wanted.name in _NULLABLE or wanted.fields is not None):
        return True
    if given.name != wanted.name:
        return False
    if given.name == "object":
        return given.fields == wanted.fields or given.fields is wanted.fields
    return len(given.args) == len(wanted.args) and all(
        fits(one, other, bindings) for one, other in zip(given.args, wanted.args, strict=True)
    )


def _is_open(type_: CelType) -> bool:
    """Tell whether a type is one of an empty list or map, or holds such ones."""
    return type_ is FREE or type_ == FREE or any(map(_is_open, type_.args))


def _widens(given: CelType, name: str, bound: CelType, bindings: Bindings) -> bool:
    """Let a later argument be the more general one: an empty list before a full one, null before an object."""
    if fits(bound, given, bindings):
        bindings[name] = given
        return True
    return False


#: Types of functions' tables -> the names that Kubernetes has for them.
_LONG_NAMES: Final = {
    "url": "kubernetes.URL",
    "ip": "net.IP",
    "cidr": "net.CIDR",
    "quantity": "kubernetes.Quantity",
    "semver": "kubernetes.Semver",
    "format": "kubernetes.NamedFormat",
    "authorizer": "kubernetes.authorization.Authorizer",
    "pathcheck": "kubernetes.authorization.PathCheck",
    "groupcheck": "kubernetes.authorization.GroupCheck",
    "resourcecheck": "kubernetes.authorization.ResourceCheck",
    "decision": "kubernetes.authorization.Decision",
}


def bound_type(wanted: CelType, bindings: Bindings) -> CelType:
    """Return a type with its parameters replaced; those that nothing is known of are dyn."""
    if len(wanted.name) == 1 and wanted.name.isupper():
        return bindings.get(wanted.name, DYN)
    return wanted._replace(args=tuple(bound_type(each, bindings) for each in wanted.args)) if wanted.args else wanted


class Signature(NamedTuple):
    """One form of a function. receiver: None if it is no method."""

    receiver: CelType | None
    args: tuple[CelType, ...]
    result: CelType


#: name, then its forms: `receiver.(arguments)result`.
_FUNCTIONS: Final = """
!_ (bool)bool
-_ (int)int (double)double (duration)duration
_&&_ (bool,bool)bool
_||_ (bool,bool)bool
_?_:_ (bool,A,A)A
_==_ (A,A)bool
_!=_ (A,A)bool
@in (A,list<A>)bool (A,map<A,B>)bool
_[_] (list<A>,int)A (map<A,B>,A)B (optional<list<A>>,int)optional<A> (optional<map<A,B>>,A)optional<B>
_[?_] (list<A>,int)optional<A> (map<A,B>,A)optional<B> (optional<list<A>>,int)optional<A> (optional<map<A,B>>,A)optional<B>
_+_ (int,int)int (uint,uint)uint (double,double)double (string,string)string (bytes,bytes)bytes (list<A>,list<A>)list<A> \
(duration,duration)duration (timestamp,duration)timestamp (duration,timestamp)timestamp
_-_ (int,int)int (uint,uint)uint (double,double)double (timestamp,timestamp)duration (timestamp,duration)timestamp \
(duration,duration)duration
_*_ (int,int)int (uint,uint)uint (double,double)double
_/_ (int,int)int (uint,uint)uint (double,double)double
_%_ (int,int)int (uint,uint)uint
size (string)int (bytes)int (list<A>)int (map<A,B>)int string.()int bytes.()int list<A>.()int map<A,B>.()int
type (A)type
dyn (A)dyn
int (int)int (uint)int (double)int (string)int (timestamp)int (duration)int
uint (uint)uint (int)uint (double)uint (string)uint
double (double)double (int)double (uint)double (string)double
string (string)string (int)string (uint)string (double)string (bool)string (bytes)string (timestamp)string (duration)string
bytes (bytes)bytes (string)bytes
bool (bool)bool (string)bool
duration (duration)duration (string)duration
timestamp (timestamp)timestamp (string)timestamp (int)timestamp
contains string.(string)bool
startsWith string.(string)bool
endsWith string.(string)bool
matches string.(string)bool (string,string)bool
charAt string.(int)string
indexOf string.(string)int string.(string,int)int list<A>.(A)int
lastIndexOf string.(string)int string.(string,int)int list<A>.(A)int
join list<string>.()string list<string>.(string)string
lowerAscii string.()string
upperAscii string.()string
replace string.(string,string)string string.(string,string,int)string
split string.(string)list<string> string.(string,int)list<string>
substring string.(int)string string.(int,int)string
trim string.()string
reverse string.()string list<A>.()list<A>
find string.(string)string
findAll string.(string)list<string> string.(string,int)list<string>
isSorted list<A>.()bool
sum list<int>.()int list<uint>.()uint list<double>.()double list<duration>.()duration
min list<A>.()A
max list<A>.()A
getFullYear timestamp.()int timestamp.(string)int
getMonth timestamp.()int timestamp.(string)int
getDate timestamp.()int timestamp.(string)int
getDayOfMonth timestamp.()int timestamp.(string)int
getDayOfWeek timestamp.()int timestamp.(string)int
getDayOfYear timestamp.()int timestamp.(string)int
getHours timestamp.()int timestamp.(string)int duration.()int
getMinutes timestamp.()int timestamp.(string)int duration.()int
getSeconds timestamp.()int timestamp.(string)int duration.()int
getMilliseconds timestamp.()int timestamp.(string)int duration.()int
url (string)url
isURL (string)bool
getScheme url.()string
getHost url.()string
getHostname url.()string
getPort url.()string
getEscapedPath url.()string
getQuery url.()map<string,list<string>>
ip (string)ip
isIP (string)bool
ip.isCanonical (string)bool
family ip.()int
isUnspecified ip.()bool
isLoopback ip.()bool
isLinkLocalMulticast ip.()bool
isLinkLocalUnicast ip.()bool
isGlobalUnicast ip.()bool
cidr (string)cidr
isCIDR (string)bool
containsIP cidr.(string)bool cidr.(ip)bool
containsCIDR cidr.(string)bool cidr.(cidr)bool
masked cidr.()cidr
prefixLength cidr.()int
quantity (string)quantity
isQuantity (string)bool
sign quantity.()int
add quantity.(quantity)quantity quantity.(int)quantity
sub quantity.(quantity)quantity quantity.(int)quantity
isGreaterThan quantity.(quantity)bool semver.(semver)bool
isLessThan quantity.(quantity)bool semver.(semver)bool
compareTo quantity.(quantity)int semver.(semver)int
asInteger quantity.()int
isInteger quantity.()bool
asApproximateFloat quantity.()double
format.named (string)optional<format>
validate format.(string)optional<list<string>>
semver (string)semver (string,bool)semver
isSemver (string)bool (string,bool)bool
major semver.()int
minor semver.()int
patch semver.()int
path authorizer.(string)pathcheck
group authorizer.(string)groupcheck
serviceAccount authorizer.(string,string)authorizer
resource groupcheck.(string)resourcecheck
subresource resourcecheck.(string)resourcecheck
namespace resourcecheck.(string)resourcecheck
name resourcecheck.(string)resourcecheck
fieldSelector resourcecheck.(string)resourcecheck
labelSelector resourcecheck.(string)resourcecheck
check pathcheck.(string)decision resourcecheck.(string)decision
errored decision.()bool
error decision.()string
allowed decision.()bool
reason decision.()string
jsonpatch.escapeKey (string)string
strings.quote (string)string
format string.(list<A>)string
slice list<A>.(int,int)list<A>
flatten list<A>.()list<dyn> list<A>.(int)list<dyn>
sort list<A>.()list<A>
distinct list<A>.()list<A>
first list<A>.()optional<A>
last list<A>.()optional<A>
lists.range (int)list<int>
sets.contains (list<A>,list<A>)bool
sets.equivalent (list<A>,list<A>)bool
sets.intersects (list<A>,list<A>)bool
optional.of (A)optional<A>
optional.ofNonZeroValue (A)optional<A>
optional.none ()optional<A>
hasValue optional<A>.()bool
value optional<A>.()A
or optional<A>.(optional<A>)optional<A>
orValue optional<A>.(A)A
"""

#: Formats that texts can be held against.
FORMATS: Final = (
    *("dns1123Label", "dns1123Subdomain", "dns1035Label", "qualifiedName", "dns1123LabelPrefix"),
    *("dns1123SubdomainPrefix", "dns1035LabelPrefix", "labelValue", "uri", "uuid", "byte", "date", "datetime"),
)

_ORDERED: Final = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
_CONVERSIONS: Final = {"string": ("ip", "cidr")}
_FORM: Final = re.compile(r"(?:([\w<>,]+)\.)?\(([\w<>,]*)\)([\w<>,]+)")


@cache
def functions() -> Mapping[str, Sequence[Signature]]:
    """Return the forms of every function."""
    found: dict[str, list[Signature]] = {}
    for line in _FUNCTIONS.strip().splitlines():
        name, *forms = line.split()
        found[name] = [_signature(form) for form in forms]
    for name in FORMATS:
        found[f"format.{name}"] = [Signature(None, (), CelType("format"))]
    pairs = [(one, one) for one in _ORDERED]
    numbers = ("int", "uint", "double")
    pairs += [(one, other) for one in numbers for other in numbers if one != other]
    for sign in ("<", "<=", ">", ">="):
        found[f"_{sign}_"] = [Signature(None, (CelType(one), CelType(other)), BOOL) for one, other in pairs]
    for name, others in _CONVERSIONS.items():
        found[name] += [Signature(None, (CelType(each),), CelType(name)) for each in others]
    return found


def _signature(form: str) -> Signature:
    match = _FORM.fullmatch(form)
    if match is None:
        raise ValueError(form)
    receiver, args, result = match.groups()
    return Signature(_type(receiver) if receiver else None, tuple(map(_type, _split(args))), _type(result))


def _split(text: str) -> list[str]:
    """Split at commas that are not inside angle brackets."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        depth += {"<": 1, ">": -1}.get(char, 0)
        if char == "," and not depth:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]] if text else []


def _type(text: str) -> CelType:
    name, bracket, inner = text.partition("<")
    return CelType(name, tuple(map(_type, _split(inner[:-1]))) if bracket else ())
