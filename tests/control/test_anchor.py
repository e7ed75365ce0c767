"""What the far side kept, held against the journal here: a lost end, an old copy, a stranger's note, and agreement."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from control_scenes import NoDevices, boot, demo_site, until

from agent.control import compose, role
from agent.core.events import Note
from agent.journal import schema
from agent.journal.verify import verify
from hardware import places
from hardware.site import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(compose, "Devices", NoDevices)
    monkeypatch.setattr(role, "LIMIT_S", 60.0)
    return demo_site(tmp_path)


async def ask(site: Site, **message: Any) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(str(places.control_socket(site)), limit=8 << 20)
    writer.write(json.dumps(message).encode() + b"\n")
    answer: dict[str, Any] = json.loads(await reader.readline())
    writer.close()
    return answer


def journal(site: Site) -> Path:
    return places.storage_dir(site) / schema.FILE


def notes(site: Site) -> list[tuple[int, int, str]]:
    connection = sqlite3.connect(f"file:{journal(site)}?mode=ro", uri=True)
    rows = connection.execute("SELECT epoch, size, note FROM checkpoint ORDER BY epoch, size").fetchall()
    connection.close()
    return rows


def told(site: Site, kind: str) -> list[str]:
    connection = sqlite3.connect(f"file:{journal(site)}?mode=ro", uri=True)
    rows = [body.decode() for (body,) in connection.execute("SELECT body FROM record ORDER BY seq")]
    connection.close()
    return [body for body in rows if f'"kind":"{kind}"' in body]


async def write(control: role.Control, count: int) -> None:
    for number in range(count):
        control._emit(Note("note", "test", "test", {"number": number}))
    last = control._runtime.state.next_seq - 1
    await until("it is on disk", lambda: control._runtime.durable_seq >= last)


async def life(site: Site, count: int) -> str:
    """One boot that writes so many notes; the last checkpoint it signed, as the far side would keep it."""
    async with boot(site) as control:
        await write(control, count)
    return notes(site)[-1][2]


async def test_agreement_is_one_record_a_boot(site: Site) -> None:
    kept = await life(site, 120)
    async with boot(site) as control:
        for _ in range(3):
            assert (await ask(site, op="anchor", note=kept))["ok"] is True
            await until("it is compared", lambda: control._anchor.size)
        assert control._anchor.epoch == 1 and control._runtime.state.epoch == 1
        await write(control, 1)
    assert len(told(site, "journal.anchored")) == 1
    assert told(site, "journal.problem") == []


async def test_an_old_copy_opens_a_new_epoch_and_is_never_signed_over(site: Site, tmp_path: Path) -> None:
    await life(site, 120)
    shutil.copytree(places.storage_dir(site), tmp_path / "aside")
    kept = await life(site, 50)
    shutil.rmtree(places.storage_dir(site))
    shutil.copytree(tmp_path / "aside", places.storage_dir(site))
    known = notes(site)
    async with boot(site) as control:
        await ask(site, op="anchor", note=kept)
        await until("a new epoch begins", lambda: control._runtime.state.epoch == 2)
        await write(control, 150)
    assert [(epoch, size) for epoch, size, _ in notes(site) if epoch == 1] == [(e, s) for e, s, _ in known]
    assert any(epoch == 2 for epoch, _, _ in notes(site))
    assert len(told(site, "box.new_epoch")) == 1
    assert "the end was lost, or this is an old copy" in told(site, "journal.problem")[0]
    assert verify(journal(site)).ok
    async with boot(site) as control:  # and the next start continues in it
        assert control._runtime.state.epoch == 2
        await write(control, 1)


async def test_a_fork_is_told(site: Site, tmp_path: Path) -> None:
    await life(site, 120)
    shutil.copytree(places.storage_dir(site), tmp_path / "aside")
    kept = await life(site, 50)
    shutil.rmtree(places.storage_dir(site))
    shutil.copytree(tmp_path / "aside", places.storage_dir(site))
    await life(site, 70)
    async with boot(site) as control:
        await ask(site, op="anchor", note=kept)
        await until("a new epoch begins", lambda: control._runtime.state.epoch == 2)
        await write(control, 1)
    assert "an old copy was put back and continued" in told(site, "journal.problem")[0]


async def test_what_the_far_side_received_and_is_not_here_is_a_lost_end_once(site: Site) -> None:
    async with boot(site) as control:
        await write(control, 10)
        head = control._runtime.state.next_seq - 1
        await ask(site, op="ahead", epoch=1, seq=head)
        assert control._runtime.state.epoch == 1
        await ask(site, op="ahead", epoch=1, seq=head + 5)
        assert control._runtime.state.epoch == 2
        await ask(site, op="ahead", epoch=2, seq=head + 500)  # unsigned words are heeded once
        assert control._runtime.state.epoch == 2
        await write(control, 1)
    assert "5 records of epoch 1 that are not here" in told(site, "journal.problem")[0]
    assert all(epoch == 2 for epoch, _, _ in notes(site))


@pytest.mark.parametrize("note", ["", "nonsense", "menwei/other/box/1\n3\nAAAA\n\n— x AAAA\n"])
async def test_a_strangers_note_is_told_once_and_changes_nothing(site: Site, note: str) -> None:
    async with boot(site) as control:
        for words in (note, note, f"menwei/another/box/1\n3\n{'A' * 43}=\n\n\u2014 x {'A' * 92}\n", "other nonsense"):
            await ask(site, op="anchor", note=words or " ")
            await until("it is judged", lambda: control._anchor._task is None or control._anchor._task.done())
        assert control._runtime.state.epoch == 1
        await write(control, 1)
    assert len(told(site, "journal.problem")) == 1


async def test_a_note_while_the_last_is_judged_is_judged_after_it(site: Site) -> None:
    kept = await life(site, 120)
    async with boot(site) as control:
        control._anchor.compare(b"nonsense")
        control._anchor.compare(kept.encode())
        await until("the newest is compared", lambda: control._anchor.size)
        await asyncio.sleep(0)
