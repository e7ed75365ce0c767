"""`docs/asyncapi.yaml` describes what is really sent: every message that went over a broker is held against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from uplink_ear import Ear
from uplink_rig import BOX, PREFIX, SITE, DistrictHere, FakeControl, Running, now_ms, until

from agent.picture import Picture
from agent.uplink.topics import Topics
from hardware.site import Site, SiteIds
from sim.broker import BrokerProcess

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "docs" / "asyncapi.yaml").read_text())


def payloads(topic: str) -> list[dict[str, Any]]:
    """The schemas of the messages that the document allows on a topic of the test's box."""
    for channel in DOCUMENT["channels"].values():
        if channel["address"].format(site=SITE, box=BOX) == topic:
            names = [message["$ref"].rpartition("/")[2] for message in channel["messages"].values()]
            return [DOCUMENT["components"]["messages"][name]["payload"] for name in names]
    raise AssertionError(f"{topic} is not in docs/asyncapi.yaml")


def check(topic: str, payload: bytes) -> None:
    """Raise unless the payload fits one of the topic's schemas."""
    schema = {"anyOf": payloads(topic), "components": DOCUMENT["components"]}
    is_text = any(payload.get("type") == "string" for payload in payloads(topic))
    jsonschema.Draft202012Validator(schema).validate(payload.decode() if is_text else json.loads(payload))


def test_the_document_holds_together() -> None:
    assert DOCUMENT["asyncapi"].startswith("3.")
    for operation in DOCUMENT["operations"].values():
        assert operation["channel"]["$ref"].rpartition("/")[2] in DOCUMENT["channels"]
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_document_and_the_program_know_the_same_topics() -> None:
    topics = Topics.of(SiteIds(id=SITE, box=BOX))
    up = {topics.alarm, topics.records, topics.state, topics.checkpoint}
    by_action: dict[str, set[str]] = {"send": set(), "receive": set()}
    for operation in DOCUMENT["operations"].values():
        channel = DOCUMENT["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
        by_action[operation["action"]].add(channel["address"].format(site=SITE, box=BOX))
    assert by_action == {"send": up, "receive": set(topics.down)}


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("records", b'{"records":[],"lane":"live","prev":[0,0]}'),
        ("records", b'{"records":[{"seq":1}],"lane":"live","prev":[0,0]}'),
        ("alarm", b'{"epoch":1,"seq":1}'),
        ("receipt", b'{"epoch":1}'),
        ("alarm/receipt", b'{"epoch":1,"seq":1,"by":"x","stage":"home"}'),
        ("state", b'{"online":"yes"}'),
        ("checkpoint", b"nonsense"),
    ],
)
def test_the_schemas_can_say_no(topic: str, payload: bytes) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(PREFIX + topic, payload)


async def test_everything_sent_is_described(
    site: Site, broker: BrokerProcess, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    ear = Ear(broker.port)
    control.journal.add(300, at_ms=now_ms() - 3_600_000)
    control.journal.checkpoint(
        f"menwei/{SITE}/{BOX}/1\n300\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— box sig\n"
    )
    control.measured = {"scanned": True, "lanes": [], "doors": [], "clock": {"trust": "trusted"}}
    async with running(site):
        await until(lambda: control.synced == (1, 300))
        (press,) = control.add(["panic.pressed"], data={"button": "gatehouse", "drill": False})
        control.alarm(press)
        await until(lambda: "received" in control.stages(press.ref))
        await district.post("/stage", {"box": f"{SITE}/{BOX}", "epoch": 1, "seq": press.seq, "stage": "coming"})
        await until(lambda: "coming" in control.stages(press.ref))
        await until(lambda: ear.of("checkpoint") and any(b"measured" in state for state in ear.of("state")))
    await until(lambda: b'{"online":false}' in ear.of("state"))
    ear.close()
    seen = {topic.removeprefix(PREFIX) for _, topic, _ in ear.heard}
    assert seen == {"alarm", "records", "state", "checkpoint", "receipt", "alarm/receipt"}
    for _, topic, payload in ear.heard:
        check(topic, payload)


def test_the_real_picture_has_the_parts_that_go_up() -> None:
    from agent.uplink.state import MEASURED

    assert set(MEASURED) <= set(Picture.__struct_fields__)
