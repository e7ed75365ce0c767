"""The gate's words as people read them, in one language: states, devices, times and amounts.

Every text here is marked for the catalogues. Nothing falls back to a healthy word: a value that has no text is shown
as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from agent import locale
from agent.core.words import ClockTrust, Contact, Journal, Light, Line, Mode, Motion, Position, Sensor, Stage
from agent.locale import mark
from agent.web import reasons
from hardware.site import Site

UNKNOWN = mark("unknown")

POSITION: Mapping[str, str] = {
    Position.UP: mark("raised"),
    Position.DOWN: mark("lowered"),
    Position.MOVING: mark("moving"),
    Position.FAULT: mark("position fault"),
    Position.UNKNOWN: UNKNOWN,
}
MOTION: Mapping[str, str] = {
    Motion.RAISE: mark("raise"),
    Motion.LOWER: mark("lower"),
    Motion.EFO: mark("emergency raise"),
}
MODE: Mapping[str, str] = {
    Mode.REMOTE: mark("remote"),
    Mode.LOCAL: mark("local"),
    Mode.HAND: mark("by hand"),
    Mode.ESTOP: mark("emergency stop"),
    Mode.UNKNOWN: UNKNOWN,
}
LINE: Mapping[str, str] = {
    Line.NORMAL: mark("line good"),
    Line.PRESSED: mark("PRESSED"),
    Line.CUT: mark("line cut"),
    Line.SHORTED: mark("line shorted"),
    Line.DISAGREE: mark("contacts contradict each other"),
    Line.UNREAD: mark("not measured"),
}
SENSOR: Mapping[str, str] = {
    Sensor.CLEAR: mark("clear"),
    Sensor.OCCUPIED: mark("occupied"),
    Sensor.FAULTY: mark("sensor faulty"),
    Sensor.UNREAD: mark("not measured"),
}
SENSOR_NAME: Mapping[str, str] = {
    "loop1": mark("Loop 1"),
    "loop2": mark("Loop 2"),
    "beam": mark("Light beam"),
    "pressure": mark("Pressure strip"),
}
LIGHT: Mapping[str, str] = {Light.RED: mark("red"), Light.GREEN: mark("green"), Light.OFF: mark("off")}
CONTACT: Mapping[str, str] = {
    Contact.OPEN: mark("open"),
    Contact.CLOSED: mark("closed"),
    Contact.UNREAD: mark("not measured"),
}
TRUST: Mapping[str, str] = {
    ClockTrust.TRUSTED: mark("clock synchronised"),
    ClockTrust.HOLDOVER: mark("clock on its own"),
    ClockTrust.UNTRUSTED: mark("clock not to be trusted"),
}
STAGE: Mapping[str, str] = {
    Stage.QUEUED: mark("waiting to be sent"),
    Stage.SENT: mark("sent, not confirmed"),
    Stage.RECEIVED: mark("received"),
    Stage.ACKNOWLEDGED: mark("seen by a person"),
    Stage.COMING: mark("help is coming"),
    Stage.ARRIVED: mark("help has arrived"),
}
# The steps of an alarm as they are shown, done and before: "sent" in bold must not be read of what was not sent.
STEP: Mapping[str, tuple[str, str]] = {
    Stage.SENT: (mark("sent"), mark("not sent yet")),
    Stage.RECEIVED: (mark("received"), mark("not confirmed yet")),
    Stage.COMING: (mark("coming"), mark("not coming yet")),
    Stage.ARRIVED: (mark("arrived"), mark("not there yet")),
}
JOURNAL: Mapping[str, str] = {Journal.OK: mark("writing"), Journal.FAILING: mark("cannot write")}
SUPPLY: Mapping[str, str] = {
    "mains": mark("Mains power"),
    "battery": mark("Battery"),
    "tamper": mark("Cabinet door"),
}
SUPPLY_OK: Mapping[str, str] = {
    "mains": mark("present"),
    "battery": mark("good"),
    "tamper": mark("shut"),
}
SUPPLY_BAD: Mapping[str, str] = {
    "mains": mark("failed: running on battery"),
    "battery": mark("low or missing"),
    "tamper": mark("opened"),
}
KEY_USE: Mapping[str, str] = {
    "panic_reset": mark("Panic reset key"),
    "fire_key": mark("Fire key"),
    "fire_reset": mark("Fire reset key"),
}
LAMP: Mapping[str, str] = {
    "sent": mark("Lamp “sent”"),
    "received": mark("Lamp “received”"),
    "coming": mark("Lamp “help is coming”"),
    "fault": mark("Lamp “fault”"),
    "siren": mark("Siren"),
}
BOLLARD_FAULT: Mapping[str, str] = {
    "timeout": mark("did not reach its end in time"),
    "both_switches": mark("both limit switches at once"),
    "between": mark("stands between its ends"),
    "unasked": mark("moved and nobody had asked"),
    "plc": mark("its controller reports a fault"),
    "reversals": mark("was turned round twice in a row"),
}
WHY: Mapping[str, str] = {
    "not_scanned": mark("not every input has been read yet"),
    "monitor_only": mark("this lane is only watched"),
    "not_commissioned": mark("no bollard there has been commissioned"),
    "lost": mark("the lane cannot be read"),
    "stale": mark("the reading is too old"),
    "not_remote": mark("the selector is not on “remote”"),
    "closed": mark("the lane is closed after a fault"),
    "unasked": mark("a bollard moved and nobody had asked"),
    "journal": mark("the journal cannot write"),
    "rank": mark("not allowed to this asker"),
    "fire": mark("fire"),
    "fire_unread": mark("the fire panel's contact is not measured"),
    "reversing": mark("a turned-round rise is not over yet"),
    "stopping": mark("a stop is not over yet"),
    "efo_latched": mark("the emergency raise is latched"),
    "clock": mark("the clock is not to be trusted"),
    "clock_untrusted": mark("the clock is not to be trusted"),
    "no_sensor": mark("the lane has no sensor"),
    "warning": mark("the pre-warning was not seen to be on"),
    "plc": mark("the controller turned it round"),
    "refused": mark("the controller refused"),
    "failed": mark("no or a wrong answer of the controller"),
    "expired": mark("its time is over"),
    "visit_over": mark("the visit's time is over"),
    "card_back": mark("say whether the card came back"),
    "card_banned": mark("this card is barred"),
    "who": mark("say who agreed, by the number on the card"),
    "not_needed": mark("it need not be manned any more"),
    "other_guard": mark("another guard is on this post"),
    "unknown_lane": mark("there is no such lane"),
    "locked_out": mark("the reader is locked out"),
    "unknown": mark("unknown card"),
    "banned": mark("barred card"),
    "not_a_guard": mark("no guard's card"),
    "wrong_door": mark("not for this door"),
    "no_consent": mark("the host has not agreed yet"),
    "visit": mark("the visit's number is none"),
    "visit_exists": mark("this visit is registered already"),
    "unknown_visit": mark("there is no such visit"),
    "too_many_visits": mark("too many visits are open"),
    "kind": mark("say what kind of visit"),
    "purpose": mark("say what it is for"),
    "host": mark("say who is visited"),
    "by": mark("say how the host agreed"),
    "card_in_use": mark("this card is in use"),
    "unknown_post": mark("there is no such post"),
    "nobody_on_post": mark("nobody is on this post"),
    "note": mark("the note's number is none"),
    "hazard": mark("the hazard's number is none"),
    "hazard_exists": mark("this hazard is noted already"),
    "unknown_hazard": mark("there is no such hazard"),
    "too_many_hazards": mark("too many hazards are open"),
    "what": mark("say what is wrong"),
    "owner": mark("say who sees to it"),
    "class_hours": mark("class hours: pupils stay"),
    "outside_hours": mark("not in these hours"),
    "door_closed": mark("this door is closed now"),
    "pass_not_now": mark("the pass is not for these hours"),
    "guardian_missing": mark("the guardian's card has not been shown"),
    "slip_early": mark("the leave slip is for later"),
    "slip_used": mark("the leave slip has been used"),
    "slip_expired": mark("the leave slip has run out"),
    "passback": mark("came in already and did not go out"),
    "first_card": mark("no member of staff has come yet today"),
    "second_person": mark("two persons are needed"),
    "no_policy": mark("no school policy is in force"),
    "unknown_plan": mark("there is no such day plan"),
    "not_changed": mark("today was not changed"),
    "reason": mark("a reason from the list is needed"),
    "holder": mark("say who, by the number on the card"),
    "unknown_pupil": mark("no pupil is known by this"),
    "slip": mark("the slip's number is none"),
    "slip_exists": mark("this slip is there already"),
    "unknown_slip": mark("there is no such slip"),
    "issuer": mark("say who wrote the slip"),
    "times": mark("the times make no sense"),
    "card": mark("say which card"),
    "not_banned": mark("this card is not banned"),
    "wrong_lane": mark("not for this lane"),
    "not_yet_valid": mark("not valid yet"),
    "lockdown": mark("way in locked down"),
    "timeout": mark("did not reach its end in time"),
    "both_switches": mark("both limit switches at once"),
    "between": mark("stands between its ends"),
    "time": mark("its time was over"),
    "duplicate": mark("it came twice"),
    "from_the_future": mark("it is dated ahead of the clock here"),
    "validity": mark("it would hold for longer than ten minutes"),
    "drill_running": mark("a drill is running"),
    "forged": mark("its signature is wrong"),
    "malformed": mark("it is no command in form"),
    "too_long": mark("it is too long for a command"),
    "wrong_box": mark("it is for another box"),
    "retained": mark("it lay at the broker"),
    "no_key": mark("this box knows no key of the district"),
    "key_out_of_date": mark("its key does not hold today"),
    "flood": mark("too many at once"),
    "not_begun": mark("nobody answered and nobody went ahead"),
    "real_press": mark("a real press ended it"),
    "restart": mark("the box started anew"),
    "command": mark("a person ended it"),
    "drill_waits": mark("the announcement may still be answered"),
    "no_drill": mark("no drill is running"),
    "no_lockdown": mark("the way in is not locked down"),
    "panic_latched": mark("the panic alarm is latched"),
    "unknown_verb": mark("nobody knows this command"),
    "no_alarm": mark("there is no alarm"),
    "not_on_site": mark("nobody has shown a guard's card here"),
    "already": mark("it stood there already"),
    "moving": mark("another motion was under way"),
    "overruled": mark("a later request took its place"),
    "fault_persists": mark("a bollard still reports its fault"),
    "too_old": mark("it is too old to be carried out"),
    "not_latched": mark("nothing is latched"),
}
CONTROL_AWAY: Mapping[str, str] = {
    "silent": mark("it is connected, but says nothing any more"),
    "unreadable": mark("its picture cannot be read: it is of another version"),
}
DIRECTION: Mapping[str, str] = {
    "in": mark("way in"),
    "out": mark("way out"),
    "presence": mark("guard on site"),
}
LANE_KIND: Mapping[str, str] = {
    "entry": mark("way in"),
    "exit": mark("way out"),
    "both": mark("both ways"),
    "service": mark("service lane"),
}
PATH: Mapping[str, str] = {"mqtt": "MQTT", "dc09": "SIA DC-09", "gb28181": "GB/T 28181", "redis": "Redis"}
AREA: Mapping[str, str] = {
    "panic": mark("Panic"),
    "lanes": mark("Bollards"),
    "doors": mark("Doors"),
    "fire": mark("Fire"),
    "uplink": mark("Uplink"),
    "power": mark("Power"),
    "devices": mark("Devices"),
    "journal": mark("Journal"),
    "school": mark("School"),
}
HOP: Mapping[str, str] = {
    "decision_us": mark("decided"),
    "outputs_us": mark("outputs set"),
    "modbus_us": mark("bollard controller confirmed"),
    "position_us": mark("bollards up"),
    "durable_us": mark("on disk"),
    "sent_us": mark("sent"),
    "received_us": mark("received"),
}


class Words:
    """All texts in one language for one site. Cheap to make, but keep one for each language."""

    def __init__(self, language: str, site: Site) -> None:
        self.language = language
        self.catalogue = locale.load(language)
        self.zone = ZoneInfo(site.site.timezone)
        self._names = _names(site)

    @property
    def html_lang(self) -> str:
        return self.language.replace("_", "-").replace("zh-CN", "zh-Hans-CN")

    def t(self, text: str, **values: object) -> str:
        """The text in this language, with `%(name)s` filled in."""
        told = self.catalogue.gettext(text) if text else ""
        return told % values if values else told

    def n(self, one: str, many: str, number: int, **values: object) -> str:
        return self.catalogue.ngettext(one, many, number) % ({"n": number} | values)

    def of(self, table: Mapping[str, str], value: str | None) -> str:
        """A value of a closed vocabulary in words; None is "unknown", a value without words stands for itself."""
        if value is None:
            return self.t(UNKNOWN)
        return self.t(table[value]) if value in table else str(value)

    # ── things ─────────────────────────────────────────────────────────────────────────────────────────────────

    def name(self, kind: str, ident: str) -> str:
        """The site file's name of a lane, door, reader, button or bollard, or its id."""
        return self._names.get((kind, ident)) or ident

    def known(self, kind: str, ident: str) -> bool:
        return (kind, ident) in self._names

    def thing(self, text: str) -> str:
        """What "lane:main", "lock:wicket", "gpio" … is, for people."""
        kind, _, ident = text.partition(":")
        match kind:
            case "button":
                return self.t("panic button “%(name)s”", name=self.name("button", ident))
            case "lane":
                return self.t("lane “%(name)s”", name=self.name("lane", ident))
            case "light":
                return self.t("light of lane “%(name)s”", name=self.name("lane", ident))
            case "lanekeys":
                return self.t("buttons of lane “%(name)s” at the box", name=self.name("lane", ident))
            case "reader":
                return self.t("card reader “%(name)s”", name=self.name("reader", ident))
            case "bus":
                return self.t("field bus “%(name)s”", name=ident)
            case _:
                return self._door_thing(kind, ident) or self._box_thing(text)

    def _door_thing(self, kind: str, ident: str) -> str:
        name = self.name("door", ident)
        match kind:
            case "door":
                return self.t("door “%(name)s”", name=name)
            case "lock":
                return self.t("lock of “%(name)s”", name=name)
            case "contact":
                return self.t("door contact of “%(name)s”", name=name)
            case "rex":
                return self.t("exit button of “%(name)s”", name=name)
            case _:
                return ""

    def _box_thing(self, text: str) -> str:
        kind, _, ident = text.partition(":")
        match kind:
            case "gpio":
                return self.t("the box's own terminals")
            case "fire":
                return self.t("fire panel contact")
            case "key":
                return self.t("key switch “%(name)s”", name=self.name("key", ident))
            case "lamp":
                return self.of(LAMP, ident)
            case "siren":
                return self.of(LAMP, "siren")
            case "mains" | "battery" | "tamper":
                return self.of(SUPPLY, kind)
            case "relays" | "loops":
                return self.t(BOARD[kind])
            case _:
                return text

    def board(self, kind: str, ident: str) -> str:
        """A device of the picture; boards carry the site's own names and need their kind to be told."""
        if kind in BOARD:
            return self.t("%(board)s “%(name)s”", board=self.t(BOARD[kind]), name=ident)
        return self.thing(ident)

    def why(self, ident: str) -> str:
        """A reason in words: an id of WHY, alone or with what it is about ("drill_running:office"), "sensor:loop1",
        "still_pressed:office", or the text itself where it has no words."""
        kind, _, rest = ident.partition(":")
        if kind == "sensor":
            return self.t("%(sensor)s not clear", sensor=self.of(SENSOR_NAME, rest))
        if kind == "still_pressed":
            return self.t("button still pressed: %(name)s", name=self.name("button", rest))
        if kind in WHY or ident in WHY:
            return self.of(WHY, ident if ident in WHY else kind)
        return self.reason(ident)

    def reason(self, text: str) -> str:
        """A technical reason in words, or the text itself where nobody has words for it."""
        return reasons.say(text, self.t)

    # ── times and amounts ──────────────────────────────────────────────────────────────────────────────────────

    def clock(self, wall_ms: int, now_ms: int) -> str:
        """Time of day in the site's zone; with the date when it is not today."""
        at = self._local(wall_ms)
        if at.date() == self._local(now_ms).date():
            return at.strftime("%H:%M:%S")
        return at.strftime("%m-%d %H:%M:%S")

    def date_time(self, wall_ms: int) -> str:
        return self._local(wall_ms).strftime("%Y-%m-%d %H:%M:%S")

    def _local(self, wall_ms: int) -> datetime:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=wall_ms)).astimezone(self.zone)

    def offset_minutes(self, wall_ms: int) -> int:
        offset = self._local(wall_ms).utcoffset()
        return 0 if offset is None else round(offset.total_seconds() / 60)

    def bytes(self, amount: int | None) -> str:
        if amount is None:
            return self.t(UNKNOWN)
        for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
            if amount >= size:
                return f"{amount / size:.1f} {unit}"
        return f"{amount} B"

    def seconds(self, ms: int | None) -> str:
        return self.t(UNKNOWN) if ms is None else self.t("%(s)s s", s=f"{ms / 1000:.1f}")

    def milliseconds(self, us: int) -> str:
        return f"{us / 1000:.1f} ms"

    def count(self, amount: int | None) -> str:
        return self.t(UNKNOWN) if amount is None else f"{amount:,}"


BOARD: Mapping[str, str] = {"relays": mark("relay board"), "loops": mark("alarm loop board")}


def _names(site: Site) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for lane in site.lane:
        found["lane", lane.id] = lane.name
        found |= {("bollard", bollard.id): bollard.name for bollard in lane.bollard}
    found |= {("door", door.id): door.name for door in site.door}
    found |= {("reader", reader.id): reader.name for reader in site.reader}
    found |= {("button", button.id): button.name for button in site.panic_button}
    return found | {("key", key.id): key.name for key in site.key}
