"""Whatever somebody types into a command about people, no name, number or plate reaches a record, done or refused."""

from __future__ import annotations

import random
from typing import Any

import pytest
from campus_scenes import POLICY, VISIT, WATCH, at, school
from msgspec.structs import replace
from people_scenes import Gate

from agent.core import box, campus_commands, duty, visits
from agent.core.events import Command
from agent.core.policy import Credential
from agent.core.records import encode
from agent.core.words import Rank

SECRETS = (
    *("ZhangSan", "zhangsan", "zhang-san", "张三", "王 老师", "Li_Si", "o'brien"),
    *("110101199003074512", "11010119900307451X", "13800138000", "8613800138000", "010-62781234", "+8613800138000"),
    *("A12345", "JingA12345", "京A12345", "v-zhangsanfeng", "n-138001380001", "uart-125k:13800138000"),
)
GOOD = {
    "visit_register": VISIT | {"lane": "main"},
    "visit_consent": {"visit": VISIT["visit"], "by": "phone", "who": "staff-t"},
    "visit_in": {"visit": VISIT["visit"], "lane": ""},
    "visit_out": {"visit": VISIT["visit"], "card_back": "yes"},
    "visit_cancel": {"visit": VISIT["visit"], "card_back": "no"},
    "hazard_open": {"hazard": "h-7f3a0c1d2e9k", "what": "lock", "owner": "staff-t", "due": "7"},
    "hazard_close": {"hazard": "h-7f3a0c1d2e9k"},
    "hand_over": {"post": "house", "note": "n-7f3a0c1d2e9k"},
    "duty_check_in": {"post": "house"},
    "duty_check_out": {"post": "house"},
    "duty_confirm": {"post": "house"},
    "slip_add": {
        "slip": "s-7f3a0c1d2e9k", "pupil": "pupil-b", "issuer": "staff-t", "guardian": "0",
        "from_ms": str(at(8)), "to_ms": str(at(12)),
    },
    "slip_cancel": {"slip": "s-7f3a0c1d2e9k"},
    "let_out": {"door": "gatehouse", "holder": "pupil-b", "reason": "illness"},
    "card_ban": {"card": VISIT["card"], "holder": "staff-t", "reason": "lost"},
    "card_unban": {"card": VISIT["card"], "holder": "staff-t"},
    "shift_day": {"minutes": "15", "reason": "weather"},
    "swap_day": {"plan": "exam", "reason": "weather"},
    "restore_day": {},
}  # fmt: skip
ARGS = tuple(dict.fromkeys((*visits.ARGS, *duty.ARGS, *campus_commands.ARGS)))


def told(gate: Gate) -> str:
    return "\n".join(encode(record).decode() for record in gate.records)


def test_every_verb_about_people_is_fed() -> None:
    assert set(GOOD) == visits.VERBS | duty.VERBS | campus_commands.VERBS


@pytest.mark.parametrize("secret", SECRETS)
def test_no_argument_of_any_command_brings_it_into_a_record(secret: str) -> None:
    """Each argument of each verb in turn, with all the others right; then every argument at once."""
    for verb, good in GOOD.items():
        subject = next(one for one in (visits, duty, campus_commands) if verb in one.VERBS)
        for name in subject.ARGS:
            gate = school(10)
            gate.card("guard", WATCH)
            gate.ask("visit_register", VISIT)
            gate.ask(verb, good | {name: secret})
            assert secret not in told(gate), (verb, name)
        gate.ask(verb, dict.fromkeys(ARGS, secret))
        assert secret not in told(gate), verb


def test_a_hundred_thousand_cards_hold_up_no_command() -> None:
    """Who is known is looked up, never searched for: a policy is gone through once, however many commands ask."""
    policy = replace(POLICY, credentials=Counted(POLICY.credentials))
    gate = school(10, policy=policy)
    state, before = gate.state, policy.credentials.walks  # type: ignore[attr-defined]
    for number in range(20):  # without the by-stander, who does look through all of them
        register = VISIT | {"visit": f"v-7f3a0c1d2e{number:02d}", "host": f"nobody-{number}"}
        let_out = {"door": "gatehouse", "holder": "pupil-b", "reason": "illness"}
        for verb, args in (("visit_register", register), ("let_out", let_out), ("slip_add", GOOD["slip_add"])):
            state, _ = box.step(state, Command(f"{verb}-{number}", Rank.CONSOLE, "desk", verb, args), gate.now)
    assert policy.credentials.walks - before <= 1  # type: ignore[attr-defined]


class Counted(dict[str, Credential]):
    """Counts how often somebody goes through all of them."""

    walks = 0

    def values(self) -> Any:
        self.walks += 1
        return super().values()


def test_nor_does_any_mixture(seed: int) -> None:
    rng = random.Random(seed)
    gate = school(10)
    for _ in range(1500):
        if rng.random() < 0.2:
            gate.card("guard", WATCH)
        verb = rng.choice(tuple(GOOD))
        args = {name: value if rng.random() < 0.8 else rng.choice(SECRETS) for name, value in GOOD[verb].items()}
        gate.ask(verb, args)
        gate.wait(rng.choice((0.0, 1.0, 700.0)))
    written = told(gate)
    assert not [secret for secret in SECRETS if secret in written]
    assert gate.of("visit.ended") and gate.of("hazard.closed") and gate.of("access.let_out")
