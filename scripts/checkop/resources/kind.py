"""What a row of the resource table can say, and the few shapes in which AWS's APIs find and tag things."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop.reconcile import tag_list, tag_map

if TYPE_CHECKING:
    from checkop.aws import Clients
    from checkop.reconcile import Plan

# A resource as AWS describes it, properties as a task gives them, parameters of a call.
Data = dict[str, Any]
Find = Callable[[Any, str, Data], "Data | None"]


@dataclass(frozen=True)
class Context:
    """What every step of the engine needs.

    Parameters
    ----------
    clients:
        Clients of the region.
    plan:
        Records and applies.
    tags:
        The inventory's ``aws_tags``: whose the resources are.
    wait_seconds:
        Bound of each wait.
    """

    clients: Clients
    plan: Plan
    tags: Mapping[str, str]
    wait_seconds: float = 600


@dataclass(frozen=True)
class Tags:
    """How a kind is tagged.

    Parameters
    ----------
    create:
        Returns the parameters of the create call that carry the tags.
    read:
        Gets client and resource, returns its tags.
    write:
        Gets client, resource and the tags to set.
    late:
        The create call takes none, so that they are written after it. A resource without any tag is then one whose
        creation was interrupted: only for kinds whose names carry account and environment.
    """

    create: Callable[[Mapping[str, str]], Data]
    read: Callable[[Any, Data], dict[str, str]]
    write: Callable[[Any, Data, Mapping[str, str]], object]
    late: bool = False


@dataclass(frozen=True)
class Part:
    """A property that calls of its own read and write.

    Parameters
    ----------
    operation, member:
        The call whose input knows the property's shape, and the member; without them the property is a mapping of
        AWS's keys to text.
    read:
        Gets client and resource, returns the value as it is, None where there is none.
    write:
        Gets client, resource, value as it is and as desired.
    keyed:
        The value is a mapping of which AWS knows all keys: only the keys given are compared, others are refused.
    created:
        The create call takes the property too.
    sides:
        Gets the value as it is and as desired; returns what is to be compared of both.
    """

    read: Callable[[Any, Data], Any]
    write: Callable[[Any, Data, Any, Any], object]
    operation: str = ""
    member: str = ""
    keyed: bool = False
    created: bool = False
    sides: Callable[[Any, Any], tuple[Any, Any]] | None = None


def _as_desired(_current: Data, desired: Data) -> Data:
    return desired


def _as_changed(changed: Data, _current: Data) -> Data:
    return changed


@dataclass(frozen=True)
class Kind:
    """One kind of resource: only what its API does differently from others is said.

    A property that the update call's input lacks cannot be changed in place; it needs no mention.

    Parameters
    ----------
    label:
        What a person calls it.
    service:
        Attribute of `Clients`, which is boto3's name of the service.
    create, update, delete:
        Methods of the client; update and delete get the identifier.
    find:
        Gets client, name and properties; returns the resource as AWS describes it, or None.
    identifier:
        Member of the description that update and delete calls name the resource by.
    key:
        Parameter of the create call that carries the name; empty: the name is the tag ``Name``.
    tags:
        How it is tagged; None: the API has no tags for it, and it belongs to what contains it.
    scope:
        Properties without which it cannot be found, because it exists within another resource.
    replaces:
        Properties that the update call's input knows, but which cannot be changed in place for us.
    remedy:
        What to do when one of those differs.
    reads:
        Property to where the description has it, if not under its own name.
    settle:
        Gets the current description and the desired properties; returns what is desired in the light of the first.
    request:
        Gets the properties that changed and the current description; returns the parameters of the update call.
    changeable:
        Properties that `request` turns into parameters of another name.
    options:
        Properties that only steer the update call, and are never compared.
    ordered:
        Properties whose lists have an order.
    documents:
        Properties that hold a policy document: compared by meaning, sent as JSON.
    parts:
        Properties that calls of their own set.
    ready:
        Gets a description; returns whether it can be used, and its state for people. Raises `CheckopError` for a state
        that no waiting ends.
    serves:
        Gets a description; returns whether others can use it, whatever AWS is doing with it just now. By default that
        is the same as ready.
    urgent:
        Gets changed properties and description; returns the options of a change that must not wait until it is ready.
    retried:
        Error codes that mean "not yet" to create and update, beside those that EC2 gives for what it made just now.
    retried_about:
        Words that such an error's message must hold as well.
    initial:
        Properties that matter when it is created, and are never compared.
    name_tag:
        Whether it carries its name as tag ``Name`` too.
    listed:
        Gets client and properties of the scope; returns all resources of the kind there, for purging.
    name_of:
        Name of a listed resource.
    """

    label: str
    service: str
    find: Find
    create: str
    identifier: str
    key: str = ""
    update: str = ""
    delete: str = ""
    tags: Tags | None = None
    scope: Sequence[str] = ()
    replaces: Collection[str] = ()
    remedy: str = "Give it another name: a new one is made."
    reads: Mapping[str, Callable[[Data], Any]] = field(default_factory=dict)
    settle: Callable[[Data, Data], Data] = _as_desired
    request: Callable[[Data, Data], Data] = _as_changed
    changeable: Collection[str] = ()
    options: Collection[str] = ()
    ordered: Collection[str] = ()
    documents: Collection[str] = ()
    parts: Mapping[str, Part] = field(default_factory=dict)
    ready: Callable[[Data], tuple[bool, str]] | None = None
    serves: Callable[[Data], bool] | None = None
    urgent: Callable[[Data, Data], Data] = lambda _changed, _current: {}
    retried: Collection[str] = ()
    retried_about: str = ""
    initial: Collection[str] = ()
    name_tag: bool = True
    listed: Callable[[Any, Data], list[Data]] | None = None
    name_of: Callable[[Data], str] = lambda _current: ""


def described(operation: str, listing: str, parameter: str, *missing: str, many: bool = False) -> Find:
    """Find by a describe call that is given the name and answers with a list or with an error.

    Parameters
    ----------
    operation:
        Method of the client.
    listing:
        Member of the answer: a list, or the resource itself.
    parameter:
        Takes the name.
    missing:
        Error codes that mean that there is none.
    many:
        The parameter is a list of names.
    """

    def find(client: Any, name: str, _desired: Data) -> Data | None:
        asked = {parameter: [name] if many else name}
        answer = unless_missing(lambda: getattr(client, operation)(**asked)[listing], *missing)
        found = answer if isinstance(answer, list) else [answer]
        return dict(found[0]) if found and found[0] is not None else None

    return find


def unless_missing(call: Callable[[], Any], *missing: str) -> Any:
    """Return the answer of a call; None where AWS answers with one of the codes that mean that there is none."""
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] in missing:
            return None
        raise


def pages(client: Any, operation: str, listing: str, **parameters: Any) -> list[Any]:
    """Give all entries of a paginated listing."""
    return [item for page in client.get_paginator(operation).paginate(**parameters) for item in page[listing]]


def key_values(operation: str, arn: str) -> Part:
    """Return the part for attributes that ELB keeps as keys and values (Describe… and Modify…Attributes).

    Only the keys that differ are sent: AWS refuses some of the others in combination.
    """

    def read(client: Any, current: Data) -> dict[str, str]:
        answer = getattr(client, f"describe_{operation}")(**{arn: current[arn]})["Attributes"]
        return tag_map(answer)

    def write(client: Any, current: Data, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        changed = {key: value for key, value in after.items() if before.get(key) != value}
        getattr(client, f"modify_{operation}")(**{arn: current[arn]}, Attributes=tag_list(changed))

    return Part(read, write, keyed=True)
