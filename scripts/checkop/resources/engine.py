"""Make resources true: find, compare with the properties given, create, modify, tag, wait, delete.

Only what a task gives is compared. Both sides of each difference are recorded, in AWS's own names.
"""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from checkop import ownership, policies, removal
from checkop.errors import CheckopError
from checkop.reconcile import missing_tags, present_tags, retry
from checkop.resources import properties as service_model
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from checkop.resources.kind import Context, Data, Kind, Part

# The engine writes the tags of ownership; a task may add others as a mapping, `Tags`.
TAG_PROPERTIES = ("Tags", "TagSpecifications", "TagList")


def converge(context: Context, kind: Kind, name: str, properties: Mapping[str, Any]) -> Data:
    """Make one resource have the properties given.

    Parameters
    ----------
    context:
        Clients, plan, tags of ownership and the bound of each wait.
    kind:
        Its row.
    name:
        Its name.
    properties:
        Parameters of the create call, and of the calls of its parts, with AWS's names and shapes.

    Returns
    -------
    dict[str, Any]
        As AWS describes it; empty where a check found none.

    Raises
    ------
    CheckopError
        A property is unknown or outside AWS's limits, the resource is not this environment's, what differs cannot be
        changed in place, or it did not become ready in time.
    """
    return Resource(context, kind, name, properties).converge()


def purge(context: Context, kind: Kind, keep: Collection[str], within: Data) -> None:
    """Delete the resources of a kind that exist within another one and are not among those to keep.

    Parameters
    ----------
    keep:
        Names.
    within:
        Properties of the kind's scope, for example the ARN of a load balancer. Nothing is done within what a check
        only foretold.
    """
    if kind.listed is None:
        raise CheckopError(f"{kind.label}: there is no listing of this kind, so nothing can be purged.")
    if any(service_model.placeholders(within)):
        return
    client = getattr(context.clients, kind.service)
    for found in kind.listed(client, within):
        name = kind.name_of(found)
        if name not in keep:
            delete(context, kind, name, found)


def delete(context: Context, kind: Kind, name: str, current: Data) -> None:
    """Delete a resource that was found, and wait while AWS still holds it."""
    client = getattr(context.clients, kind.service)
    resource = f"{kind.label} {name}"
    known = service_model.members(client, kind.delete)
    call = {key: current[key] for key in (kind.identifier, *kind.scope) if key in known}
    context.plan.step(
        resource,
        {kind.identifier: current[kind.identifier]},
        None,
        lambda: removal.delete(resource, lambda: getattr(client, kind.delete)(**call)),
    )


class Resource:
    """One resource on its way to the properties given; see `converge`."""

    def __init__(self, context: Context, kind: Kind, name: str, properties: Mapping[str, Any]) -> None:
        self.context, self.kind, self.name = context, kind, name
        self.client = getattr(context.clients, kind.service)
        self.label = f"{kind.label} {name}"
        self.create_shapes = service_model.members(self.client, kind.create)
        self.update_shapes = service_model.members(self.client, kind.update)
        more = properties.get("Tags") or {}
        if not isinstance(more, dict):
            raise CheckopError(f"{self.label}: Tags is {more!r}, allowed is a mapping. Correct the task.")
        self.tags = {**context.tags, **({"Name": name} if kind.name_tag else {}), **{k: str(more[k]) for k in more}}
        checked = self._check({key: value for key, value in properties.items() if key != "Tags"})
        self.parts = {part: checked.pop(part) for part in kind.parts if part in checked}
        self.options = {option: checked.pop(option) for option in kind.options if option in checked}
        self.secrets = {secret: checked.pop(secret) for secret in self._sensitive() if secret in checked}
        self.desired = checked

    def _sensitive(self) -> list[str]:
        return [name for name, shape in self.create_shapes.items() if shape.metadata.get("sensitive")]

    def _check(self, properties: Mapping[str, Any]) -> Data:
        kind, own = self.kind, {*TAG_PROPERTIES, self.kind.key}
        known = {name: shape for name, shape in self.create_shapes.items() if name not in own}
        known |= {name: self.update_shapes[name] for name in kind.options}
        known |= {name: self._part_shape(part) for name, part in kind.parts.items()}
        documents = {name: properties[name] for name in kind.documents if name in properties}
        given = {name: value for name, value in properties.items() if name not in documents}
        checked = service_model.check(self.label, known, given)
        missing = [
            name
            for name in service_model.required(self.client, kind.create)
            if name not in {**properties, kind.key: ""} and name not in TAG_PROPERTIES
        ]
        if missing:
            raise CheckopError(
                f"{self.label}: {', '.join(missing)} is missing, and AWS demands it. Add it to the task."
            )
        return {**checked, **documents}

    def _part_shape(self, part: Part) -> Any:
        if not part.operation:
            return ANY if part.sides else TEXTS
        return service_model.members(self.client, part.operation)[part.member]

    # --- finding and comparing

    def find(self) -> Data | None:
        """Find it; None where there is none, or where what contains it was only foretold."""
        if any(service_model.placeholders([self.desired.get(name) for name in self.kind.scope])):
            return None
        return self.kind.find(self.client, self.name, self.desired)

    def converge(self) -> Data:
        """Create it or change what differs; return it as AWS describes it."""
        current = self.find()
        if current is None:
            current = self._create()
            if current is None:
                return {}
        else:
            self._change(current)
        for part, value in self.parts.items():
            self._part(current, part, value)
        if self.context.plan.check:
            return current
        # What an interrupted run left under way is waited for too.
        if not self._serves(current):
            return self._await() or current
        return self.find() or current

    def _create(self) -> Data | None:
        shown = {**self.desired, **self.parts}
        if self.tags and self.kind.tags:
            shown["Tags"] = self.tags
        self.context.plan.step(self.label, None, shown, self._send_create)
        if self.context.plan.check:
            return None
        found: list[Data] = []

        def look() -> tuple[bool, str]:
            current = self.find()
            if current is not None:
                found[:] = [current]
            return current is not None, "nothing of this name"

        wait_until(f"{self.label} to be described", look, timeout_seconds=60)
        return found[0]

    def _send_create(self) -> None:
        kind = self.kind
        call = {**self._sent(self.desired), **{name: self._secret(place) for name, place in self.secrets.items()}}
        call |= self._sent({name: value for name, value in self.parts.items() if kind.parts[name].created})
        if kind.key:
            call[kind.key] = self.name
        if kind.tags:
            call |= kind.tags.create(self.tags)
        self._patiently(lambda: getattr(self.client, kind.create)(**call))
        if kind.tags and kind.tags.late:
            write = kind.tags.write
            self._patiently(lambda: write(self.client, {kind.identifier: self.name}, self.tags))

    def _change(self, current: Data) -> None:
        kind, plan = self.kind, self.context.plan
        tags = kind.tags.read(self.client, current) if kind.tags else None
        if tags is not None and not (tags == {} and kind.tags and kind.tags.late):
            ownership.require(plan, self.label, tags, self.context.tags)
        desired = kind.settle(current, {**self.desired, **self.options})
        desired = {name: value for name, value in desired.items() if name not in (*kind.options, *kind.initial)}
        before = {name: self._as_desired(current, name, value) for name, value in desired.items()}
        after = {name: self._comparable(name, value) for name, value in desired.items()}
        fixed = [name for name in desired if self._is_fixed(name)]
        plan.fixed(self.label, _only(before, fixed), _only(after, fixed), kind.remedy)
        changed = {name: desired[name] for name in desired if name not in fixed and before[name] != after[name]}
        free = [name for name in desired if name not in fixed]
        plan.step(
            self.label,
            _only(before, free),
            _only(after, free),
            lambda: self._send_update(current, changed),
        )
        if kind.tags and tags is not None:
            write, absent = kind.tags.write, missing_tags(tags, self.tags)
            plan.step(
                f"{self.label}: tags",
                present_tags(tags, self.tags),
                self.tags,
                lambda: write(self.client, current, absent),
            )

    def _is_fixed(self, name: str) -> bool:
        kind = self.kind
        return name in kind.replaces or (name not in self.update_shapes and name not in kind.changeable)

    def _send_update(self, current: Data, changed: Data) -> None:
        kind = self.kind
        urgent = kind.urgent(changed, current)
        if not urgent:
            self._await()
        needed = [name for name in service_model.required(self.client, kind.update) if name in self.desired]
        # A call that creates or replaces takes everything.
        base = self.desired if kind.update == kind.create else {name: self.desired[name] for name in needed}
        call = base | kind.request(changed, current)
        call = {kind.identifier: current[kind.identifier], **self._sent(call), **self.options, **urgent}
        self._patiently(lambda: getattr(self.client, kind.update)(**call))

    def _part(self, current: Data, name: str, desired: Any) -> None:
        part = self.kind.parts[name]
        read = part.read(self.client, current)
        if part.keyed:
            self._require_keys(name, read, desired)
            read = {key: value for key, value in read.items() if key in desired}
        if part.sides:
            before, after = part.sides(read, desired)
        else:
            whole = not part.operation
            before = self._comparable(name, read) if whole else self._same_shape(name, read, desired)
            after = self._comparable(name, desired)
        self.context.plan.step(
            f"{self.label}: {name}",
            before if isinstance(before, dict) else {name: before},
            after if isinstance(after, dict) else {name: after},
            lambda: self._patiently(lambda: part.write(self.client, current, read, self._sent({name: desired})[name])),
        )

    def _require_keys(self, name: str, known: Collection[str], desired: Collection[str]) -> None:
        faults = [key for key in desired if key not in known]
        if faults:
            near = difflib.get_close_matches(faults[0], known, 3, 0.5) or sorted(known)
            raise CheckopError(
                f"{self.label}: {name} has no {', '.join(faults)}; AWS has {', '.join(near)} here. Correct the task."
            )

    # --- both sides in one shape

    def _as_desired(self, current: Data, name: str, desired: Any) -> Any:
        read = self.kind.reads.get(name)
        return self._same_shape(name, read(current) if read else current.get(name), desired)

    def _same_shape(self, name: str, current: Any, desired: Any) -> Any:
        if current is None and not desired:
            return self._comparable(name, desired)
        return _reduce(self._comparable(name, current), self._comparable(name, desired))

    def _comparable(self, name: str, value: Any) -> Any:
        if name in self.kind.documents:
            return policies.normalise(value)
        if name not in self.kind.ordered and isinstance(value, list | tuple):
            return sorted(value, key=lambda item: json.dumps(item, sort_keys=True, default=str))
        return value

    # --- sending

    def _sent(self, call: Mapping[str, Any]) -> Data:
        return {
            name: json.dumps(value) if name in self.kind.documents and not isinstance(value, str) else value
            for name, value in call.items()
        }

    def _secret(self, place: str) -> str:
        """Read ``name:key`` of Secrets Manager, so that the value never passes through a play."""
        name, _, key = place.rpartition(":")
        answer = self.context.clients.secretsmanager.get_secret_value(SecretId=name)
        return str(json.loads(answer["SecretString"])[key])

    def _patiently(self, call: Callable[[], object]) -> object:
        kind = self.kind
        return retry(call, kind.retried, about=kind.retried_about) if kind.retried else call()

    def _serves(self, current: Data) -> bool:
        kind = self.kind
        if kind.serves:
            return kind.serves(current)
        return kind.ready is None or kind.ready(current)[0]

    def _await(self) -> Data | None:
        """Wait until it can be used; return it as it is then, None for a kind that always is."""
        ready = self.kind.ready
        if ready is None:
            return None
        current: Data = {}

        def look() -> tuple[bool, str]:
            nonlocal current
            current = self.find() or {}
            return ready(current)

        wait_until(
            f"{self.label} to become ready", look, timeout_seconds=self.context.wait_seconds, interval_seconds=15
        )
        return current


def _only(values: Data, names: Collection[str]) -> Data:
    return {name: values[name] for name in names}


def _reduce(current: Any, desired: Any) -> Any:
    """Reduce what AWS has to the members that are desired; AWS adds defaults and spells out what it knows."""
    if isinstance(current, dict) and isinstance(desired, dict) and desired:
        return {key: _reduce(current[key], value) for key, value in desired.items() if key in current}
    if isinstance(current, list) and isinstance(desired, list) and len(current) == len(desired):
        return [_reduce(*pair) for pair in zip(current, desired, strict=True)]
    return current


class _Texts:
    """The shape of a mapping of AWS's keys to text, which no service model spells out."""

    class _Text:
        type_name = "string"
        metadata: Mapping[str, Any] = {}

    type_name = "map"
    value = _Text()
    metadata: Mapping[str, Any] = {}


class _Any:
    """The shape of a value that its part reads and writes by several calls."""

    type_name = "any"
    metadata: Mapping[str, Any] = {}


TEXTS = _Texts()
ANY = _Any()
