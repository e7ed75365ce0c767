"""`menwei status`: the gate now, on a terminal, measured and commanded apart."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from agent.link import ControlAway, ask_once
from agent.picture import Bollard, Campus, Lane, Picture, decode
from hardware import places
from hardware.site import Site


async def show(site: Site, *, as_json: bool) -> int:
    """Print the state. 0 when control answered, 1 when it is away."""
    try:
        answer = await ask_once(places.control_socket(site), {"op": "state"}, timeout_s=3.0)
    except ControlAway as error:
        sys.stderr.write(f"menwei: {error}\n")
        return 1
    text = json.dumps(answer["state"], ensure_ascii=False, sort_keys=True) if as_json else "\n".join(lines(answer))
    sys.stdout.write(text + "\n")
    return 0


def lines(answer: dict[str, object]) -> Iterator[str]:
    """The picture as lines of text: what is wrong comes first."""
    picture = decode(answer["state"])
    yield f"{picture.site}/{picture.box}  {picture.name}  epoch {picture.epoch}  record {picture.head}"
    yield from _wrong(picture)
    yield "panic     " + ("LATCHED" if picture.panic.latched else "not latched")
    for alarm in picture.panic.alarms:
        stages = ", ".join(f"{path} {stage}" for path, stage in alarm.stages.items()) or "not sent yet"
        yield f"  alarm {alarm.ref[0]}-{alarm.ref[1]} from {alarm.button}{' (drill)' if alarm.drill else ''}: {stages}"
    for lane in picture.lanes:
        yield from _lane(lane)
    for door in picture.doors:
        lock = {True: "locked", False: "unlocked", None: "unknown"}
        yield (
            f"door {door.id:<12} lock commanded {lock[door.lock_commanded]}, read back {lock[door.lock]}; "
            f"contact {door.contact}"
        )
    if picture.campus is not None:
        yield from _school(picture.campus)
    for path in picture.paths:
        state = {True: "up", False: "DOWN", None: "unknown"}[path.up]
        yield f"uplink {path.id:<10} {state}; {_count(path.backlog)} records not confirmed  {path.why}".rstrip()


def _school(campus: Campus) -> Iterator[str]:
    today, book = campus.today, campus.book
    if today is None:
        yield f"school    policy {campus.version}; the plan of the day is not known"
    else:
        now = [one for one in today.windows if one.running]
        told = ", ".join(f"{one.label or one.kind} {_clock(one.start)}-{_clock(one.end)}" for one in now)
        yield f"school    policy {campus.version}; {today.day} {today.label}; now {told or 'no window'}"
        if campus.patrols_required:
            yield f"patrols   {today.patrols} of {campus.patrols_required} today"
        if today.test_days is not None:
            yield f"panic     tested {today.test_days} days ago"
    for post in campus.posts:
        empty = "NOT MANNED" if post.alarm_ref else "empty" if post.needed else "need not be manned now"
        yield f"post {post.id:<12} {'manned' if post.manned else empty}{', NO SIGN OF LIFE' if post.unanswered else ''}"
    yield (
        f"visits    {book.visits} open, {book.overstays} too long, {book.cards_missing} cards missing; "
        f"hazards {book.hazards} open, {book.hazards_overdue} overdue"
    )


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _wrong(picture: Picture) -> Iterator[str]:
    if not picture.scanned:
        yield "! the inputs have not all been read since the start: nothing is commanded"
    for device in picture.devices:
        if device.up is not True:
            word = "lost" if device.up is False else "not heard of yet"
            yield f"! {device.id} {word}: {device.why} (check {device.where}); without it: {', '.join(device.takes)}"
    for output in picture.outputs:
        yield f"! {output.id} does not obey: {output.why}"
    for button in picture.panic.buttons:
        if button.line != "normal":
            yield f"! panic button {button.id}: line {button.line}"


def _lane(lane: Lane) -> Iterator[str]:
    sensors = ", ".join(f"{sensor.id} {sensor.value}" for sensor in lane.sensors)
    state = f"{lane.mode}{' LOST' if lane.lost else ''}{' CLOSED' if lane.closed else ''}"
    yield f"lane {lane.id:<12} {state}; light {lane.light or 'unknown'}; {sensors}"
    for bollard in lane.bollards:
        yield "  " + _bollard(bollard)


def _bollard(bollard: Bollard) -> str:
    asked = f", asked to {bollard.motion}" if bollard.motion else ""
    fault = f", FAULT {bollard.fault}" if bollard.fault else ""
    return f"bollard {bollard.id:<12} measured {bollard.position}{asked}{fault}"


def _count(number: int | None) -> str:
    return "unknown" if number is None else str(number)
