"""The preview's and the explanation's words, in both languages."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("en", "zh_CN")
TEXTS: Mapping[str, tuple[str, str]] = {
    "swapped": ("a person swapped today's plan", "今日安排由人调整"),
    "special": ("special day", "特殊日"),
    "vacation": ("vacation: outside every term", "假期：不在学期内"),
    "weekday": ("rule for the day of the week", "按星期规则"),
    "unsettled": ("rule for the day of the week", "按星期规则"),
    "beyond": ("WARNING: the school's calendar says nothing of this day", "注意：该日超出校历范围"),
    "missing": ("WARNING: the school's calendar does not reach far enough", "注意：校历不够长"),
    "bad_clock": ("WARNING: the box's clock is not trusted; until then staff, guards and responders alone enter",
                  "注意：本箱时钟不可信；恢复之前各时段不执行，仅教职工、保安、救援人员可进入"),
    "head": ("%s, %s: %s (%s)", "%s，%s：%s（%s）"),
    "why": ("why: %s, %s", "原因：%s，%s"),
    "time": ("time", "时间"),
    "window": ("window", "时段"),
    "who": ("who may pass", "可通行"),
    "notes": ("gate", "大门"),
    "written": ("written at", "出处"),
    "peak": ("peak: post manned", "高峰：须有人在岗"),
    "up": ("bollards up (a person raises)", "柱升起（由人操作）"),
    "down": ("bollards down", "柱降下"),
    "closed": ("%s closed", "%s 关闭"),
    "in": ("in", "进"),
    "out": ("out", "出"),
    "both": ("in and out", "进出"),
    "everybody": ("everybody", "所有人"),
    "grade": ("grade %s", "%s年级"),
    "nobody": ("nobody but staff, guards, responders", "仅教职工、保安、救援人员"),
    "always": ("At all times: staff, guards and responders pass; from inside anyone leaves by an evacuation way.",
               "任何时间：教职工、保安、救援人员可通行；疏散门任何人可从内离开。"),
    "pickup": ("pick-up by guardians", "家长接送"),
    "passes": ("%d vehicles and buses by their own times", "%d 辆车按各自时间通行"),
    "later": ("from %s on %d min later", "自%s起推迟 %d 分钟"),
    "earlier": ("from %s on %d min earlier", "自%s起提前 %d 分钟"),
    "doors": ("doors", "门"),
    "granted": ("GRANTED", "放行"),
    "granted_unless": ("GRANTED, unless one of the circumstances below speaks against it",
                       "放行，但下列情形除外"),
    "refused": ("REFUSED", "拒绝"),
    "held": ("but the bollards stay: %s", "但柱不降下：%s"),
    "basis_now": ("asked of the box as it stands at this moment", "依据：本箱此刻的实际状态"),
    "basis_box": ("asked of what the box knows about that time", "依据：本箱对该时刻的已知情况"),
    "basis_files": ("asked of the school's files alone, not of the box", "依据：仅学校文件，未询问本箱"),
    "left_out": ("not taken into account, and it may turn the answer round:", "未计入、但可能改变结果的情形："),
    "left_lockdown": ("a lockdown of the way in", "入口封锁"),
    "left_lockdown_now": ("a lockdown of the way in: one is in force now", "入口封锁：目前正在封锁"),
    "left_wrong_tries": ("five wrong tries at this reader, and the wait that follows",
                         "该读卡器连续五次误刷后的等待"),
    "left_clock": ("a clock that nobody trusts", "时钟不可信"),
    "left_clock_now": ("a clock that nobody trusts: now it is not trusted", "时钟不可信：目前正是如此"),
    "left_inside": ("this holder is inside already (anti-passback)", "持卡人已在校内（防反传）"),
    "left_first_card": ("a member of staff has come in by this door that day (first card)",
                        "当日教职工是否已由此门进入（首卡开门）"),
    "left_pair": ("the second card is shown at this door within the time for a pair",
                  "第二张卡是否在规定时间内在此门出示"),
    "left_lane": ("whether the bollards can go down then: emergency raise, fire, faults, hand operation",
                  "届时柱能否降下：紧急升起、火警、故障、手动"),
    "left_gate": ("what was changed at the gate: barred cards, leave slips, visits, today's plan",
                  "门口所作的更改：停用卡、请假条、访客、当日安排"),
    "opens": ("the lock opens all the same: nobody is held at an evacuation way", "门照常打开：疏散门不得阻拦任何人"),
    "card": ("card %s: %s, %s", "卡 %s：%s，%s"),
    "unknown_card": ("card %s: nobody knows it", "卡 %s：无此卡"),
    "at": ("at reader %s, %s", "读卡器 %s，%s"),
    "rule": ("rule: %s", "规则：%s"),
    "as_of": ("policy version %s", "规则版本 %s"),
}  # fmt: skip
KINDS: Mapping[str, tuple[str, str]] = {
    "arrival": ("arrival", "到校"), "class": ("class", "上课"), "lunch": ("lunch", "午休"),
    "dismissal": ("dismissal", "放学"), "care": ("after-school care", "课后服务"), "night": ("night", "夜间"),
    "exam": ("exam", "考试"), "open": ("open", "开放"),
}  # fmt: skip
PEOPLE: Mapping[str, tuple[str, str]] = {
    "pupil": ("pupils", "学生"), "staff": ("staff", "教职工"), "guard": ("guards", "保安"),
    "guardian": ("guardians", "家长"), "visitor": ("visitors", "访客"), "contractor": ("contractors", "外包人员"),
    "vehicle": ("vehicles", "车辆"), "bus": ("buses", "校车"), "responder": ("responders", "救援人员"),
}  # fmt: skip
# Rules of the gate that are no window of the day, by the core's word for them.
RULES: Mapping[str, tuple[str, str]] = {
    "not_bound": ("no timetable for this group", "该组别不受时段限制"),
    "leaves_freely": ("whoever is no pupil leaves freely", "非学生可自由离开"),
    "no_timetable": ("no timetable is in force", "无时段规则生效"),
    "card": ("what is written of this card", "该卡的登记"),
    "pass": ("the vehicle's pass", "车辆出入证"),
    "pickup": ("pick-up by a guardian", "家长接送"),
    "slip": ("leave slip", "请假条"),
    "lockdown": ("the way in is locked down", "入口封锁"),
    "closed plan": ("closed plan: staff, guards and responders", "时钟不可信：仅教职工、保安、救援人员"),
    "five wrong tries": ("five wrong tries", "连续五次误刷"),
    "passback hard": ("anti-passback", "防反传"), "passback timed": ("anti-passback", "防反传"),
    "first card in": ("first card of the day", "首卡开门"),
    "two persons": ("two persons", "双人规则"),
}  # fmt: skip
DAYS = (("Monday", "星期一"), ("Tuesday", "星期二"), ("Wednesday", "星期三"), ("Thursday", "星期四"),
        ("Friday", "星期五"), ("Saturday", "星期六"), ("Sunday", "星期日"))  # fmt: skip


class Words:
    def __init__(self, language: str) -> None:
        self.language = language
        self._at = LANGUAGES.index(language)

    def say(self, name: str, *values: object) -> str:
        text = TEXTS[name][self._at]
        return text % values if values else text

    def kind(self, name: str) -> str:
        return KINDS[name][self._at]

    def rule(self, name: str) -> str:
        """A rule as the core names it, or a window's own name."""
        pair = RULES.get(name) or KINDS.get(name)
        return pair[self._at] if pair is not None else name

    def people(self, group: str) -> str:
        return PEOPLE.get(group, (group, group))[self._at]

    def weekday(self, number: int) -> str:
        return DAYS[number][self._at]


def clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
