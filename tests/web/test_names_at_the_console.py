"""Whatever a guard types into whatever form: it may be written into the encrypted register, and nowhere else."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from console_rig import Desked
from private_people import Person, leaks, people

from agent.core import box
from agent.core.records import encode
from agent.picture.build import Extras, picture
from agent.register.store import Register
from agent.web import metrics
from agent.web.console.asks import ASKS

FIELDS = (
    *("name", "id_number", "plate", "host", "kind", "purpose", "minutes", "place", "visit", "by", "reason", "door"),
    *("who", "pupil", "holder", "guardian", "text", "what", "owner", "due", "post", "note", "button", "plan", "card"),
    *("lane", "hazard", "until", "from", "to", "slip", "number"),
)
FREE = ("name", "id_number", "plate", "text")  # where a name belongs, and the rest may be as the gate wants it
GOOD = {
    "kind": "visitor", "purpose": "meeting", "minutes": "30", "place": "door:wicket", "host": "staff-1",
    "reason": "other", "door": "wicket", "by": "phone", "due": "7", "button": "gatehouse", "lane": "main",
    "what": "bollard", "owner": "staff-1", "post": "gatehouse", "who": "pupil-0001", "pupil": "pupil-0001",
}  # fmt: skip


# Not the drill's, whose reason is told to everybody; what is written into the register more often.
VERBS = (*sorted(ASKS.keys() - {"drill_start"}), *("visit_register", "hazard_open", "card_ban", "visit_consent") * 5)


def told(desk: Desked) -> Iterator[tuple[str, bytes]]:
    """Records, the picture, the metrics and every file beside the register."""
    yield "records", b"\n".join(encode(record) for record in desk.link.records)
    desk.look()
    shown = picture(
        desk.link.state, desk.link.now, box.desired(desk.link.state, desk.link.now), desk.link.site, Extras()
    )
    yield "picture", msgspec.json.encode(shown)
    yield "metrics", metrics.render(desk.feed).encode()
    for path in sorted(desk.folder.rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes()


async def test_no_form_brings_a_name_out_of_the_register(
    tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    dice = random.Random(seed)
    known: list[Person] = people(dice)
    desk = Desked(tmp_path)
    await desk.log_in()
    for _ in range(100):
        desk.link.card()
        verb = dice.choice(VERBS)
        words = dice.choice(known).private
        typed = {name: dice.choice(words) for name in (FREE if dice.random() < 0.5 else FIELDS)}
        typed |= {name: value for name, value in GOOD.items() if name not in typed or dice.random() < 0.5}
        typed |= {"visit": dice.choice(list(desk.link.state.visits))} if desk.link.state.visits else {}
        await desk.do(verb, **typed)
        desk.link.wait(dice.choice((1, 20, 400)))
    found = [leak for where, data in told(desk) for leak in leaks(where, data, known)]
    assert sorted(found + leaks("log", caplog.text.encode(), known))[:20] == []
    done = [record for record in desk.link.records if record.kind == "command.done"]
    assert len(done) > 10 and len({record.data["verb"] for record in done}) > 3, "forms became commands"
    assert Register(desk.folder).newest("v", 99), "visitors were written into the register"
