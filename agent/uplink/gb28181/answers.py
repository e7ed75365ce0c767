"""What the platform may ask, and what it is told. It may look; it may switch nothing here.

Arming, disarming, resetting an alarm and restarting are a person's on site (domain rules 17 to 19): such a command gets
`ERROR`, and is one record. The picture tells no names and no numbers of persons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeAlias

import msgspec

from agent.core.words import Line
from agent.uplink.gb28181.manscdp import Command, Field
from hardware.site import Gb28181, PanicButton, Site

Picture: TypeAlias = Mapping[str, Any]
Note: TypeAlias = Callable[[str, str, str, dict[str, str | int]], object]

MAKER = "Menwei"
REFUSED = "not_on_site"  # the code of every refusal of what only a person at the gate may do (docs/records.md)
# The elements of a DeviceControl (A.2.3), and the words that may stand in them: nothing else of it gets into a record.
_CONTROLS = ("GuardCmd", "AlarmCmd", "TeleBoot", "RecordCmd", "PTZCmd", "IFameCmd", "HomePosition")
_ORDERS = frozenset({"SetGuard", "ResetGuard", "ResetAlarm", "Boot", "Record", "StopRecord", "Send"})


class Reply(msgspec.Struct, frozen=True):
    """One Response to send: its fields after CmdType, SN and DeviceID."""

    kind: str
    sn: int
    device: str
    fields: list[Field]


class Answers:
    """`picture` gives what control last told of the gate, None while control is away."""

    def __init__(
        self, site: Site, way: Gb28181, zone: tzinfo, note: Note, picture: Callable[[], Picture | None]
    ) -> None:
        self._site = site
        self._way = way
        self._zone = zone
        self._note = note
        self._picture = picture
        self._inputs = tuple(zip(way.inputs, site.panic_button, strict=False))

    def device_of(self, subject: str) -> str:
        """The number under which the platform knows a record's subject: a button's input, else the device."""
        inputs = {f"button:{button.id}": number for number, button in self._inputs}
        return inputs.get(subject, self._way.device_id)

    def is_ours(self, number: str) -> bool:
        return number == self._way.device_id or number in self._way.inputs

    def to(self, asked: Command) -> list[Reply]:
        """What a Query or Control is answered with."""
        match asked.root, asked.kind:
            case "Control", _:
                return [self._refused(asked)]
            case _ if not self.is_ours(asked.device):
                return [_result(asked, "ERROR")]
            case _, "DeviceInfo":
                return [self._info(asked)]
            case _, "DeviceStatus":
                return [self._status(asked)]
            case _, "Catalog":
                return self._catalog(asked)
            case _:
                return [_result(asked, "ERROR")]

    def _refused(self, asked: Command) -> Reply:
        name = next((name for name in _CONTROLS if name in asked.fields), "DeviceControl")
        order = asked.fields.get(name, "")
        verb = order if order in _ORDERS else name
        data: dict[str, str | int] = {"id": f"{self._way.id}-{asked.sn}", "verb": verb, "why": REFUSED}
        self._note("command.refused", "command", f"platform:{self._way.platform_id}", data)
        return _result(asked, "ERROR")

    def _info(self, asked: Command) -> Reply:
        fields: list[Field] = [
            ("DeviceName", self._site.site.name or self._site.site.id),
            ("Result", "OK"),
            ("Manufacturer", MAKER),
            ("Model", self._site.board.model),
            ("Firmware", MAKER),
            ("Channel", len(self._inputs)),
        ]
        return Reply("DeviceInfo", asked.sn, asked.device, fields)

    def _status(self, asked: Command) -> Reply:
        picture = self._picture()
        well = picture is not None and picture.get("scanned") is True
        reason: list[Field] = [] if well else [("Reason", "the box's control cannot be read")]
        items: list[Field] = [("Item", [("DeviceID", number), ("DutyStatus", self._duty(button))])
                              for number, button in self._inputs]  # fmt: skip
        fields: list[Field] = [
            ("Result", "OK"),
            ("Online", "ONLINE"),
            ("Status", "OK" if well else "ERROR"),
            *reason,
            ("Encode", "OFF"),
            ("Record", "OFF"),
            ("DeviceTime", datetime.now(UTC).astimezone(self._zone).strftime("%Y-%m-%dT%H:%M:%S")),
            ("Alarmstatus", items, {"Num": str(len(items))}),
        ]
        return Reply("DeviceStatus", asked.sn, asked.device, fields)

    def _catalog(self, asked: Command) -> list[Reply]:
        """One message for each input, so that none outgrows a datagram."""
        total = len(self._inputs)
        items = [self._item(number, button) for number, button in self._inputs]
        lists: list[list[Field]] = [[("Item", item)] for item in items] or [[]]
        return [
            Reply(
                "Catalog",
                asked.sn,
                asked.device,
                [("SumNum", total), ("DeviceList", one, {"Num": str(len(one))})],
            )
            for one in lists
        ]

    def _item(self, number: str, button: PanicButton) -> list[Field]:
        return [
            ("DeviceID", number),
            ("Name", button.name or button.id),
            ("Manufacturer", MAKER),
            ("Model", self._site.board.model),
            ("Owner", self._site.site.name or self._site.site.id),
            ("CivilCode", number[:6]),
            ("Address", self._site.site.name or self._site.site.id),
            ("Parental", 0),
            ("ParentID", self._way.device_id),
            ("RegisterWay", 1),
            ("Secrecy", 0),
            ("Status", "ON" if self._line(button) in (Line.NORMAL, Line.PRESSED) else "OFF"),
        ]

    def _duty(self, button: PanicButton) -> str:
        """ALARM while an alarm of this button is open; OFFDUTY when its line cannot be heard."""
        panic = (self._picture() or {}).get("panic", {})
        if any(alarm.get("button") == button.id and not alarm.get("drill") for alarm in panic.get("alarms", [])):
            return "ALARM"
        return "ONDUTY" if self._line(button) in (Line.NORMAL, Line.PRESSED) else "OFFDUTY"

    def _line(self, button: PanicButton) -> str:
        buttons = (self._picture() or {}).get("panic", {}).get("buttons", [])
        return next((str(one.get("line")) for one in buttons if one.get("id") == button.id), Line.UNREAD)


def _result(asked: Command, result: str) -> Reply:
    return Reply(asked.kind, asked.sn, asked.device, [("Result", result)])
