"""Declarations: what calls take and give, said once. They read what comes in, and the OpenAPI document is made of them.

A `Kind` is a reader with the JSON schema (2020-12) of what it takes; a `Property` gives a kind a name and a sentence; a
`Table` of properties reads an object. An `Operation` is one method of an address: its tables, its answers, and the
refusals that are its own; a `Route` is an address with its operations. How to declare a resource:

    LABEL = Property("label", text(most=80), "What it is for.", example="Shop")
    CREATE = Operation(create, "Makes a thing", "manage", (Answer(201, "It is made.", THING),), body=Table(LABEL))
    ROUTE = Route("things", {"POST": CREATE})

    async def create(call: Call) -> Response:
        values = await call.read_body()  # by the table of the operation: values["label"] is a str when it was given

Readers raise `Refused` with the name of the property as field.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from smtpeter.model.refusal import Refused

if TYPE_CHECKING:
    from smtpeter.doors.rest.call import Call

JSON = "application/json"
TEXT = "text/plain"

Schema = Mapping[str, Any]


@dataclass(slots=True)
class Reading:
    """What the readers of one call share. In form input values are text; names without effect go to `unknown`."""

    is_form: bool = False
    unknown: list[str] = field(default_factory=list)
    most_recipients: int = 1000


Reader = Callable[[Any, str, Reading], Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: its schema, and the reader that takes a value with the name of its place."""

    schema: Schema
    read: Reader


@dataclass(frozen=True, slots=True)
class Property:
    """A property of a call, a parameter of its query or an argument in its path. `sentence` says what it means."""

    name: str
    kind: Kind
    sentence: str
    example: Any = None
    aliases: tuple[str, ...] = ()
    is_required: bool = False


class Table:
    """The properties of an object, in the order in which they are shown."""

    def __init__(self, *properties: Property, example: Schema | None = None) -> None:
        self.properties = properties
        self.example = example
        self._by_name = {name: known for known in properties for name in (known.name, *known.aliases)}
        self._required = tuple(known for known in properties if known.is_required)

    def read(self, given: Mapping[str, Any], reading: Reading, inside: str = "") -> dict[str, Any]:
        """Gives the typed values under the first names of their properties; null is as good as absent.

        `inside` stands before the names in refusals, as `dsn.`. Raises Refused.
        """
        values: dict[str, Any] = {}
        by_name = self._by_name
        for name, value in given.items():
            known = by_name.get(name)
            if known is None:
                reading.unknown.append(inside + name)
            elif value is None:
                continue
            elif known.name in values:
                values[known.name] = _merged(known, name, given, reading, inside)
            else:
                values[known.name] = known.kind.read(value, inside + name, reading)
        for known in self._required:
            if known.name not in values:
                raise wrong(inside + known.name, f"`{inside}{known.name}` is missing. {known.sentence}")
        return values


def _merged(known: Property, name: str, given: Mapping[str, Any], reading: Reading, inside: str) -> Any:
    """Gives the value of a property that came under two of its names, which only objects may."""
    both = [given[n] for n in (known.name, *known.aliases) if given.get(n) is not None]
    if not all(isinstance(value, dict) for value in both):
        raise wrong(inside + name, f"`{inside}{name}` means the same as `{inside}{known.name}`; give one of the two.")
    merged: dict[str, Any] = {}
    for value in reversed(both):
        merged |= value
    return known.kind.read(merged, inside + known.name, reading)


def wrong(name: str, reason: str) -> Refused:
    """Gives the refusal of one property; `reason` is a sentence that tells how to mend it."""
    return Refused("invalid_request", field=name, reason=reason)


NOTHING = Table()


def schema_of(table: Table) -> dict[str, Any]:
    """Gives the JSON schema of the object that a table reads. Names that it does not know are allowed, and reported."""
    properties: dict[str, Any] = {}
    for known in table.properties:
        shown = {} if known.example is None else {"examples": [known.example]}
        properties[known.name] = {**known.kind.schema, "description": known.sentence, **shown}
        for alias in known.aliases:
            properties[alias] = {**known.kind.schema, "description": f"The same as `{known.name}`."}
    required = [known.name for known in table.properties if known.is_required]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which a call succeeds. `schema` None: no JSON; `headers` are names with what they say."""

    status: int
    sentence: str
    schema: Schema | None = None
    type: str = JSON
    example: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Resource = Callable[["Call"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method of an address does, and the scope that it needs ("" for a call without a token).

    `refusals` are the slugs of errors.py and model/refusal.py that only this call has. `is_repeatable`: an
    Idempotency-Key is honoured. `takes_files`: the body may be multipart/form-data.
    """

    resource: Resource
    summary: str
    scope: str
    answers: tuple[Answer, ...]
    description: str = ""
    query: Table = NOTHING
    body: Table | None = None
    refusals: tuple[str, ...] = ()
    is_repeatable: bool = False
    takes_files: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """An address behind /v1/, as `message/{id}`, and what answers each method there.

    Arguments stand at the end of the path, each in one segment; `arguments` declares them in their order.
    """

    path: str
    methods: Mapping[str, Operation]
    arguments: tuple[Property, ...] = ()
