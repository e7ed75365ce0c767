"""Settings of the box itself: pin factory, clock, addresses, what the site has signed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hardware import places
from hardware.checks.look import Check, Look
from hardware.checks.people import day
from hardware.mistakes import Finding, found
from hardware.site import Mqtt, Redis
from hardware.terminals import Path

SOCKET_PATH_MAX = 107  # bytes, Linux unix(7): sun_path holds 108 with its end mark (V)
_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]*|\*)):(\d{1,5})", re.ASCII)
# GB/T 28181-2016, annex D (S): digits 11 to 13 of a number say what it is.
_DEVICES, _INPUTS, _SERVERS = range(111, 200), range(134, 135), range(200, 300)
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_EVERYWHERE = ("", "*", "0.0.0.0", "::")


def address(text: str) -> tuple[str, int] | None:
    """(host, port) of "host:port" or "[v6]:port"; None when it is none."""
    parts = _ADDRESS.fullmatch(text)
    if not parts or not 1 <= int(parts[3]) <= 65535:
        return None
    return parts[1] or parts[2] or "", int(parts[3])


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name."""
    return host == "localhost" or host == "::1" or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def pin_factory_is_complete(look: Look) -> Iterator[Finding]:
    board = look.site.board
    path = ("board", "gpio_address")
    if not look.sound("board", "gpio"):
        return
    if board.gpio == "lgpio" and board.gpio_address:
        yield found(path, "gpio_address_unread")
    elif board.gpio == "pigpio" and not board.gpio_address:
        yield found(path, "gpio_address_missing")


def pins_are_this_machines(look: Look) -> Iterator[Finding]:
    """Whoever reaches the pin daemon opens every lock: it is never across a network."""
    text = look.site.board.gpio_address
    if not text:
        return
    where = address(text)
    if where is None:
        yield found(("board", "gpio_address"), "address_bad", text=text, example="127.0.0.1:8888")
    elif not is_loopback(where[0]):
        yield found(("board", "gpio_address"), "gpio_address_remote", text=text)


def time_zone_is_known(look: Look) -> Iterator[Finding]:
    name = look.site.site.timezone
    if name != "Asia/Shanghai" and not _is_zone(name):  # the default is known; zoneinfo costs start time
        yield found(("site", "timezone"), "timezone_unknown", name=name)


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; odd names raise the others
        return False
    return True


def socket_path_fits(look: Look) -> Iterator[Finding]:
    length = len(bytes(places.control_socket(look.site)))
    if length > SOCKET_PATH_MAX:
        yield found(("storage", "run_dir"), "run_dir_too_long", length=length, longest=SOCKET_PATH_MAX)


def web_addresses_are_named(look: Look) -> Iterator[Finding]:
    seen: set[str] = set()
    web = look.site.web
    for key, texts, example in (
        ("listen", web.listen, "127.0.0.1:8080"),
        ("guard_listen", web.guard_listen, "192.168.8.2:8443"),
    ):
        for i, text in enumerate(texts):
            where = address(text)
            path = ("web", key, i)
            if where is None:
                yield found(path, "address_bad", text=text, example=example)
            elif where[0] in _EVERYWHERE:
                yield found(path, "web_everywhere", text=text, port=where[1])
            elif text in seen:
                yield found(path, "web_twice", text=text)
            seen.add(text)


def guard_names_are_host_names(look: Look) -> Iterator[Finding]:
    for i, name in enumerate(look.site.web.guard_names):
        if not _HOST_NAME.fullmatch(name):
            yield found(("web", "guard_names", i), "host_name_bad", text=name)


def stores_are_private(look: Look) -> Iterator[Finding]:
    """The broker and Redis: TLS with a named authority, except to this very machine."""
    for name, way in _stores(look):
        if not look.sound("uplink", name, "tls"):
            continue
        if not way.host:
            yield found(("uplink", name, "host"), f"{name}_needs_host")
        elif not way.tls and not is_loopback(way.host):
            yield found(("uplink", name, "tls"), "mqtt_in_the_clear", host=way.host)
        if way.tls and not way.ca_file:
            yield found(("uplink", name, "ca_file"), "mqtt_needs_ca")


def store_pairs_are_whole(look: Look) -> Iterator[Finding]:
    for name, way in _stores(look):
        if not look.sound("uplink", name):
            continue
        if bool(way.cert_file) != bool(way.key_file):
            absent, there = ("key_file", "cert_file") if way.cert_file else ("cert_file", "key_file")
            yield found(("uplink", name, there), "mqtt_half_pair", there=there, absent=absent)
        if isinstance(way, Redis):  # a password alone is Redis's own default user
            if way.username and not way.password_file:
                yield _half_log_in(name, "username", "password_file")
        elif way.password_file and not way.username:
            yield _half_log_in(name, "password_file", "username")


def _half_log_in(name: str, there: str, absent: str) -> Finding:
    return found(("uplink", name, there), "mqtt_half_pair", there=there, absent=absent)


def _stores(look: Look) -> Iterator[tuple[str, Mqtt | Redis]]:
    """The ways up that keep the whole journal, by the name of their table."""
    uplink = look.site.uplink
    if uplink.mqtt is not None:
        yield "mqtt", uplink.mqtt
    if uplink.redis is not None:
        yield "redis", uplink.redis


def dc09_fields_are_whole(look: Look) -> Iterator[Finding]:
    """Numbers of an alarm receiving centre as DC-09 writes them, and an address to reach it."""
    for i, way in enumerate(look.site.uplink.dc09):
        path = ("uplink", "dc09", i)
        if not look.sound(*path):
            continue
        if not way.host:
            yield found((*path, "host"), "dc09_needs_host")
        for key, least, most in (("account", 3, 16), ("receiver", 0, 6), ("line", 1, 6)):
            text = getattr(way, key)
            if not re.fullmatch(rf"[0-9A-Fa-f]{{{least},{most}}}", text, re.ASCII):
                yield found((*path, key), "dc09_not_hex", text=text, least=least, most=most)
        if way.backup_port and not way.backup_host:
            yield found((*path, "backup_port"), "mqtt_half_pair", there="backup_port", absent="backup_host")


def command_keys_are_files(look: Look) -> Iterator[Finding]:
    for i, key in enumerate(look.site.uplink.command_key):
        if not key.file:
            yield found(("uplink", "command_key", i, "file"), "command_key_needs_file")


def dc09_is_private(look: Look) -> Iterator[Finding]:
    """An alarm in the clear can be read and forged on the way; only to this very machine it may be."""
    for i, way in enumerate(look.site.uplink.dc09):
        hosts = [host for host in (way.host, way.backup_host) if host]
        if not way.key_file and look.sound("uplink", "dc09", i) and not all(map(is_loopback, hosts)):
            yield found(("uplink", "dc09", i, "key_file"), "dc09_in_the_clear", host=way.host)


def gb28181_fields_are_whole(look: Look) -> Iterator[Finding]:
    """Numbers as GB/T 28181, annex D has them, and an address to reach the platform."""
    for i, way in enumerate(look.site.uplink.gb28181):
        path = ("uplink", "gb28181", i)
        if not look.sound(*path):
            continue
        if not way.host:
            yield found((*path, "host"), "gb28181_needs_host")
        if not way.password_file:
            yield found((*path, "password_file"), "gb28181_needs_password")
        yield from _gb28181_number((*path, "platform_id"), way.platform_id, _SERVERS)
        yield from _gb28181_number((*path, "device_id"), way.device_id, _DEVICES)
        if way.domain and not re.fullmatch(r"\d{8}|\d{10}", way.domain, re.ASCII):
            yield found((*path, "domain"), "gb28181_domain", text=way.domain)
        if not re.fullmatch(r"[A-Za-z0-9._-]{0,64}", way.user, re.ASCII):
            yield found((*path, "user"), "gb28181_user", text=way.user)


def gb28181_inputs_are_the_buttons(look: Look) -> Iterator[Finding]:
    """One number for each panic button, or none at all; no number twice."""
    for i, way in enumerate(look.site.uplink.gb28181):
        path = ("uplink", "gb28181", i, "inputs")
        if not way.inputs or not look.sound("uplink", "gb28181", i) or not look.sound("panic_button"):
            continue
        if len(way.inputs) != len(look.site.panic_button):
            yield found(path, "gb28181_inputs", given=len(way.inputs), buttons=len(look.site.panic_button))
        for k, number in enumerate(way.inputs):
            yield from _gb28181_number((*path, k), number, _INPUTS)
            if number in way.inputs[:k]:
                yield found((*path, k), "gb28181_twice", text=number)


def _gb28181_number(path: Path, text: str, kinds: range) -> Iterator[Finding]:
    if not re.fullmatch(r"\d{20}", text, re.ASCII):
        yield found(path, "gb28181_number", text=text, length=len(text))
    elif int(text[10:13]) not in kinds:
        yield found(path, "gb28181_kind", kind=text[10:13], least=kinds[0], most=kinds[-1])


def raising_is_signed(look: Look) -> Iterator[Finding]:
    """Domain rules, section 5: that a panic raises the bollards is the site's own decision, with name and day."""
    decisions = look.site.decisions
    if decisions.panic_raises_bollards and look.sound("decisions"):
        for key in ("signed_by", "signed_on"):
            if not getattr(decisions, key):
                yield found(("decisions", key), "decision_unsigned", key=key)


def signing_day_is_a_date(look: Look) -> Iterator[Finding]:
    text = look.site.decisions.signed_on
    if text and not day(text):
        yield found(("decisions", "signed_on"), "date_bad", text=text)


CHECKS: tuple[Check, ...] = (
    pin_factory_is_complete,
    pins_are_this_machines,
    time_zone_is_known,
    socket_path_fits,
    web_addresses_are_named,
    stores_are_private,
    store_pairs_are_whole,
    guard_names_are_host_names,
    dc09_fields_are_whole,
    dc09_is_private,
    command_keys_are_files,
    gb28181_fields_are_whole,
    gb28181_inputs_are_the_buttons,
    raising_is_signed,
    signing_day_is_a_date,
)
