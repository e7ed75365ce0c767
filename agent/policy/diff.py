"""What a new policy changes for whom, in words, in both languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from agent.core.calendar import Span
from agent.core.policy import (
    Credential,
    DayPlan,
    PickupWindow,
    Policy,
    Window,
    bound,
    group_doors,
    group_lanes,
)
from agent.preview import day as preview
from agent.preview.day import Entry
from agent.preview.words import Words as PreviewWords

TEXTS: Mapping[str, tuple[str, str]] = {
    "version": ("version %s → %s", "版本 %s → %s"),
    "added": ("%s: %d cards more", "%s：新增 %d 张卡"),
    "removed": ("%s: %d cards fewer", "%s：减少 %d 张卡"),
    "banned": ("%s: %d cards banned or lost", "%s：停用或挂失 %d 张卡"),
    "unbanned": ("%s: %d cards in use again", "%s：恢复 %d 张卡"),
    "moved": ("%s: %d cards with another class, door or validity", "%s：%d 张卡的班级、门或有效期有变"),
    "plan_new": ("day plan %s is new", "新增日程 %s"),
    "plan_gone": ("day plan %s is gone", "取消日程 %s"),
    "window": ("%s, %s: was %s, is now %s", "%s，%s：原 %s，现 %s"),
    "window_new": ("%s: %s %s is new", "%s：新增 %s %s"),
    "window_gone": ("%s: %s %s is gone", "%s：取消 %s %s"),
    "window_who": ("%s, %s: who may pass was “%s”, is now “%s”", "%s，%s：可通行人员原为“%s”，现为“%s”"),
    "window_gate": ("%s, %s: the gate was “%s”, is now “%s”", "%s，%s：大门原为“%s”，现为“%s”"),
    "window_else": ("%s, %s: its kind, a door or its lanes have changed", "%s，%s：类别、门或车道有变"),
    "day": ("%s: %s (was %s)", "%s：%s（原为 %s）"),
    "reach": ("the calendar runs from %s to %s", "校历从 %s 到 %s"),
    "terms": ("terms: were %s, are now %s", "学期：原 %s，现 %s"),
    "vacation": ("days outside the terms: %s (was %s)", "学期以外的日子：%s（原为 %s）"),
    "group_new": ("group %s is new", "新增组别 %s"),
    "group_gone": ("group %s is gone", "取消组别 %s"),
    "group_doors": ("%s: doors were %s, are now %s", "%s：可用的门原为 %s，现为 %s"),
    "group_lanes": ("%s: lanes were %s, are now %s", "%s：可用的车道原为 %s，现为 %s"),
    "group_kind": ("%s: was %s, is now %s", "%s：身份原为 %s，现为 %s"),
    "group_bound": ("%s: the timetable holds for them now", "%s：现受时段限制"),
    "group_free": ("%s: the timetable no longer holds for them", "%s：不再受时段限制"),
    "pickup_windows": ("pick-up times: were %s, are now %s", "接送时段：原 %s，现 %s"),
    "posts": ("posts: %d more, %d fewer, %d changed", "岗位：新增 %d，减少 %d，变更 %d"),
    "slips": ("leave slips: %d more, %d fewer, %d changed", "请假条：新增 %d，减少 %d，变更 %d"),
    "pickups": ("pick-up lists: %d more, %d fewer, %d changed", "接送名单：新增 %d，减少 %d，变更 %d"),
    "passes": ("vehicle passes: %d more, %d fewer, %d changed", "车辆出入证：新增 %d，减少 %d，变更 %d"),
    "rules": ("%s: was %s, is now %s", "%s：原 %s，现 %s"),
    "roster": ("roster: %d lines more, %d fewer", "值班表：新增 %d 行，减少 %d 行"),
    "fetch": ("%s may fetch %s (was %s)", "%s 可接 %s（原为 %s）"),
    "more": ("… and %d more", "……另有 %d 项"),
    "none": ("nothing changes for anybody", "没有任何变化"),
}
LANGUAGES = ("en", "zh_CN")
MOST_NAMED = 8  # D: more in one line are read by nobody


class Words:
    def __init__(self, language: str) -> None:
        self._at = LANGUAGES.index(language)
        self.of_preview = PreviewWords(language)

    def say(self, name: str, *values: object) -> str:
        return TEXTS[name][self._at] % values if values else TEXTS[name][self._at]

    def whom(self, names: Sequence[str]) -> str:
        """The first few of them, to be written behind a line."""
        rest = len(names) - MOST_NAMED
        more = f" {self.say('more', rest)}" if rest > 0 else ""
        return f": {', '.join(names[:MOST_NAMED])}{more}"

    def entry(self, window: Window) -> Entry:
        return preview.entry(Span(0, 0, window), self.of_preview)


def diff(old: Policy | None, new: Policy, language: str) -> list[str]:
    """One line for each change; a single line where nothing changes."""
    w = Words(language)
    before = old if old is not None else _nothing(new)
    lines = [w.say("version", old.version if old else 0, new.version)]
    parts = (_groups, _people, _plans, _calendar, _papers)
    changes = [line for part in parts for line in part(before, new, w)]
    return lines + (changes or [w.say("none")])


def _nothing(new: Policy) -> Policy:
    """A policy with nobody in it, to begin from."""
    return Policy(
        version=0, made_at_ms=0, site_box=new.site_box, calendar=new.calendar, plans={}, groups=new.groups
    )  # fmt: skip


def _groups(old: Policy, new: Policy, w: Words) -> Iterator[str]:
    """What changes for everybody of a group, however many cards it has."""
    for name in sorted(old.groups.keys() ^ new.groups.keys()):
        yield w.say("group_new" if name in new.groups else "group_gone", name)
    for name in sorted(old.groups.keys() & new.groups.keys()):
        was, now = old.groups[name], new.groups[name]
        for what, places in (("group_doors", group_doors), ("group_lanes", group_lanes)):
            before, after = sorted(set(places(old, was))), sorted(set(places(new, now)))
            if before != after:
                yield w.say(what, name, ", ".join(before) or "—", ", ".join(after) or "—")
        if was.kind != now.kind:
            yield w.say("group_kind", name, was.kind, now.kind)
        if bound(was) is not bound(now):
            yield w.say("group_bound" if bound(now) else "group_free", name)


def _people(old: Policy, new: Policy, w: Words) -> Iterator[str]:
    changed: dict[tuple[str, str], list[str]] = {}
    for card in (*old.credentials, *(card for card in new.credentials if card not in old.credentials)):
        was, is_now = old.credentials.get(card), new.credentials.get(card)
        what = _change(was, is_now)
        if what:
            one = is_now or was
            assert one is not None
            changed.setdefault((one.group, what), []).append(one.holder)
    for group in sorted({group for group, _ in changed}):
        for what in ("added", "removed", "banned", "unbanned", "moved"):
            holders = changed.get((group, what), [])
            if holders:
                yield w.say(what, group, len(holders)) + w.whom(holders)


def _change(was: Credential | None, now: Credential | None) -> str:
    if was is None or now is None:
        return "added" if was is None else "removed"
    if bool(was.state) is not bool(now.state):
        return "banned" if now.state else "unbanned"
    return "" if _plain(was) == _plain(now) else "moved"


def _plain(one: Any) -> dict[str, Any]:
    """The fields that mean something: where it was written does not."""
    fields = {name: getattr(one, name) for name in one.__struct_fields__ if name not in ("source", "line")}
    if "passages" in fields:
        fields["passages"] = [_plain(passage) for passage in one.passages]
    return fields


def _plans(old: Policy, new: Policy, w: Words) -> Iterator[str]:
    for name in sorted(new.plans.keys() - old.plans.keys()):
        yield w.say("plan_new", _plan_name(new.plans[name]))
    for name in sorted(old.plans.keys() - new.plans.keys()):
        yield w.say("plan_gone", _plan_name(old.plans[name]))
    for name in sorted(old.plans.keys() & new.plans.keys()):
        yield from _windows(old.plans[name], new.plans[name], w)


def _windows(old: DayPlan, new: DayPlan, w: Words) -> Iterator[str]:
    before, after = _named(old.windows), _named(new.windows)
    for key, window in before.items():
        if key not in after:
            yield w.say("window_gone", _plan_name(old), key[0], _times(window))
    for key, window in after.items():
        was = before.get(key)
        if was is None:
            yield w.say("window_new", _plan_name(new), key[0], _times(window))
            continue
        if _times(was) != _times(window):
            yield w.say("window", _plan_name(new), key[0], _times(was), _times(window))
        yield from _rules(_plan_name(new), key[0], was, window, w)


def _rules(plan: str, name: str, was: Window, now: Window, w: Words) -> Iterator[str]:
    """Who may pass and what the gate does, in the words of the preview."""
    before, after = w.entry(was), w.entry(now)
    if before.who != after.who:
        yield w.say("window_who", plan, name, "; ".join(before.who), "; ".join(after.who))
    if before.gate != after.gate:
        yield w.say("window_gate", plan, name, "; ".join(before.gate) or "—", "; ".join(after.gate) or "—")
    if _rest(was) != _rest(now):
        yield w.say("window_else", plan, name)


def _rest(window: Window) -> tuple[object, ...]:
    """What the words of the preview do not show."""
    opened = {door: rule for door, rule in window.doors.items() if rule != "closed"}
    return window.kind, opened, () if window.bollards else window.lanes


def _named(windows: Iterable[Window]) -> dict[tuple[str, int], Window]:
    """By name, and by number where several have the same."""
    found: dict[tuple[str, int], Window] = {}
    counts: Counter[str] = Counter()
    for window in windows:
        name = _window_name(window)
        found[name, counts[name]] = window
        counts[name] += 1
    return found


def _plan_name(plan: DayPlan) -> str:
    return plan.label or plan.id


def _window_name(window: Window) -> str:
    return window.label or window.kind


def _times(window: Window | PickupWindow) -> str:
    return f"{clock(window.start)}–{clock(window.end)}"


def clock(minute: int) -> str:
    """07:30 of a minute of the day."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _calendar(old: Policy, new: Policy, w: Words) -> Iterator[str]:
    before, after = old.calendar, new.calendar
    if (before.first, before.last) != (after.first, after.last):
        yield w.say("reach", after.first, after.last)
    for number, (was_plan, plan) in enumerate(zip(before.weekdays, after.weekdays, strict=True)):
        if plan != was_plan:
            yield w.say("day", w.of_preview.weekday(number), plan, was_plan)
    if before.vacation != after.vacation:
        yield w.say("vacation", after.vacation or "—", before.vacation or "—")
    terms = [", ".join(f"{term.first}–{term.last}" for term in one.terms) or "—" for one in (before, after)]
    if terms[0] != terms[1]:
        yield w.say("terms", *terms)
    for day in sorted(before.special.keys() | after.special.keys()):
        was, now = before.special.get(day), after.special.get(day)
        if (was and was.plan) != (now and now.plan):
            yield w.say("day", day, f"{now.plan} {now.label}".strip() if now else "—", was.plan if was else "—")


def _papers(old: Policy, new: Policy, w: Words) -> Iterator[str]:
    times = [", ".join(map(_times, one.pickup_windows)) or "—" for one in (old, new)]
    if times[0] != times[1]:
        yield w.say("pickup_windows", *times)
    for name in ("slips", "pickups", "passes", "posts"):
        more, fewer, changed = _changes(getattr(old, name), getattr(new, name))
        if more or fewer or changed:
            yield w.say(name, len(more), len(fewer), len(changed)) + w.whom([*more, *fewer, *changed])
    yield from _fetching(old, new, w)
    lines = [Counter(str(_plain(duty)) for duty in one.roster) for one in (old, new)]
    if lines[0] != lines[1]:
        yield w.say("roster", (lines[1] - lines[0]).total(), (lines[0] - lines[1]).total())
    for name in new.rules.__struct_fields__:
        was, now = getattr(old.rules, name), getattr(new.rules, name)
        if was != now and name != "source":
            yield w.say("rules", name, was, now)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """The names that came, went, and mean something else now."""
    changed = [name for name in new if name in old and _plain(old[name]) != _plain(new[name])]
    return [name for name in new if name not in old], [name for name in old if name not in new], changed


def _fetching(old: Policy, new: Policy, w: Words) -> Iterator[str]:
    """Who may take which child now: it is what a parent would ask about."""
    lists = {guardian: (old.pickups.get(guardian), now) for guardian, now in new.pickups.items()}
    changed = [
        (guardian, was.pupils, now.pupils)
        for guardian, (was, now) in lists.items()
        if was is not None and set(was.pupils) != set(now.pupils)
    ]
    for guardian, before, after in changed[:MOST_NAMED]:
        yield w.say("fetch", guardian, ", ".join(after), ", ".join(before))
