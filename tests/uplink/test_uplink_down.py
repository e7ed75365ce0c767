"""What comes down to the box: commands, policies, what the far side kept; brought to control as it came."""

from __future__ import annotations

import base64
from pathlib import Path

from uplink_ear import Ear
from uplink_rig import BOX, SITE, FakeControl, Running, connected, until

from agent.uplink.commands import MOST_WAITING
from hardware.site import Site
from sim.orders import Signer


async def test_commands_are_carried_to_control_as_they_came(
    site: Site, control: FakeControl, ear: Ear, running: Running
) -> None:
    ear.say("command", b'{"old": true}', retain=True)
    await until(lambda: ear.of("command"))
    async with running(site):
        await connected(control)
        ear.say("command", b"\xff" * 9000)
        ear.say("command", b'{"id": "c-1"}')
        orders = await until(lambda: [m for m in control.asked if m["op"] == "order"][2:] and control.asked)
    told = [(m["order"][:9], len(m["order"]), m["retained"]) for m in orders if m["op"] == "order"]
    assert told == [('{"old": t', 13, True), ("\ufffd" * 9, 8192, False), ('{"id": "c', 13, False)]


async def test_a_command_waits_for_control_and_a_flood_is_dropped(
    site: Site, control: FakeControl, ear: Ear, running: Running
) -> None:
    async with running(site) as uplink:
        await connected(control)
        await control.stop()
        for number in range(MOST_WAITING + 8):
            ear.say("command", {"id": f"c-{number}"})
        await until(lambda: uplink._commands.dropped == 8)
        await control.start()
        await until(lambda: len([m for m in control.asked if m["op"] == "order"]) == MOST_WAITING)
        await until(lambda: len([m for m in control.asked if m["op"] == "note"]) == 8)
    assert {m["data"]["why"] for m in control.asked if m["op"] == "note"} == {"flood"}


async def test_what_the_district_signed_goes_before_a_flood_that_came_earlier(
    site: Site, control: FakeControl, ear: Ear, running: Running, tmp_path: Path
) -> None:
    signer = Signer.of(tmp_path / "district.key")
    control.order_keys = [signer._key.public_key().public_bytes_raw()]
    async with running(site) as uplink:
        await connected(control)
        await until(lambda: uplink._commands._sieve.keys, what="control told its keys")
        await control.stop()
        for number in range(MOST_WAITING + 8):
            ear.say("command", {"id": f"c-{number}"})
        await until(lambda: uplink._commands.dropped == 8)
        good = signer.payload(f"{SITE}/{BOX}", "lockdown", {})
        ear.say("command", good)
        await until(lambda: uplink._commands._first)
        await control.start()
        orders = await until(lambda: [m["order"] for m in control.asked if m["op"] == "order"][1:])
    assert orders[0] == good.decode()


async def test_a_policy_is_carried_to_control_in_pieces_once(
    site: Site, control: FakeControl, ear: Ear, running: Running
) -> None:
    bundle = bytes(range(256)) * 300
    async with running(site):
        await connected(control)
        ear.say("policy", bundle)
        ear.say("policy", bundle)
        await until(lambda: any(m["op"] == "policy" and m["last"] for m in control.asked))
        ear.say("policy", b"another")
        await until(lambda: sum(m["op"] == "policy" and m["last"] for m in control.asked) == 2)
    pieces = [m for m in control.asked if m["op"] == "policy"]
    first = [m for m in pieces if m["id"] == pieces[0]["id"]]
    assert b"".join(base64.b64decode(m["piece"]) for m in first) == bundle
    assert [m["number"] for m in first] == list(range(len(first))) and len(first) > 1
    assert {m["subject"] for m in pieces} == {"mqtt"}


async def test_what_the_far_side_kept_of_the_journal_is_brought_to_control(
    site: Site, control: FakeControl, ear: Ear, running: Running
) -> None:
    kept = b"menwei/a/b/1\n5\nAAAA\n\nsigned\n"
    ear.say("checkpoint", kept, retain=True)
    await until(lambda: ear.of("checkpoint"), what="the broker has it")
    async with running(site):
        await connected(control)
        notes = await until(lambda: [m["note"] for m in control.asked if m["op"] == "anchor"])
    assert notes == [kept.decode()]


async def test_a_receipt_for_what_was_never_written_is_told_to_control(
    site: Site, control: FakeControl, ear: Ear, running: Running
) -> None:
    async with running(site):
        await connected(control)
        control.add(["door.opened"])
        ear.say("receipt", {"epoch": 1, "seq": 77})
        told = await until(lambda: [(m["epoch"], m["seq"]) for m in control.asked if m["op"] == "ahead"])
    assert told == [(1, 77)]
