"""Names, ID numbers and plates stay where they belong: in the encrypted name table, and nowhere else on the box.

A random school with random people comes as an office's tables; they pass, are refused, are looked for and typed into
every field a person could type them into; then every byte the box keeps, shows, sends or logs is searched for them.
"""

from __future__ import annotations

import logging
import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from control_scenes import NoDevices, boot, demo_site, until
from msgspec.structs import replace
from policy_files import FILES, office
from private_people import Person, leaks, people
from test_policies import KEY

from agent.control import compose, role
from agent.core.commands import KEPT_ARGS, KNOWN_VERBS
from agent.core.events import CardRead, Command, DoorContact, Note, PanicLine
from agent.core.words import Contact, Line, Rank
from agent.journal.export import export
from agent.journal.reader import JournalReader
from agent.policy import bundle, names
from agent.policy.command import from_folder
from agent.policy.store import CURRENT, FOLDER, PREVIOUS
from agent.policy.upload import upload
from agent.uplink import batch, state
from agent.web import metrics
from agent.web.feed import Contact as Reached
from agent.web.feed import Feed
from hardware import places
from hardware.site import PolicyKeys, Site


def tables(dice: random.Random, known: list[Person]) -> dict[str, str]:
    """The office's tables: pseudonyms in all of them, everything else in the names alone."""
    groups = ("pupil", "staff", "guard", "guardian")
    rows = [f"{one.card},{one.holder},{groups[at % 4]},{1 if at % 4 == 0 else ''},," for at, one in enumerate(known)]
    secrets = [f"{one.holder},{' '.join(one.private)}" for one in known]
    slips = [
        f"q{at},{one.holder},{known[at + 1].holder},2026-09-21,9:30,11:00,{dice.choice('是否')}"
        for at, one in enumerate(known[:-1])
        if at % 4 == 0
    ]
    return {
        "people_csv": "卡号,编号,组别,年级,班级,截止日期\n" + "\n".join(rows) + "\n",
        "names_csv": "编号,姓名\n" + "\n".join(secrets) + "\n",
        "slips_csv": "编号,学生,开条人,日期,起,止,家长接\n" + "\n".join(slips) + "\n",
        "pickups_csv": "家长,学生\n" + f"{known[3].holder},{known[0].holder}\n",
        "roster_csv": "岗位,保安,起,止,星期\n" + f"gatehouse,{known[2].holder},07:00,19:00,1-5\n",
    }


def bundles(folder: Path, dice: random.Random, known: list[Person]) -> Iterator[bytes]:
    """The good one first; then bundles in which somebody put a private word into one cell of one table."""
    good = tables(dice, known)
    policy, wire, found = from_folder(office(folder / "good", **good), 5, 1)
    assert policy is not None and not found, found
    yield bundle.pack(wire, names.seal({one.holder: " ".join(one.private) for one in known}, b"k" * 32), KEY)
    for number in range(25):
        spoilt = msgspec.json.decode(msgspec.json.encode(wire))
        table = dice.choice(("credentials", "slips", "pickups", "roster"))
        row: dict[str, Any] = dice.choice(spoilt[table])
        row[dice.choice([key for key in row if key != "source"])] = dice.choice(dice.choice(known).private)
        yield bundle.pack(spoilt | {"version": 6 + number}, b"", KEY)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(compose, "Devices", NoDevices)
    monkeypatch.setattr(role, "LIMIT_S", 60.0)
    made = demo_site(tmp_path / "box")
    (tmp_path / "office.pub").write_bytes(KEY.public_pem())
    return replace(made, policy=PolicyKeys(keys=(str(tmp_path / "office.pub"),)))


def live(control: role.Control, dice: random.Random, known: list[Person]) -> None:
    """Some hundred things that happen at a gate, private words typed wherever a person types."""
    readers = [reader.id for reader in control._site.reader]
    doors = [door.id for door in control._site.door]
    for number in range(400):
        one = dice.choice(known)
        match dice.randrange(6):
            case 0 | 1:
                control._emit(CardRead(dice.choice(readers), f"uart-125k:{one.card}"))
            case 2:
                control._emit(CardRead(dice.choice(readers), f"uart-125k:{dice.randrange(1 << 40):010X}"))
            case 3:
                control._emit(DoorContact(dice.choice(doors), dice.choice((Contact.OPEN, Contact.CLOSED))))
            case 4:
                control._emit(PanicLine("gatehouse", dice.choice((Line.NORMAL, Line.PRESSED)), 0.0))
            case _:
                verb = dice.choice(sorted(KNOWN_VERBS))
                args = {name: dice.choice((*one.private, one.holder, doors[0])) for name in KEPT_ARGS}
                control._emit(Command(f"c{number}", Rank.CONSOLE, "console:guard", verb, args))


def told(control: role.Control, site: Site) -> Iterator[tuple[str, bytes]]:
    """Everything that leaves the box or lies on it, but for the guard's own picture."""
    picture = control._view.picture()
    yield "picture", msgspec.json.encode(picture)
    yield "state message", state.payload(msgspec.to_builtins(picture), "s")
    feed = Feed(None, site)  # type: ignore[arg-type]
    feed.picture, feed.contact = picture, Reached(up=True, since_ms=0, why="")
    yield "metrics", metrics.render(feed).encode()
    journal = places.storage_dir(site) / "journal.db"
    yield "export", "".join(export(journal, "csv")).encode()
    with JournalReader(journal) as reader:
        for cut in batch.cut(reader.read(1, 1 << 20, 1 << 30), (1, 0), 0, 1 << 20):
            yield "records message", cut.payload
    for path in sorted(places.storage_dir(site).rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes()


async def test_no_name_id_number_or_plate_leaves_the_name_table(
    site: Site, tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    dice = random.Random(seed)
    known = people(dice)
    async with boot(site) as control:
        taken = 0
        for data in bundles(tmp_path, dice, known):
            answer = await upload(places.control_socket(site), data, "office", "command")
            taken += answer["ok"] is True
        live(control, dice, known)
        control._spine._writer.close()
        found = [leak for where, data in told(control, site) for leak in leaks(where, data, known)]
        assert control._runtime.state.policy is not None and taken >= 1
    assert sorted(found + leaks("log", caplog.text.encode(), known))[:20] == []


async def test_a_bundle_that_is_good_no_longer_names_nobody_at_the_next_start(
    site: Site, tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """As after an update of the box, or of its site file: what was in force is judged anew; the one before holds."""
    dice = random.Random(seed)
    known = people(dice)
    good = next(bundles(tmp_path, dice, known))
    wire = msgspec.json.decode(zlib.decompress(bundle.unpack(good, [KEY.public]).policy))
    wire["slips"][0]["pupil"] = known[0].name
    folder = places.storage_dir(site) / FOLDER
    folder.mkdir(parents=True)
    (folder / PREVIOUS).write_bytes(good)
    (folder / CURRENT).write_bytes(bundle.pack(wire | {"version": 6}, b"", KEY))
    caplog.set_level(logging.DEBUG)
    async with boot(site) as control:
        await until("the one before is in force", lambda: control._runtime.state.policy is not None)
        control._spine._writer.close()
        found = [leak for where, data in told(control, site) if where != CURRENT for leak in leaks(where, data, known)]
    assert found + leaks("log", caplog.text.encode(), known) == []
    assert "policy refused: slips.csv:2" in caplog.text


async def test_the_search_finds_what_it_looks_for(site: Site, tmp_path: Path, seed: int) -> None:
    """A name where none may be: a note of the shell that somebody let one slip into is found wherever it goes."""
    dice = random.Random(seed)
    known = people(dice)
    async with boot(site) as control:
        control._emit(Note("journal.problem", "journal", "box", {"code": "warning", "what": known[0].name}))
        control._spine._writer.close()
        found = {leak.split(" in ")[1] for where, data in told(control, site) for leak in leaks(where, data, known)}
    assert found == {"export", "records message", "journal.db"}


def test_a_holder_that_names_somebody_is_refused_without_telling_whom(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    for one in people(dice, 10):
        for word in one.private:
            changed = FILES["people.csv"].replace("pupil-0001", word)
            _, _, found = from_folder(office(tmp_path, people_csv=changed, names_csv=None), 1, 1)
            told_why = [part for part in found if "no pseudonym" in part.what]
            assert told_why and told_why[0].source == "people.csv:2" and word not in str(told_why)
