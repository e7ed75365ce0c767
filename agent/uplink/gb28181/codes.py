"""Which alarm record goes to a platform as what: priority, method, type and words of a GB/T 28181 alarm.

Method 2 is an alarm of a device, 6 a fault of one, 7 anything else; a type is sent with method 2 only where the
standard has one for it (2: the device was tampered with). Priority 1 is the highest of four. The words name kinds,
buttons, doors and lanes by their ids, never a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

import msgspec

from agent.uplink.dc09.codes import NOT_SENT
from agent.uplink.gb28181.manscdp import Field
from agent.uplink.path import Alarm

DEVICE, FAULT, OTHER = 2, 6, 7
TAMPERED = 2
_PLACES = ("button", "door", "lane", "reader", "supply", "relay", "path", "fire", "site")  # subjects that name nobody


class Code(msgspec.Struct, frozen=True):
    priority: int
    method: int
    words: str
    type: int | None = None


PANIC = Code(1, DEVICE, "一键报警")
DRILL = Code(4, DEVICE, "演练 DRILL 一键报警")
UNKNOWN = Code(3, OTHER, "其他报警")  # better told roughly than not at all

CODES: Mapping[str, Code] = {
    "panic.pressed": PANIC,
    "panic.restored": Code(1, DEVICE, "一键报警仍未解除"),
    "panic.line_fault": Code(2, FAULT, "报警按钮线路故障"),
    "panic.stuck": Code(2, FAULT, "报警按钮未复位"),
    "panic.chatter": Code(2, FAULT, "报警按钮抖动"),
    "drill.started": Code(4, OTHER, "演练开始 DRILL"),
    "drill.ended": Code(4, OTHER, "演练结束 DRILL"),
    "access.duress": Code(1, DEVICE, "胁迫报警"),
    "access.wrong_tries": Code(3, DEVICE, "多次刷错卡"),
    "access.unauthorised_exit": Code(2, DEVICE, "擅自离校"),
    "door.forced": Code(2, DEVICE, "门被强行打开"),
    "door.held_open": Code(3, DEVICE, "门长时间未关"),
    "fire.active": Code(1, DEVICE, "火警"),
    "fire.restored": Code(1, DEVICE, "火警仍未解除"),
    "fire.unread": Code(2, FAULT, "火警输入无法读取"),
    "supply.alarm": Code(3, FAULT, "供电异常"),
    "supply.unread": Code(3, FAULT, "供电或防拆触点无法读取"),
    "output.fault": Code(3, FAULT, "锁、灯或警号不动作"),
    "path.none": Code(3, FAULT, "报警通道曾全部中断"),
    "box.bug": Code(3, FAULT, "设备内部故障"),
    "box.restore_failed": Code(3, FAULT, "重启后部分状态无法恢复"),
    "journal.failing": Code(3, FAULT, "日志无法写入"),
    "clock.off": Code(4, FAULT, "时钟偏差"),
    "lane.fault": Code(3, FAULT, "升降柱故障"),
    "lane.unasked": Code(2, FAULT, "升降柱自行动作"),
}
_SUPPLIES: Mapping[str, Code] = {
    "supply:tamper": Code(2, DEVICE, "机箱被打开", TAMPERED),
    "supply:mains": Code(3, FAULT, "市电中断"),
    "supply:battery": Code(3, FAULT, "电池异常"),
}


def code_of(kind: str, subject: str = "", *, drill: bool = False) -> Code | None:
    """How an alarm is told, or None where it deliberately is not (`agent.uplink.dc09.codes` gives the reasons)."""
    if kind in NOT_SENT and kind not in CODES:  # a platform hears of no ends: that of a drill is told it by itself
        return None
    if drill and kind.startswith("panic."):
        return DRILL
    if kind == "supply.alarm":
        return _SUPPLIES.get(subject, CODES[kind])
    return CODES.get(kind, UNKNOWN)


def fields_of(alarm: Alarm, code: Code, zone: tzinfo) -> list[Field]:
    """The fields of an alarm's Notify, in the standard's order. `zone` is the site's: `AlarmTime` is local."""
    place = alarm.subject if alarm.subject.partition(":")[0] in _PLACES else ""
    words = " ".join(filter(None, (code.words, alarm.kind, place)))
    info: list[Field] = [("AlarmType", code.type)] if code.type is not None else []
    if alarm.drill:
        info.append(("Drill", "true"))
    fields: list[Field] = [
        ("AlarmPriority", code.priority),
        ("AlarmMethod", code.method),
        ("AlarmTime", _local(alarm.at, zone)),
        ("AlarmDescription", words),
    ]
    return [*fields, ("Info", info)] if info else fields


def _local(at: str, zone: tzinfo) -> str:
    """A record's UTC time as the platform reads it; the present time for a record without one that can be read."""
    try:
        when = datetime.fromisoformat(at)
    except ValueError:
        when = datetime.now(UTC)
    return when.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")
