"""What a guard does at the console, carried out by the real core: each form is one command, each look one record."""

from __future__ import annotations

import re

import pytest
from console_rig import NAMES, POLICY, VISITOR, Desked, last, legible

from agent.core.crowd import Mark
from agent.core.events import AlarmStage, Command, DoorContact, InsideRecalled, PanicLine, PathHealth, Tick
from agent.core.words import Contact, Line, Rank, Stage
from agent.register.store import Register
from agent.web.console.desk import MOST_CHOICES


async def test_each_look_at_names_is_one_record(desk: Desked) -> None:
    before = desk.link.kinds().count("view.register")
    await desk.page()
    await desk.browser.get("/guard/muster")
    looks = [record for record in desk.link.records if record.kind == "view.register"][before:]
    assert [look.data["what"] for look in looks] == ["console", "muster"]
    assert {look.actor for look in looks} == {desk.account.handle}


async def test_an_alarm_is_shown_acknowledged_and_reset_only_with_presence(desk: Desked) -> None:
    desk.link.send(PanicLine("gatehouse", Line.PRESSED, desk.link.mono_s))
    page = await desk.page()
    assert "<b>ALARM</b>" in page and "Not sent yet by any way" in page and "🔴" in page
    (alarm,) = desk.link.state.panic.alarms
    for stage, told in ((Stage.SENT, "Sent, not confirmed"), (Stage.RECEIVED, "The police side has the alarm"),
                        (Stage.COMING, "Help is coming")):  # fmt: skip
        desk.link.send(AlarmStage(alarm.ref, "mqtt", stage, "district", desk.link.mono_s))
        assert told in await desk.page()
    assert await desk.do("acknowledge") == "Done."
    desk.link.card()
    assert "button still pressed: 门卫室" in await desk.do("panic_reset")
    desk.link.wait(11)
    desk.link.send(PanicLine("gatehouse", Line.NORMAL, desk.link.mono_s))
    desk.link.wait(1)
    assert "Hold your card" in await desk.do("panic_reset")
    assert desk.link.state.panic.latched
    desk.link.card()
    assert await desk.do("panic_reset") == "Done."
    assert "No alarm" in await desk.page()
    assert last(desk, "panic.reset").actor == "guard-1"


async def test_a_drill_from_its_announcement_to_its_end(desk: Desked) -> None:
    drill = {"button": "gatehouse", "minutes": "5", "reason": "monthly_test"}
    assert "Hold your card" in await desk.do("drill_start", **drill)
    desk.link.card()
    assert await desk.do("drill_start", **drill) == "Done."
    assert "a drill is running" in await desk.do("drill_start", **drill)
    page = await desk.page()
    assert "Drill announced" in page and "Every press is real until somebody" in page and "drill_go_ahead" not in page
    assert "still be answered" in await desk.do("drill_go_ahead")
    desk.link.wait(31)
    desk.link.send(PathHealth("mqtt", False, "nobody listens at 10.0.0.5:8883"), Tick())
    page = await desk.page()
    assert "may go ahead all the same" in page and "nobody listens at 10.0.0.5:8883" in page
    desk.link.card()
    assert await desk.do("drill_go_ahead") == "Done."
    assert "Every other button is real." in await desk.page()
    assert await desk.do("drill_end") == "Done."
    assert last(desk, "drill.running").data["answered"] is False
    assert (last(desk, "drill.running").actor, last(desk, "drill.ended").data["why"]) == ("guard-1", "command")


async def test_what_the_district_asks_for_is_shown_and_done_with_presence_only(desk: Desked) -> None:
    now = desk.link.wall_ms
    for number, verb in enumerate(("lockdown", "all_clear_request")):
        desk.link.send(Command(f"s{number}", Rank.UPSTREAM, "upstream:k", verb, {}, now, now + 60_000))
    args = {"button": "office", "minutes": "3", "reason": "training"}
    desk.link.send(Command("s2", Rank.UPSTREAM, "upstream:k", "drill_propose", args, now, now + 60_000))
    page = await desk.page()
    assert "The district asks for the all-clear" in page and "proposes a drill on panic button “教务处”" in page
    assert "Hold your card" in await desk.do("all_clear")
    assert desk.link.state.panic.lockdown
    desk.link.card()
    assert await desk.do("all_clear") == "Done."
    assert "asks for the all-clear" not in await desk.page()
    assert await desk.do("drill_start", **args) == "Done."
    assert [record.data["why"] for record in desk.link.records if record.kind == "request.ended"] == ["done", "done"]


async def test_a_finger_that_taps_twice_asks_once(desk: Desked) -> None:
    fields = {"csrf": desk.csrf, "verb": "release", "door": "wicket"}
    (session,) = desk.console.sessions.all()
    await desk.post("/guard/do", fields)
    session.turn -= 1  # the second tap was made on the same page
    await desk.post("/guard/do", fields)
    assert desk.link.kinds().count("door.released") == 1
    assert "already decided" in await desk.flash()


async def test_a_visitor_from_the_gate_to_the_way_home(desk: Desked) -> None:
    assert await desk.do("visit_register", **VISITOR) == "Done."
    (visit,) = desk.link.state.visits.values()
    entry = Register(desk.folder).many([visit.handle])[visit.handle]
    assert (entry.name, entry.id_tail, entry.plate) == ("王小明", "…4512", "京A12345")
    page = await desk.page()
    assert "王小明" in page and "host not asked yet" in page and "老师" in page
    assert "host has not agreed" in await desk.do("visit_in", visit=visit.handle)
    assert await desk.do("visit_consent", visit=visit.handle, by="phone") == "Done."
    assert await desk.do("visit_in", visit=visit.handle) == "Done."
    desk.link.wait(31 * 60)
    assert "has not left in time" in await desk.page()
    assert await desk.do("visit_out", visit=visit.handle) == "Done."
    assert not desk.link.state.visits
    for text in (
        "王小明",
        "京A12345",
        "110101199003074512",
        "…4512",
    ):  # four digits alone stand in some number by chance
        assert text not in legible(desk)


async def test_what_the_gate_refuses_leaves_nothing_in_the_register(desk: Desked) -> None:
    told = await desk.do("visit_register", **VISITOR | {"minutes": "9999"})
    assert told.startswith("Minutes: 1-")
    assert not desk.link.state.visits and Register(desk.folder).newest("v", 9) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": ""}, "name is needed"),
        ({"name": "x" * 61}, "name is needed"),
        ({"minutes": "an hour"}, "A number was expected"),
        ({"host": ""}, "Nobody is known"),
        ({"host": "松"}, "Several people"),
        ({"place": "door:nowhere"}, "no such door"),
        ({"kind": "spy"}, "what kind of visit"),
    ],
)
async def test_a_bad_registration_says_what_is_wrong(desk: Desked, change: dict[str, str], why: str) -> None:
    assert why in await desk.do("visit_register", **VISITOR | change)
    assert not desk.link.state.visits


async def test_several_people_of_one_name_are_there_to_tap(desk: Desked) -> None:
    page = await desk.refused("card_ban", who="松", reason="stolen")
    assert page.count('name="pick"') == MOST_CHOICES and not desk.link.state.campus.bans
    meant = re.findall(r'name="pick" value="who=([^"]+)"', page)[3]
    sent = {"who": "松", "reason": "stolen", "pick": f"who={meant}"}
    assert await desk.do("card_ban", **sent) == "Done."
    assert desk.link.state.campus.bans.keys() == {meant}
    assert await desk.do("visit_cancel", visit="v-0a1b2c3d4e5f", pick="csrf=x") != "Done."


SLIP = {"who": "pupil-0009", "issuer": "staff-1", "minutes": "45", "guardian": "1"}
HAZARD = {"what": "fence", "text": "东墙 <b>铁丝网", "owner": "王师傅", "due": "7"}
REFUSED: list[tuple[str, dict[str, str], dict[str, str], str]] = [
    ("visit_register", VISITOR, {"minutes": "9999"}, "Minutes: 1-720."),
    ("visit_register", VISITOR, {"minutes": "an hour"}, "A number was expected."),
    ("visit_register", VISITOR, {"host": ""}, "Nobody is known by this name or number."),
    ("visit_register", VISITOR, {"card": "0100A1B2C3"}, "this card is in use"),
    ("visit_register", VISITOR, {"name": "x" * 10_000}, "is needed"),
    ("slip_add", SLIP, {"who": "nobody of this name"}, "Nobody is known by this name or number."),
    ("hazard_open", HAZARD, {"due": "999"}, "Days: 1-365."),
    ("hazard_open", HAZARD, {"text": ""}, "empty or too long"),
    ("shift_day", {"minutes": "20", "reason": "weather"}, {"reason": ""}, "a reason from the list is needed"),
]


@pytest.mark.parametrize(("verb", "good", "bad", "why"), REFUSED)
async def test_a_refused_form_keeps_what_was_typed_and_tells_the_field(
    desk: Desked, verb: str, good: dict[str, str], bad: dict[str, str], why: str
) -> None:
    calm = desk.typed(desk.form(await desk.page(), verb))
    page = await desk.refused(verb, **good | bad)
    form = desk.form(page, verb)
    (field,) = re.findall(r'name="(\w+)"[^>]*aria-invalid="true" aria-describedby="wrong-', form)
    assert [field] == list(bad) and page.count("aria-invalid") == 1
    (told,) = re.findall(r'<p class="wrong" id="wrong-\w+">([^<]*)</p>', form)
    assert why in told
    kept = desk.typed(form)
    assert kept == {**kept, **good, **bad} | ({"id_number": "…4512"} if verb == "visit_register" else {})
    assert re.search(r"<details open><summary>[^<]*</summary>(?:(?!</details>).)*" + re.escape(form), page, re.S)
    assert desk.typed(desk.form(await desk.page(), verb)) == calm, "once"


async def test_an_id_number_comes_back_no_longer_than_the_register_keeps_it(desk: Desked) -> None:
    page = await desk.refused("visit_register", **VISITOR | {"host": ""})
    assert "…4512" in page and "110101" not in page
    assert await desk.do("visit_register", **VISITOR | {"id_number": "…4512"}) == "Done."
    (visit,) = desk.link.state.visits
    assert Register(desk.folder).many([visit])[visit].id_tail == "…4512"


async def test_a_page_out_of_date_loses_nothing_that_was_typed(desk: Desked) -> None:
    """The tablet was logged in anew while the form was filled in in another tab."""
    await desk.post("/guard/do", {"csrf": "of before", "verb": "hazard_open", **HAZARD})
    page = await desk.page()
    assert "The page was out of date" in page and desk.typed(desk.form(page, "hazard_open"))["text"] == HAZARD["text"]
    assert not desk.link.state.duty.hazards


async def test_a_leave_slip_by_name_lets_the_pupil_out(desk: Desked) -> None:
    name = NAMES["pupil-0009"]
    assert await desk.do("slip_add", who=name, issuer="staff-1", minutes="60", reason="private") == "Done."
    (slip,) = desk.link.state.campus.slips.values()
    assert slip.pupil == "pupil-0009" and slip.to_ms - slip.from_ms == 3_600_000
    page = await desk.page()
    assert name in page and "may leave now" in page and "family matter" in page
    granted = desk.link.card("0200000009", "turnstile-out")
    assert [record.kind for record in granted if record.kind.startswith(("access", "slip"))] == [
        "access.granted",
        "slip.used",
    ]
    assert name not in legible(desk)


async def test_let_out_shift_and_ban(desk: Desked) -> None:
    assert await desk.do("let_out", who="pupil-0009", door="wicket", reason="illness") == "Done."
    assert last(desk, "access.let_out").data["holder"] == "pupil-0009"
    assert "A number was expected" in await desk.do("shift_day", minutes="+-5", reason="weather")
    assert await desk.do("shift_day", minutes="20", reason="weather") == "Done."
    page = await desk.page()
    assert "+20 min" in page and desk.link.state.campus.shifts[0].by == 20
    assert await desk.do("card_ban", who="pupil-0009", reason="lost") == "Done."
    assert "pupil-0009" in desk.link.state.campus.bans
    assert await desk.do("card_unban", holder="pupil-0009") == "Done."


async def test_a_vehicle_without_a_name_is_banned_by_its_number(desk: Desked) -> None:
    assert "vehicle-1" not in NAMES
    assert await desk.do("card_ban", who="vehicle-1", reason="lost") == "Done."
    assert "vehicle-1" in desk.link.state.campus.bans
    assert await desk.do("card_ban", who="vehicle-999", reason="lost") != "Done."
    assert "vehicle-999" not in legible(desk)


async def test_a_lane_says_why_it_does_not_rise(desk: Desked) -> None:
    told = await desk.do("raise", lane="main")
    assert told.startswith("Not done: ") and not desk.link.state.lanes["main"].efo


async def test_a_doors_alarms_are_put_aside_with_presence_and_shown(desk: Desked) -> None:
    asked = {"door": "wicket", "minutes": "30", "reason": "repair"}
    assert "Hold your card" in await desk.do("door_shunt", **asked)
    desk.link.card()
    assert await desk.do("door_shunt", **asked) == "Done."
    assert "alarms put aside until" in await desk.page()
    assert await desk.do("door_unshunt", door="wicket") == "Done."
    assert "alarms put aside until" not in await desk.page()


async def test_a_note_for_the_next_watch_is_read_there_and_nowhere_else(desk: Desked) -> None:
    text = "三年级家长来找李老师，明天再来"
    assert await desk.do("hand_over", post="gatehouse", text=text) == "Done."
    assert text in await desk.page()
    assert text not in legible(desk) and str(last(desk, "duty.hand_over").data["note"]).startswith("n-")


async def test_a_guard_takes_the_post_with_his_card(desk: Desked) -> None:
    assert "Hold your card" in await desk.do("duty_check_in", post="gatehouse")
    desk.link.card()
    await desk.do("duty_check_in", post="gatehouse")
    assert desk.link.state.duty.on["gatehouse"].guard == "guard-1"
    assert NAMES["guard-1"] in await desk.page()


async def test_a_hazard_has_words_only_in_the_register(desk: Desked) -> None:
    fields = {"what": "fence", "text": "东墙铁丝网破损", "owner": "staff-1", "due": "7"}
    assert await desk.do("hazard_open", **fields) == "Done."
    assert "东墙铁丝网破损" in await desk.page() and "东墙" not in legible(desk)
    (handle,) = desk.link.state.duty.hazards
    assert await desk.do("hazard_close", hazard=handle) == "Done."


async def test_the_muster_list_names_who_is_inside(desk: Desked) -> None:
    desk.link.card("0100A1B2C4", "wicket-in")
    page = (await desk.browser.get("/guard/muster?lang=en")).text
    assert f"<td>{NAMES['staff-1']}</td>" in page and ": 1</h1>" in page


async def test_the_muster_list_is_by_class(desk: Desked) -> None:
    """A teacher at the assembly point counts one class. The status page knows nothing of classes."""
    assert POLICY is not None
    holders = ("pupil-0009", "pupil-0001", "pupil-0900", "nobody-knows")
    desk.link.send(InsideRecalled(tuple((holder, Mark(True, "pupil", "pupil", 0, 0)) for holder in holders)))
    desk.link.card("0100A1B2C4", "wicket-in")
    written = {one.holder: one.class_ for one in POLICY.credentials.values()}
    page = (await desk.browser.get("/guard/muster?lang=en")).text
    assert re.findall("<h2>(.*?)</h2>", page) == [
        "pupils 1-1: 2", f"pupils {written['pupil-0900']}: 1", "pupils, class not known: 1", "staff: 1",
    ]  # fmt: skip
    assert "pupils 4" in page and f"<td>{NAMES['pupil-0009']}</td>" in page


@pytest.mark.parametrize("card", ["", "0100A1B2D0"])
async def test_a_visitor_who_is_inside_is_on_the_muster_list_once(desk: Desked, card: str) -> None:
    desk.link.card("0100A1B2C4", "wicket-in")
    await desk.do("visit_register", **VISITOR | {"card": card})
    (visit,) = desk.link.state.visits.values()
    await desk.do("visit_consent", visit=visit.handle, by="phone")
    desk.link.wait(300)
    if card:
        desk.link.card(card, "wicket-in")
    else:
        await desk.do("visit_in", visit=visit.handle)
    page = (await desk.browser.get("/guard/muster?lang=en")).text
    assert page.count("王小明") == 1 and "2026-11-25 10:05:00: 2</h1>" in page and "visitors 1" in page
    assert "<td>10:05</td>" in page, "by the box's own clock, as everything on the list"


async def test_without_control_nothing_is_said_of_people(desk: Desked) -> None:
    """Nobody inside, no visitor, no slip, no post, no hazard: all that would be a guess."""
    desk.link.card("0100A1B2C4", "wicket-in")
    desk.link.away = True
    page = (await desk.browser.get("/guard/muster?lang=en")).text
    assert "Who is inside is not known" in page and "Nobody" not in page and "0</h1>" not in page
    page = await desk.page()
    for part in ("today", "slips", "visits", "duty", "inside", "hazards"):
        (told,) = re.findall(rf'<div id="part-{part}">(.*?)</div>\s*(?:<details|</section)', page, re.S)
        assert "unknown</span>" in told, part
        assert 'class="list"' not in told and "has no posts" not in told, part


async def test_what_is_wrong_is_told_and_never_under_a_green_tick(desk: Desked) -> None:
    """The rig has no devices: nothing is measured. A forced door is an alarm, whatever the button says."""
    page = await desk.page()
    assert '<div data-key="calm" class="banner fault">' in page and "No alarm" in page
    assert 'class="serious"><li>' in page and "Something does not work" in page
    desk.link.send(DoorContact("wicket", Contact.CLOSED))
    desk.link.wait(5)
    desk.link.send(DoorContact("wicket", Contact.OPEN))
    desk.link.wait(3)
    desk.link.send(Tick())
    assert "door.forced" in desk.link.kinds()
    page = await desk.page()
    assert "Alarm at the gate" in page and "No alarm" not in page and "banner calm" not in page


async def test_a_lane_that_cannot_be_read_is_not_said_to_be_down(desk: Desked) -> None:
    desk.link.send(PanicLine("gatehouse", Line.PRESSED, desk.link.mono_s))
    assert desk.link.state.lanes["main"].blocked
    page = await desk.page()
    assert "Not raised: the lane cannot be read." in page and "Bollard down" not in page


async def test_without_control_the_page_says_so_and_a_form_is_not_believed_done(desk: Desked) -> None:
    desk.link.away = True
    desk.feed.take({"op": "lost", "why": "control hung up"})
    answer = await desk.browser.get("/guard?lang=en")
    assert "It is not known how the gate stands" in answer.text and "No alarm" not in answer.text
    await desk.post("/guard/do", {"csrf": desk.csrf, "verb": "lockdown"})
    assert "Nothing is known to have been done" in (await desk.browser.get("/guard?lang=en")).text
