"""Findings of the school's day: posts, patrols, the calendar, visitors, hazards. Nobody is named."""

from __future__ import annotations

from collections.abc import Iterator

from agent.picture import Campus, Picture, Post
from agent.web.findings.finding import Finding, Weight
from agent.web.words import Words
from hardware.site import Site

DAY_MS = 86_400_000
OLD_DAYS = 180  # D: a policy older than half a year has missed a term


def posts(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    for post in picture.campus.posts if picture.campus is not None else ():
        name = post.name or post.id
        if post.alarm_ref is not None:
            text = w.t("Post “%(name)s” is not manned", name=name)
            yield _of_post(post, text, w.t("Send a guard: a card at the post ends it."))
        elif post.unanswered:
            text = w.t("Post “%(name)s”: no sign of life", name=name)
            yield _of_post(post, text, w.t("Go and look, or call the post."))


def _of_post(post: Post, text: str, advice: str) -> Finding:
    return Finding(weight=Weight.FAULT, text=text, advice=advice, since=post.since, ref=post.alarm_ref)


def today(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    """What the plan of the day, the calendar and the days since the last test say."""
    campus = picture.campus
    if campus is None:
        yield Finding(
            weight=Weight.REMARK,
            text=w.t("No school policy is in force"),
            advice=w.t("Cards go by the site file alone. Bring one by command, by stick or from the district."),
        )
        return
    yield from _policy(campus, picture.wall_ms, w)
    day = campus.today
    if day is None:
        yield Finding(
            weight=Weight.WARNING,
            text=w.t("The plan of the day is not known"),
            advice=w.t("Set the clock: until then only staff, guards and responders come in."),
        )
        return
    if day.calendar_missing:
        yield Finding(
            weight=Weight.WARNING,
            text=w.t("The school's calendar ends on %(day)s", day=day.calendar_last),
            advice=w.t("Bring a policy with the next calendar; until then the day of the week decides."),
        )
    if day.patrols_behind:
        yield Finding(
            weight=Weight.WARNING,
            text=w.t("Patrols fall behind: %(n)s of %(of)s today", n=day.patrols, of=campus.patrols_required),
            advice=w.t("Walk the patrol points and show the card at each."),
        )
    yield from _test(campus, day.test_days, w)


def _policy(campus: Campus, wall_ms: int, w: Words) -> Iterator[Finding]:
    days = (wall_ms - campus.made_ms) // DAY_MS
    if days >= OLD_DAYS:
        yield Finding(
            weight=Weight.REMARK,
            text=w.t("The school's policy is %(days)s days old", days=days),
            advice=w.t("See whether the office has a newer one."),
        )
    book = campus.book
    if book.guards < book.guards_wanted:
        yield Finding(
            weight=Weight.REMARK,
            text=w.t("%(have)s guards have a card; %(want)s are asked for", have=book.guards, want=book.guards_wanted),
            advice=w.t("GB/T 29315: three guards at 1000 pupils, one more for every 500."),
        )


def _test(campus: Campus, days: int | None, w: Words) -> Iterator[Finding]:
    if days is None or days < campus.test_due_days:
        return
    overdue = days >= campus.test_overdue_days
    text = w.t("The panic test is overdue: %(n)s days", n=days) if overdue else w.t("The panic test is due")
    yield Finding(
        weight=Weight.WARNING if overdue else Weight.REMARK,
        text=text,
        advice=w.t("Announce a drill, start it on site, and press the button."),
    )


def book(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    if picture.campus is None:
        return
    book = picture.campus.book
    if book.overstays:
        yield Finding(
            weight=Weight.WARNING,
            text=w.n("%(n)s visitor has not left in time", "%(n)s visitors have not left in time", book.overstays),
            advice=w.t("Look for them, and sign them out when they have left."),
        )
    if book.cards_missing:
        yield Finding(
            weight=Weight.WARNING,
            text=w.n("%(n)s lent card did not come back", "%(n)s lent cards did not come back", book.cards_missing),
            advice=w.t("It opens nothing. When it is found, lift its ban."),
        )
    if book.hazards_overdue:
        yield Finding(
            weight=Weight.WARNING,
            text=w.n("%(n)s hazard is past its day", "%(n)s hazards are past their day", book.hazards_overdue),
            advice=w.t("See to it and close it in the ledger."),
        )
