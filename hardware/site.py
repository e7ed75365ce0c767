"""The site file, as models: what one `gatebox.toml` says about one gate box.

A `Site` is plain frozen data. `hardware.loader` makes one from TOML and reports every mistake with its line;
nothing else constructs a `Site` from outside input, so whoever holds one may trust its shape.

Terminals are written as text where a wire ends: ``gpio:17`` (BCM number), ``relays:3`` (channel 3, counted from 0,
of the relay board named ``relays``), ``loops:0`` (channel 0 of the analogue board named ``loops``) and, for what the
bollard PLC itself drives or reads, ``plc``.

Units: names end in ``_s`` (seconds). Every default cites its source in the field's comment:
V maker's manual or text of the standard, S secondary source, D our own design value.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every table of the site file. An unread key is an error, never ignored."""


class SiteIds(Model, frozen=True, kw_only=True):
    """``[site]``: who this box is. Ids are lower-case letters, digits and hyphens; they go into MQTT topics."""

    id: str
    box: str
    name: str = ""
    timezone: str = "Asia/Shanghai"


class Board(Model, frozen=True, kw_only=True):
    """``[board]``: the computer. ``gpio`` names the pin factory and is never fallen back from."""

    model: str  # a file of hardware/boards, e.g. "pi-zero-2w"
    gpio: Literal["lgpio", "pigpio"] = "lgpio"
    gpio_address: str = ""  # "127.0.0.1:8888", only with gpio = "pigpio"; a non-loopback address is a mistake


class Storage(Model, frozen=True, kw_only=True):
    """``[storage]``: where state lives. Relative paths are relative to the site file's folder."""

    dir: str = "/var/lib/menwei"
    run_dir: str = "/run/menwei"  # control's Unix socket `control.sock` lives here
    journal_days: int = 190  # DB11/T 2552-2026 (S): access records 180 d; Cybersecurity Law: 6 months
    ballast_mb: int = 32  # D: file released when the disk is full, so that emergencies still find room


class Clock(Model, frozen=True, kw_only=True):
    """``[clock]``: who keeps the wall clock. ``kernel``: trusted while the kernel says a time service disciplines it.

    ``host``: a machine around this one keeps it and the kernel cannot say so (a virtual machine, a container).
    """

    sync: Literal["kernel", "host"] = "kernel"


class Bus(Model, frozen=True, kw_only=True):
    """``[[bus]]``: one Modbus bus with one owner. TCP: ``host``, ``port``. RTU: ``device``, ``baud``, ``parity``."""

    name: str
    kind: Literal["tcp", "rtu"]
    host: str = ""
    port: int = 502
    device: str = ""
    baud: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    timeout_s: float = 0.2  # D: one dead unit must not cost more than its frame time plus this


class RelayBoard(Model, frozen=True, kw_only=True):
    """``[[relay_board]]``: a Modbus relay board; its channels are terminals ``<name>:<channel>``."""

    name: str
    bus: str
    unit: int
    profile: str  # a file of hardware/relays


class AnalogBoard(Model, frozen=True, kw_only=True):
    """``[[analog_board]]``: a Modbus analogue input board that reads end-of-line resistor loops."""

    name: str
    bus: str
    unit: int
    profile: str  # a file of hardware/analog


class Sensors(Model, frozen=True, kw_only=True):
    """``[lane.sensors]``: terminal of each vehicle or person sensor: ``plc`` or ``gpio:N``; empty = not fitted.

    A GPIO sensor is wired normally closed: an open contact means occupied, so that a cut wire is never "clear".
    """

    loop1: str = ""
    loop2: str = ""
    beam: str = ""
    pressure: str = ""


class Bollard(Model, frozen=True, kw_only=True):
    """``[[lane.bollard]]``: one bollard, the ``index``-th register block of the lane's PLC."""

    id: str
    index: int
    name: str = ""
    commissioned: bool = False  # interlock recorded as tested; else it is never moved
    power_loss: Literal["stays", "lowers", "rises"] = "stays"  # a note for people: nothing is decided by it


class Lane(Model, frozen=True, kw_only=True):
    """``[[lane]]``: one vehicle way with its bollards, sensors, light, buzzer and guard keys; one PLC unit."""

    id: str
    name: str = ""
    bus: str
    unit: int
    profile: str  # a file of hardware/bollards
    bollard: tuple[Bollard, ...]
    sensors: Sensors = Sensors()
    monitor_only: bool = False  # a lane whose PLC lacks what the invariants need may be watched, never moved
    light_red: str = "plc"
    light_green: str = "plc"
    buzzer: str = "plc"  # lamp and buzzer of the pre-warning
    warning_lamp: str = "plc"
    raise_key: str = ""  # terminal of the guard's hold-to-run raise button at the box
    lower_key: str = ""  # terminal of the guard's lower button at the box
    rise_s: float = 4.0  # nominal; 3-15 s per UFGS 34 71 13 / 02840 (V)
    lower_s: float = 3.0  # D
    efo_s: float = 1.5  # nominal EFO rise; <= 2.5 s (V)
    prewarn_s: float = 3.0  # >= 1 s light and buzzer, Gibidi DPT260 manual (V); 3 s D
    clear_s: float = 3.0  # loop clear before a routine raise (D); the standard asks >= 1 s
    efo_clear_s: float = 1.0  # loop suppression until 1 s after clear, UFGS 02840 (V)
    kind: Literal["entry", "exit", "both", "service"] = "both"


class Door(Model, frozen=True, kw_only=True):
    """``[[door]]``: one door or wicket. The lock output energised means: fail-safe locked, fail-secure unlocked."""

    id: str
    name: str = ""
    lock: str  # terminal
    lock_kind: Literal["fail_safe", "fail_secure"]
    contact: str = ""  # terminal; a closed contact means a closed door, an open circuit is never "closed"
    rex: str = ""  # terminal of the request-to-exit button inside
    evacuation_way: bool
    unlock_s: float = 5.0  # D
    held_open_s: float = 30.0  # D, GB 50396 asks for an alarm


class Reader(Model, frozen=True, kw_only=True):
    """``[[reader]]``: a serial card reader at a door or lane, or the guard's own reader in the gatehouse."""

    id: str
    name: str = ""
    profile: str  # a file of hardware/readers
    device: str
    door: str = ""
    lane: str = ""
    direction: Literal["in", "out", "presence"]  # presence: proves that a guard is on site, opens nothing


class PanicButton(Model, frozen=True, kw_only=True):
    """``[[panic_button]]``: an NO + NC pair on two pins, or an end-of-line loop on an analogue input.

    ``supervised = true`` on a single pin is a mistake: one pin cannot tell a cut line from a normal one.
    """

    id: str
    name: str = ""
    no: str = ""
    nc: str = ""
    loop: str = ""
    supervised: bool = True


class Key(Model, frozen=True, kw_only=True):
    """``[[key]]``: a key switch at the box. Its use is fixed by ``use``."""

    id: str
    name: str = ""
    terminal: str
    use: Literal["panic_reset", "fire_key", "fire_reset"]


class FireInput(Model, frozen=True, kw_only=True):
    """``[fire]``: the contact from the fire panel. ``active = "open"`` so that a cut wire is fire, never silence."""

    terminal: str
    active: Literal["open", "closed"] = "open"


class Contact(Model, frozen=True, kw_only=True):
    """``[tamper]``, ``[mains]``, ``[battery]``: one supervised contact; ``ok`` names its healthy state."""

    terminal: str
    ok: Literal["closed", "open"] = "closed"


class Indicators(Model, frozen=True, kw_only=True):
    """``[indicators]``: the guard's lamps for an alarm's stages, and the siren. Empty = not fitted."""

    sent: str = ""
    received: str = ""
    coming: str = ""
    fault: str = ""
    siren: str = ""


class Credential(Model, frozen=True, kw_only=True):
    """``[[credential]]``: a card known to the box itself. `card` is the reader's ten hex digits."""

    card: str
    holder: str  # a pseudonym, never a name
    group: Literal["pupil", "staff", "guard", "guardian", "visitor", "contractor", "vehicle", "bus", "responder"]
    doors: tuple[str, ...] = ()
    lanes: tuple[str, ...] = ()
    valid_from: str = ""  # ISO date in the site's time zone, inclusive; empty = no limit
    valid_to: str = ""
    format: str = "uart-125k"


class PolicyKeys(Model, frozen=True, kw_only=True):
    """``[policy]``: whose signed policy bundles this box takes. Without a key it takes none."""

    keys: tuple[str, ...] = ()  # files of Ed25519 public keys
    names_key: str = ""  # the file of the name table's key; empty: the guard console shows pseudonyms


class Mqtt(Model, frozen=True, kw_only=True):
    """``[uplink.mqtt]``: the district's broker."""

    host: str
    port: int = 8883
    tls: bool = True
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    username: str = ""
    password_file: str = ""
    priority: int = 1  # paths of one priority get an alarm together; the next ones when nobody confirms it


class Dc09(Model, frozen=True, kw_only=True):
    """``[[uplink.dc09]]``: an alarm receiving centre that speaks SIA DC-09 over TCP. `id` names the path."""

    id: str = "dc09"
    host: str
    port: int
    account: str  # 3 to 16 hex digits, given by the centre
    receiver: str = ""  # 1 to 6 hex digits; empty = "R0"
    line: str = "0"  # 1 to 6 hex digits
    key_file: str = ""  # AES key, 32, 48 or 64 hex digits; empty = in the clear
    protocol: Literal["SIA-DCS", "ADM-CID"] = "ADM-CID"
    priority: int = 2
    backup_host: str = ""
    backup_port: int = 0  # 0 = as `port`
    supervise_s: float = 30.0  # D: a link test so often; with two receivers a loss is seen within 90 s


class Redis(Model, frozen=True, kw_only=True):
    """``[uplink.redis]``: the district's Redis, where records and alarms are kept as streams."""

    host: str
    port: int = 6379
    tls: bool = True
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    username: str = ""
    password_file: str = ""
    durable: bool = False  # the site vouches that an answer means "on disk" where the server does not tell its settings
    priority: int = 1


class CommandKey(Model, frozen=True, kw_only=True):
    """``[[uplink.command_key]]``: a key with which the district signs commands; two while one replaces the other."""

    id: str
    file: str  # an Ed25519 public key
    valid_from: str = ""  # ISO date in the site's time zone, inclusive; empty = no limit
    valid_to: str = ""


class Gb28181(Model, frozen=True, kw_only=True):
    """``[[uplink.gb28181]]``: an alarm or video platform that speaks GB/T 28181. `id` names the path."""

    id: str = "gb28181"
    host: str
    port: int = 5060
    platform_id: str  # 20 digits, given by the platform: a server (digits 11 to 13: 200 to 299)
    device_id: str  # 20 digits, given by the platform: a device (digits 11 to 13: 111 to 199)
    domain: str = ""  # empty: the first ten digits of platform_id
    user: str = ""  # empty: device_id
    password_file: str
    transport: Literal["udp", "tcp"] = "udp"
    keepalive_s: float = 25.0  # D: three misses are seen within 90 s; where it is longer, OPTIONS go between
    expires_s: int = 86400  # GB/T 28181-2016 9.1 (S)
    charset: Literal["GB2312", "GB18030", "UTF-8"] = "GB2312"
    inputs: tuple[str, ...] = ()  # the panic buttons' own numbers at the platform, in the order of this file
    priority: int = 2


class Uplinks(Model, frozen=True, kw_only=True):
    """``[uplink]``: which ways up this site has. At least one is needed for a panic to be heard."""

    mqtt: Mqtt | None = None
    dc09: tuple[Dc09, ...] = ()
    redis: Redis | None = None
    command_key: tuple[CommandKey, ...] = ()  # without one no command from afar is carried out
    gb28181: tuple[Gb28181, ...] = ()


class Web(Model, frozen=True, kw_only=True):
    """``[web]``: addresses the status page binds to, loopback by default, and those of the guard console (HTTPS)."""

    listen: tuple[str, ...] = ("127.0.0.1:8080",)
    guard_listen: tuple[str, ...] = ()  # empty: there is no guard console
    guard_names: tuple[str, ...] = ()  # further host names a tablet calls this box by, for its certificate


class Reports(Model, frozen=True, kw_only=True):
    """``[reports]``: the monthly report. ``template`` is the school's own form, a file; "" = the form of the house."""

    template: str = ""


class Decisions(Model, frozen=True, kw_only=True):
    """``[decisions]``: what the site has signed (domain rules, section 5). Defaults are the cautious answer.

    `peak_bollards` and `pictures_days` are notes for people: the policy's windows decide the first, and this build
    keeps no pictures of events.
    """

    signed_by: str = ""
    signed_on: str = ""
    panic_raises_bollards: bool = False
    panic_audible: bool = False
    peak_bollards: Literal["up", "down"] = "up"
    fire_lowers_service_lane: bool = True
    pictures_days: Literal[30, 90] = 30


class Site(Model, frozen=True, kw_only=True):
    """The whole site file, cross-checked. ``folder`` is where relative paths start (the file's own folder)."""

    site: SiteIds
    board: Board
    storage: Storage = Storage()
    clock: Clock = Clock()
    bus: tuple[Bus, ...] = ()
    relay_board: tuple[RelayBoard, ...] = ()
    analog_board: tuple[AnalogBoard, ...] = ()
    lane: tuple[Lane, ...] = ()
    door: tuple[Door, ...] = ()
    reader: tuple[Reader, ...] = ()
    panic_button: tuple[PanicButton, ...] = ()
    key: tuple[Key, ...] = ()
    fire: FireInput | None = None
    tamper: Contact | None = None
    mains: Contact | None = None
    battery: Contact | None = None
    indicators: Indicators = Indicators()
    credential: tuple[Credential, ...] = ()
    policy: PolicyKeys = PolicyKeys()
    uplink: Uplinks = Uplinks()
    web: Web = Web()
    reports: Reports = Reports()
    decisions: Decisions = Decisions()
    folder: str = "."
