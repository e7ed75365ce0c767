"""Names: ids that fit into an MQTT topic, no id twice, no reference to something that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hardware import profiles
from hardware.checks.look import Check, Look, known
from hardware.mistakes import Finding, found, nearest
from hardware.terminals import Path

ID_MAX = 40  # D: keeps topics, file names and screens readable
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_OTHER_PATHS = ("mqtt", "redis")
_TAKEN = ("gpio", "plc")  # terminals of these names are not boards'


def _ids(look: Look) -> Iterator[tuple[str, Path, str]]:
    """(what kind of thing, path of its id, id). Bollards are one kind across all lanes, boards one kind together."""
    site = look.site
    yield "site", ("site", "id"), site.site.id
    yield "box", ("site", "box"), site.site.box
    for table in ("bus", "relay_board", "analog_board"):
        for i, named in enumerate(getattr(site, table)):
            yield "bus" if table == "bus" else "board", (table, i, "name"), named.name
    for table in ("lane", "door", "reader", "panic_button", "key"):
        for i, thing in enumerate(getattr(site, table)):
            yield table, (table, i, "id"), thing.id
    yield from (("path", path, name) for path, name in _paths(look))
    keys = site.uplink.command_key
    yield from (("command_key", ("uplink", "command_key", i, "id"), key.id) for i, key in enumerate(keys))
    for i, lane in enumerate(site.lane):
        for k, bollard in enumerate(lane.bollard):
            yield "bollard", ("lane", i, "bollard", k, "id"), bollard.id


def _paths(look: Look) -> Iterator[tuple[Path, str]]:
    """The alarm paths that a site file names itself."""
    for table in ("dc09", "gb28181"):
        for i, way in enumerate(getattr(look.site.uplink, table)):
            yield ("uplink", table, i, "id"), way.id


def is_plain(name: str) -> bool:
    """Lower-case letters and digits, single hyphens between them, not too long."""
    return len(name) <= ID_MAX and _ID.fullmatch(name) is not None


def ids_are_plain(look: Look) -> Iterator[Finding]:
    for _kind, path, name in _ids(look):
        if not is_plain(name):
            yield found(path, "id_not_plain", id=name, longest=ID_MAX)


def ids_are_unique(look: Look) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for kind, path, name in _ids(look):
        if (kind, name) in seen:
            yield found(path, "id_twice", id=name)
        seen.add((kind, name))


def path_names_are_free(look: Look) -> Iterator[Finding]:
    """The other ways up have names of their own."""
    for path, name in _paths(look):
        if name in _OTHER_PATHS:
            yield found(path, "id_twice", id=name)


def board_names_are_free(look: Look) -> Iterator[Finding]:
    for kind, path, name in _ids(look):
        if kind == "board" and name in _TAKEN:
            yield found(path, "board_name_taken", name=name)


def profiles_are_known(look: Look) -> Iterator[Finding]:
    for path, kind, name in _profiles(look):
        if not known(kind, name):
            there = profiles.names(kind)
            near = nearest(name, there) or there[0]
            yield found(path, "profile_unknown", name=name, near=near, known=", ".join(there))


def _profiles(look: Look) -> Iterator[tuple[Path, str, str]]:
    site = look.site
    yield ("board", "model"), "boards", site.board.model
    for table, kind in (
        ("lane", "bollards"),
        ("relay_board", "relays"),
        ("analog_board", "analog"),
        ("reader", "readers"),
    ):
        for i, thing in enumerate(getattr(site, table)):
            yield (table, i, "profile"), kind, thing.profile


def references_lead_somewhere(look: Look) -> Iterator[Finding]:
    for path, table, name in _references(look):
        key = "name" if table == "bus" else "id"
        there: list[str] = [getattr(thing, key) for thing in getattr(look.site, table)]
        if name not in there and look.column_sound(table, key):
            yield found(path, f"{table}_unknown", name=name, known=", ".join(there) or "-")


def _references(look: Look) -> Iterator[tuple[Path, str, str]]:
    """(path, table it points into, name)."""
    site = look.site
    for table in ("lane", "relay_board", "analog_board"):
        for i, thing in enumerate(getattr(site, table)):
            yield (table, i, "bus"), "bus", thing.bus
    for i, reader in enumerate(site.reader):
        if reader.door:
            yield ("reader", i, "door"), "door", reader.door
        if reader.lane:
            yield ("reader", i, "lane"), "lane", reader.lane
    for i, credential in enumerate(site.credential):
        for k, door in enumerate(credential.doors):
            yield ("credential", i, "doors", k), "door", door
        for k, lane in enumerate(credential.lanes):
            yield ("credential", i, "lanes", k), "lane", lane


CHECKS: tuple[Check, ...] = (
    ids_are_plain,
    ids_are_unique,
    board_names_are_free,
    path_names_are_free,
    profiles_are_known,
    references_lead_somewhere,
)
