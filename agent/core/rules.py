"""The site as the core sees it: what is there, what was signed, and the numbers. Made once from the site file.

Sources of the default numbers stand in `hardware.site`, where an installer may change them.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Base."""


class BollardRules(Rules, frozen=True, kw_only=True):
    id: str
    commissioned: bool


class LaneRules(Rules, frozen=True, kw_only=True):
    id: str
    bollards: tuple[BollardRules, ...]
    sensors: tuple[str, ...]  # the fitted ones: "loop1", "beam" …
    monitor_only: bool
    service: bool  # the lane the fire brigade uses
    entry: bool
    rise_s: float
    lower_s: float
    efo_s: float
    prewarn_s: float
    clear_s: float
    efo_clear_s: float
    stale_s: float = 0.3  # domain rule 1: a reading older than this is no reading
    unasked_s: float = 1.0  # domain rule 8: a move nobody asked for is an alarm within 1 s
    lost_s: float = 2.0  # domain rules, section 4: no fresh reading for 2 s makes every input of the lane unknown
    bus: str = ""  # the bus its PLC hangs on: "bus:<name>" lost means this lane lost


class DoorRules(Rules, frozen=True, kw_only=True):
    id: str
    lock_kind: Literal["fail_safe", "fail_secure"]
    evacuation_way: bool
    unlock_s: float
    held_open_s: float
    forced_s: float = 0.3  # grace for a REX that comes just after the contact; the alarm must come within 2 s


class ReaderRules(Rules, frozen=True, kw_only=True):
    id: str
    door: str  # "" = none
    lane: str
    direction: Literal["in", "out", "presence"]


class CredentialRules(Rules, frozen=True, kw_only=True):
    card: str  # "<format>:<hex>"
    holder: str
    group: str
    doors: frozenset[str]
    lanes: frozenset[str]
    valid_from_ms: int  # UTC ms, inclusive; 0 = no limit
    valid_to_ms: int  # UTC ms, exclusive; 0 = no limit
    banned: bool = False  # acts on entry only


class KeyRules(Rules, frozen=True, kw_only=True):
    id: str
    use: Literal["panic_reset", "fire_key", "fire_reset"]


class BoxRules(Rules, frozen=True, kw_only=True):
    """Everything a step may consult and never changes."""

    site_box: str  # "<site>/<box>"
    lanes: tuple[LaneRules, ...]
    doors: tuple[DoorRules, ...]
    readers: tuple[ReaderRules, ...]
    buttons: tuple[str, ...]
    keys: tuple[KeyRules, ...]
    credentials: dict[str, CredentialRules]
    paths: tuple[str, ...]  # uplink paths, first choice first
    lamps: tuple[str, ...]  # fitted indicators
    has_fire: bool
    panic_raises_bollards: bool
    panic_audible: bool
    fire_lowers_service_lane: bool
    presence_s: float = 10.0  # "on site": a guard's card at a named reader within the last 10 s
    wrong_tries: int = 5  # GB 50396 5.1.5 (V): alarm at five wrong tries
    wrong_window_s: float = 300.0
    lockout_s: float = 60.0
    drill_max_s: float = 900.0  # domain rule 22: at most 15 minutes
    drill_second_press_s: float = 10.0
    drill_hold_s: float = 3.0
    clock_alarm_s: float = 86_400.0  # alarm when unsynced for more than 24 h
    mains_alarm_s: float = 60.0
    utc_offset_min: int = 480  # Asia/Shanghai, no daylight saving; from the site's time zone
