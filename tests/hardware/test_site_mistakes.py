"""Every mistake that can be told is told: on its line, about its key, alone, in both languages."""

from __future__ import annotations

import json
import re
import string
from dataclasses import dataclass
from pathlib import Path

import pytest
from site_text_samples import GOOD, judge, line_of, spoil

from hardware import check
from hardware.mistakes import messages

TWO_BOLLARDS = '  [[lane.bollard]]\n  id = "main-2"\n  index = 1\n'
SENSORS = '  [lane.sensors]  # at the PLC\n  loop1 = "plc"\n'
RESET_KEY = '[[key]]\nid = "panic-reset"\nterminal = "gpio:24"\nuse = "panic_reset"\n'
FIRE_KEY = '[[key]]\nid = "fire-reset"\nterminal = "gpio:19"\nuse = "fire_reset"\n'
OFFICE = '[[panic_button]]\nid = "office"\nloop = "loops:0"\n'
GATEHOUSE = '[[panic_button]]\nid = "gatehouse"\nno = "gpio:17"\nnc = "gpio:27"\n'


@dataclass(frozen=True)
class Case:
    """Replace `old` by `new`: the one mistake is `code`, on the line that has `at`, about `key`, saying `says`."""

    code: str
    old: str
    new: str
    at: str
    key: str
    says: str = ""
    also: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        return spoil((self.old, self.new), *self.also)


KEY = '[[uplink.command_key]]\nid = "district"\nfile = "d.pub"\nvalid_from = "2026-01-01"\n\n[web]'
DC09 = '[[uplink.dc09]]\nhost = "arc.example"\nport = 9999\naccount = "1234"\nkey_file = "k"\n\n[web]'
REDIS = '[uplink.redis]\nhost = "redis.example"\nca_file = "r.pem"\n\n[web]'
GB28181 = (
    '[[uplink.gb28181]]\nhost = "police.example"\nplatform_id = "34020000002000000001"\n'
    'device_id = "34020000001170000001"\npassword_file = "p"\n\n[web]'
)

CASES = [
    # the pen
    Case("syntax_full_width", 'host = "10.0.0.5"', "host = “10.0.0.5”", "“10", "", "full-width"),
    Case("syntax_full_width", 'id = "wicket"\n', 'id ＝ "wicket"\n', "＝", ""),
    Case("syntax_twice", "baud = 9600", "baud = 9600\nbaud = 19200", "19200", "", "second time"),
    Case("syntax_twice", "[web]\n", '[tamper]\nterminal = "gpio:8"\n[web]\n', '[tamper]\nterminal = "gpio:8"', ""),
    Case("syntax_no_equals", 'contact = "gpio:20"', 'contact "gpio:20"', 'contact "gpio', "", "no ="),
    Case("syntax_quote", 'name = "东方小学"', 'name = "东方小学', "东方", "", "quote"),
    Case("syntax_unclosed", 'lanes = ["main"]', 'lanes = ["main"', "lanes =", "", "closed"),
    Case("syntax_unclosed", '  "wicket",\n', '  "wicket"\n  "side"\n', "doors = [\n", "", "comma"),
    Case("syntax_header", "[tamper]", "[tamper", "[tamper\n", "", "brackets"),
    Case("syntax_value", "evacuation_way = true", "evacuation_way = ja", "ja", "", "cannot be read"),
    Case("syntax_trailing", "baud = 9600", "baud = 9600 8N1", "8N1", "", "after the value"),
    Case("syntax_statement", "baud = 9600", "baud = 9600\n= 77", "= 77", "", "no line"),
    Case("syntax_other", "# A gate", "# A \x01 gate", "\x01", ""),
    Case("syntax_nested", 'name = "东方小学"', f"name = {'[' * 3000}", "name = [[", "", "brackets"),
    Case("syntax_other", "baud = 9600", f"baud = {'9' * 5000}", "baud = 999", ""),
    Case("header_brackets", "[[door]]", "[door]", "[door]", "", "[[door]]"),
    Case("header_brackets", "[tamper]", "[[tamper]]", "[[tamper]]", "", "[tamper]"),
    Case("header_brackets", TWO_BOLLARDS, TWO_BOLLARDS.replace("[[", "[").replace("]]", "]"), "  [lane.bollard]\n", ""),
    Case("file_cut_off", "panic_raises_bollards = true\n", "panic_raises_boll", "panic_raises_boll", "",
         "half written"),
    # shape
    Case("want_text", 'id = "wicket"\n', "id = 5\n", "id = 5", "door[1].id", "not text"),
    Case("want_bool", "evacuation_way = true", 'evacuation_way = "yes"', '"yes"', "door.wicket.evacuation_way", "true"),
    Case("want_whole", "baud = 9600", "baud = 9600.0", "9600.0", "bus.cabinet.baud", "whole number"),
    Case("want_whole", "unit = 3", 'unit = "3"', 'unit = "3"', "lane.main.unit"),
    Case("want_whole", "unit = 3", "unit = true", "unit = true", "lane.main.unit"),
    Case("want_number", "prewarn_s = 3", 'prewarn_s = "3 s"', "3 s", "lane.main.prewarn_s", "not a number"),
    Case("want_number", "prewarn_s = 3", "prewarn_s = inf", "inf", "lane.main.prewarn_s"),
    Case("want_number", "prewarn_s = 3", f"prewarn_s = {10**400}", "prewarn_s", "lane.main.prewarn_s"),
    Case("want_choice", 'gpio = "lgpio"', 'gpio = "xyz"', "xyz", "board.gpio", "lgpio"),
    Case("want_choice_near", 'group = "guard"', 'group = "gaurd"', "gaurd", "credential[1].group", 'mean "guard"'),
    Case("want_texts", 'lanes = ["main"]', 'lanes = "main"', "lanes =", "credential[1].lanes", "list"),
    Case("want_texts", 'lanes = ["main"]', "lanes = [1]", "lanes =", "credential[1].lanes", "list"),
    Case("want_table", '  [lane.sensors]  # at the PLC\n  loop1 = "plc"\n', '  sensors = "plc"\n', "sensors =",
         "lane.main.sensors", "[lane.sensors]"),
    Case("want_tables", RESET_KEY, "", "key = 3", "key", "[[key]]",
         also=((FIRE_KEY, ""), ("# A gate", "key = 3 # A gate"))),
    Case("date_bare", 'valid_to = "2026-12-31"', "valid_to = 2026-12-31", "valid_to", "credential[1].valid_to",
         "quotes"),
    Case("missing_key", 'lock = "gpio:16"\n', "", "[[door]]\n", "door.wicket.lock", "missing"),
    Case("missing_key", "  index = 1\n", "", '[[lane.bollard]]\n  id = "main-2"', "lane.main.bollard.main-2.index",
         "index = 1"),
    Case("missing_table", '[board]\nmodel = "pi-4b"\ngpio = "lgpio"\n', "", "# A gate", "board", "[board] is missing"),
    Case("missing_table", '  [[lane.bollard]]\n  id = "side-1"\n  index = 0\n', "", '[[lane]]\nid = "side"',
         "lane.side.bollard", "[[lane.bollard]]"),
    Case("unread_near", "prewarn_s", "prewarm_s", "prewarm", "lane.main.prewarm_s", "mean prewarn_s"),
    Case("unread_near", "[tamper]", "[tampering]", "[tampering]", "tampering", "tamper"),
    Case("unread_elsewhere", "  index = 1\n", "  index = 1\n  clear_s = 2\n", "clear_s",
         "lane.main.bollard.main-2.clear_s", "[[lane]]"),
    Case("unread", "baud = 9600", "baud = 9600\nxyzzy = 1", "xyzzy", "bus.cabinet.xyzzy", "take it out"),
    Case("unread", "# A gate", 'folder = "/" # A gate', "folder", "folder"),
    # names
    Case("id_not_plain", 'id = "school"', 'id = "School 1"', "School", "site.id", "lower-case"),
    Case("id_not_plain", 'id = "main-1"', f'id = "{"a" * 41}"', f'"{"a" * 41}"', f"lane.main.bollard.{'a' * 41}.id"),
    Case("id_twice", 'id = "main-2"', 'id = "main-1" #', 'main-1" #', "lane.main.bollard.main-1.id", "twice"),
    Case("id_twice", 'id = "side-1"', 'id = "main-1" #', 'main-1" #', "lane.side.bollard.main-1.id"),
    Case("id_twice", 'name = "loops"', 'name = "relays" #', 'relays" #', "analog_board.relays.name",
         also=((OFFICE, ""),)),
    Case("board_name_taken", 'name = "relays"', 'name = "plc" #', 'plc" #', "relay_board.plc.name", "cannot be called",
         also=(('siren = "relays:2"\n', ""),)),
    Case("profile_unknown", 'profile = "eol-4"', 'profile = "eol-5"', "eol-5", "analog_board.loops.profile", "eol-4"),
    Case("profile_unknown", 'model = "pi-4b"', 'model = "pi-4"', '"pi-4"', "board.model", "pi-4b"),
    Case("profile_unknown", 'profile = "reference-plc"', 'profile = "../sites/demo"', "../sites", "lane.main.profile"),
    Case("bus_unknown", 'bus = "plc"', 'bus = "plk"', "plk", "lane.main.bus", "plc, cabinet, came"),
    Case("door_unknown", 'door = "wicket"', 'door = "wikcet"', "wikcet", "reader.wicket-in.door", "wicket"),
    Case("door_unknown", '  "wicket",', '  "wikcet",', "wikcet", "credential[2].doors[1]", "wicket"),
    Case("lane_unknown", 'lanes = ["main"]', 'lanes = ["maine"]', "maine", "credential[1].lanes[1]", "main, side"),
    # pins and channels
    Case("terminal_bad", 'rex = "gpio:21"', 'rex = "GPIO21"', "GPIO21", "door.wicket.rex", "no terminal"),
    Case("terminal_empty", 'lock = "gpio:16"', 'lock = ""', 'lock = ""', "door.wicket.lock", "no terminal"),
    Case("terminal_empty", 'terminal = "gpio:24"', 'terminal = ""', 'terminal = ""', "key.panic-reset.terminal"),
    Case("terminal_empty", 'terminal = "gpio:18"', 'terminal = ""', 'terminal = ""', "tamper.terminal"),
    Case("terminal_unfit", 'rex = "gpio:21"', 'rex = "relays:3"', "relays:3", "door.wicket.rex", "cannot do this"),
    Case("terminal_unfit", 'lock = "gpio:16"', 'lock = "loops:1"', "loops:1", "door.wicket.lock", "relays:0"),
    Case("terminal_unfit", 'lock = "gpio:16"', 'lock = "plc"', 'lock = "plc"', "door.wicket.lock"),
    Case("terminal_twice", 'rex = "gpio:21"', 'rex = "gpio:17"', "rex =", "door.wicket.rex",
         "panic_button.gatehouse.no"),
    Case("terminal_twice", 'sent = "gpio:9"', 'sent = "relays:2"', "siren", "indicators.siren", "indicators.sent"),
    Case("board_unknown", 'siren = "relays:2"', 'siren = "relay:2"', "relay:2", "indicators.siren", "relays, loops"),
    Case("channel_out_of_range", 'siren = "relays:2"', 'siren = "relays:8"', "relays:8", "indicators.siren", "0 to 7"),
    Case("channel_out_of_range", 'loop = "loops:0"', 'loop = "loops:4"', "loops:4", "panic_button.office.loop",
         "0 to 3"),
    Case("pin_not_there", 'rex = "gpio:21"', 'rex = "gpio:28"', "gpio:28", "door.wicket.rex", "header"),
    Case("pin_is_id", 'rex = "gpio:21"', 'rex = "gpio:1"', '"gpio:1"', "door.wicket.rex", "28"),
    Case("pin_is_serial", 'rex = "gpio:21"', 'rex = "gpio:14"', "gpio:14", "door.wicket.rex", "/dev/serial0",
         also=(('device = "/dev/serial/by-path/cabinet"', 'device = "/dev/serial0"'),)),
    Case("pin_pulled_up", 'sent = "gpio:9"', 'sent = "gpio:2"', '"gpio:2"', "indicators.sent", "pull-up"),
    Case("lock_held_at_start", 'lock = "gpio:16"', 'lock = "gpio:7"', "gpio:7", "door.wicket.lock",
         "hold the door shut"),
    Case("lock_opens_at_start", 'lock = "gpio:16"\nlock_kind = "fail_safe"',
         'lock = "gpio:8"\nlock_kind = "fail_secure"',
         "gpio:8", "door.wicket.lock", "open at every start",
         also=(("evacuation_way = true", "evacuation_way = false"),)),
    # buses
    Case("bus_needs_device", 'device = "/dev/serial/by-path/came"\n', "", '[[bus]]\nname = "came"', "bus.came.device",
         "device"),
    Case("bus_needs_host", 'host = "10.0.0.5"\n', "", '[[bus]]\nname = "plc"', "bus.plc.host", "address"),
    Case("bus_foreign_key", 'host = "10.0.0.5"', 'host = "10.0.0.5"\nbaud = 19200', "19200", "bus.plc.baud", "tcp"),
    Case("bus_foreign_key", "baud = 9600", "baud = 9600\nport = 502", "port = 502", "bus.cabinet.port", "rtu"),
    Case("baud_unusual", "baud = 9600", "baud = 9601", "9601", "bus.cabinet.baud", "usual"),
    Case("baud_not_the_makers", "baud = 38400", "baud = 19200", "19200", "bus.came.baud", "baud = 38400"),
    Case("parity_not_the_makers", 'parity = "E"', 'parity = "N"', "parity", "bus.came.parity", 'parity = "E"'),
    Case("wire_twice", "by-path/reader-guard", "by-path/reader-in",
         'device = "/dev/serial/by-path/reader-in"\ndirection', "reader.guard.device", "reader.wicket-in"),
    Case("wire_twice", "by-path/reader-guard", "by-path/../by-path/cabinet", "../by", "reader.guard.device",
         "bus.cabinet"),
    Case("wire_twice", 'kind = "rtu"\ndevice = "/dev/serial/by-path/came"\nbaud = 38400\nparity = "E"',
         'kind = "tcp"\nhost = "10.0.0.5"\nport = 502', 'host = "10.0.0.5"\nport', "bus.came.host", "bus.plc"),
    Case("unit_out_of_range", "unit = 3", "unit = 0", "unit = 0", "lane.main.unit", "1 to 247"),
    Case("unit_out_of_range", "unit = 3", "unit = 248", "unit = 248", "lane.main.unit", "1 to 247"),
    Case("unit_twice", "unit = 2", "unit = 1 #", "unit = 1 #", "analog_board.loops.unit", "relay_board.relays"),
    Case("bus_too_slow", "baud = 9600", "baud = 1200", '[[bus]]\nname = "cabinet"', "bus.cabinet", "300 ms",
         also=(('bus = "plc"', 'bus = "cabinet"'),)),
    # lanes
    Case("lane_without_bollards", '  [[lane.bollard]]\n  id = "side-1"\n  index = 0\n', "  bollard = []\n",
         '[[lane]]\nid = "side"', "lane.side", "bollard"),
    Case("lane_without_sensors", SENSORS, "", '[[lane]]\nid = "main"', "lane.main", "blind"),
    Case("lane_without_sensors", '  loop1 = "plc"\n', '  pressure = "plc"\n', '[[lane]]\nid = "main"', "lane.main",
         "blind"),
    Case("sensor_lacking", "monitor_only = true", 'monitor_only = true\n  sensors.beam = "plc"', "beam",
         "lane.side.sensors.beam", "beam"),
    Case("light_lacking", "monitor_only = true", 'monitor_only = true\nlight_red = "plc"', "light_red",
         "lane.side.light_red", "lights"),
    Case("warning_lacking", "monitor_only = true", 'monitor_only = true\nbuzzer = "plc"', "buzzer",
         "lane.side.buzzer", "buzzer"),
    Case("warning_missing", "prewarn_s = 3", 'buzzer = ""', "buzzer", "lane.main.buzzer", "lamp and buzzer"),
    Case("lane_only_watched", "monitor_only = true", 'sensors.loop1 = "gpio:22"', '[[lane]]\nid = "side"',
         "lane.side.monitor_only", "heartbeat"),
    Case("bollard_index", "  index = 1\n", "  index = 8\n", "index = 8", "lane.main.bollard.main-2.index", "0 to 7"),
    Case("bollard_index", "  index = 1\n", "  index = -2\n", "index = -2", "lane.main.bollard.main-2.index", "0 to 7"),
    Case("bollard_index_twice", "  index = 1\n", "  index = 0 #\n", "index = 0 #", "lane.main.bollard.main-2.index",
         "main-1"),
    # doors, readers, cards
    Case("way_out_fail_secure", '"fail_safe"', '"fail_secure"', "fail_secure", "door.wicket.lock_kind", "fail_safe"),
    Case("way_out_blind", 'contact = "gpio:20"\nrex = "gpio:21"\n', "", "[[door]]", "door.wicket", "exit button"),
    Case("reader_nowhere", 'door = "wicket"\n', "", '[[reader]]\nid = "wicket-in"', "reader.wicket-in",
         "no door and no lane"),
    Case("reader_presence_placed", 'direction = "presence"', 'direction = "presence"\nlane = "main"', 'lane = "main"',
         "reader.guard.lane", "opens nothing"),
    Case("reader_twice_placed", 'door = "wicket"\n', 'door = "wicket"\nlane = "main"\n', 'lane = "main"',
         "reader.wicket-in.lane", "not both"),
    Case("reader_needs_device", 'device = "/dev/serial/by-path/reader-in"', 'device = ""', 'device = ""',
         "reader.wicket-in.device", "by-path"),
    Case("card_not_hex", "0100A1B2C3", "0100a1b2c3", "0100a1", "credential[1].card", "capitals"),
    Case("card_not_hex", "0100A1B2C3", "0100A1B2", "0100A1B2\"", "credential[1].card", "ten digits"),
    Case("card_twice", "0100A1B2C4", "0100A1B2C3", 'card = "0100A1B2C3"\nholder = "staff-1"', "credential[2].card",
         "guard-1"),
    Case("format_unknown", 'lanes = ["main"]', 'format = "wiegand-26"', "wiegand", "credential[1].format", "uart-125k"),
    Case("holder_not_pseudonym", '"staff-1"', '"张三"', "张三", "credential[2].holder", "pseudonym"),
    Case("date_bad", '"2026-12-31"', '"31.12.2026"', "31.12", "credential[1].valid_to", "2026-06-30"),
    Case("date_bad", '"2026-12-31"', '"2026-02-30"', "02-30", "credential[1].valid_to"),
    Case("date_bad", '"2026-09-01"', '"20260901"', "20260901", "decisions.signed_on"),
    Case("date_backwards", '"2026-12-31"', '"2025-12-31"', "2025", "credential[1].valid_to", "before"),
    # alarm
    Case("panic_missing", OFFICE, "", "# A gate", "panic_button", "no panic button", also=((GATEHOUSE, ""),)),
    Case("panic_unwired", 'no = "gpio:17"\nnc = "gpio:27"\n', "", '[[panic_button]]\nid = "gatehouse"',
         "panic_button.gatehouse", "wires"),
    Case("panic_wired_twice", 'nc = "gpio:27"', 'nc = "gpio:27"\nloop = "loops:1"', "loops:1",
         "panic_button.gatehouse.loop", "both"),
    Case("panic_single_pin", 'nc = "gpio:27"\n', "", 'no = "gpio:17"', "panic_button.gatehouse.no", "supervised"),
    Case("panic_single_pin", 'no = "gpio:17"\n', "", 'nc = "gpio:27"', "panic_button.gatehouse.nc", "no = "),
    Case("uplink_missing", '[uplink.mqtt]\nhost = "broker.example"\nca_file = "ca.pem"\n', "", "# A gate", "uplink",
         "hear"),
    Case("key_panic_reset_missing", RESET_KEY, "", "[[key]]\n", "key", "panic_reset"),
    Case("key_fire_reset_missing", FIRE_KEY, "", "[fire]", "fire", "fire_reset"),
    Case("key_fire_reset_missing", 'id = "fire-reset"\nterminal = "gpio:19"\nuse = "fire_reset"',
         'id = "fire"\nterminal = "gpio:19"\nuse = "fire_key"', '[[key]]\nid = "panic-reset"', "key", "fire_reset",
         also=(('[fire]\nterminal = "gpio:4"\n', ""),)),
    # settings
    Case("gpio_address_unread", 'gpio = "lgpio"', 'gpio_address = "127.0.0.1:8888"', "8888", "board.gpio_address",
         "lgpio"),
    Case("gpio_address_missing", 'gpio = "lgpio"', 'gpio = "pigpio"', "[board]", "board.gpio_address",
         "127.0.0.1:8888"),
    Case("gpio_address_remote", 'gpio = "lgpio"', 'gpio = "pigpio"\ngpio_address = "10.0.0.9:8888"', "10.0.0.9",
         "board.gpio_address", "every lock"),
    Case("address_bad", 'gpio = "lgpio"', 'gpio = "pigpio"\ngpio_address = "here"', "here", "board.gpio_address",
         "host:port"),
    Case("host_name_bad", '[web]', '[web]\nguard_names = ["校门.lan"]', "校门", "web.guard_names[1]", "small letters"),
    Case("address_bad", '"127.0.0.1:8080"', '"127.0.0.1:80800"', "80800", "web.listen[1]", "host:port"),
    Case("timezone_unknown", 'box = "gate-1"', 'box = "gate-1"\ntimezone = "Asia/Beijing"', "Beijing", "site.timezone",
         "Asia/Shanghai"),
    Case("timezone_unknown", 'box = "gate-1"', 'box = "gate-1"\ntimezone = "../etc"', "../etc", "site.timezone"),
    Case("run_dir_too_long", 'run_dir = "run"', f'run_dir = "/{"r" * 110}"', "/rrr", "storage.run_dir", "shorter"),
    Case("web_everywhere", '"127.0.0.1:8080"', '"0.0.0.0:8080"', "0.0.0.0", "web.listen[1]", "every network"),
    Case("web_everywhere", '"127.0.0.1:8080"', '"[::]:8080"', "[::]", "web.listen[1]", "every network"),
    Case("web_twice", '["127.0.0.1:8080"]', '[\n"127.0.0.1:8080",\n"127.0.0.1:8080"]', '"127.0.0.1:8080"]',
         "web.listen[2]", "twice"),
    Case("mqtt_needs_host", '"broker.example"', '""', 'host = ""', "uplink.mqtt.host", "empty"),
    Case("mqtt_in_the_clear", 'ca_file = "ca.pem"', "tls = false", "tls", "uplink.mqtt.tls", "unencrypted"),
    Case("mqtt_needs_ca", 'ca_file = "ca.pem"\n', "", "[uplink.mqtt]", "uplink.mqtt.ca_file", "ca_file"),
    Case("mqtt_half_pair", 'ca_file = "ca.pem"', 'ca_file = "ca.pem"\nkey_file = "k"', "key_file",
         "uplink.mqtt.key_file",
         "cert_file"),
    Case("mqtt_half_pair", 'ca_file = "ca.pem"', 'ca_file = "ca.pem"\npassword_file = "p"', "password",
         "uplink.mqtt.password_file", "username"),
    Case("redis_needs_host", "[web]", REDIS.replace("redis.example", ""), 'host = ""', "uplink.redis.host", "Redis"),
    Case("mqtt_in_the_clear", "[web]", REDIS.replace('ca_file = "r.pem"', "tls = false"), "tls", "uplink.redis.tls",
         "redis.example"),
    Case("mqtt_needs_ca", "[web]", REDIS.replace('ca_file = "r.pem"\n', ""), "[uplink.redis]", "uplink.redis.ca_file"),
    Case("mqtt_half_pair", "[web]", REDIS.replace("ca_file", 'cert_file = "c"\nca_file'), "cert_file",
         "uplink.redis.cert_file", "key_file"),
    Case("mqtt_half_pair", "[web]", REDIS.replace("ca_file", 'username = "box"\nca_file'), "username",
         "uplink.redis.username", "password_file"),
    Case("dc09_needs_host", "[web]", DC09.replace('"arc.example"', '""'), 'host = ""', "uplink.dc09[1].host", "empty"),
    Case("dc09_not_hex", "[web]", DC09.replace("1234", "12G4"), "12G4", "uplink.dc09[1].account", "hex"),
    Case("dc09_in_the_clear", "[web]", DC09.replace('key_file = "k"\n', ""), "[[uplink.dc09]]",
         "uplink.dc09[1].key_file", "unencrypted"),
    Case("id_twice", "[web]", DC09.replace("key_file", 'id = "mqtt"\nkey_file'), 'id = "mqtt"',
         "uplink.dc09.mqtt.id", "mqtt"),
    Case("mqtt_half_pair", "[web]", DC09.replace("key_file", "backup_port = 7\nkey_file"), "backup_port",
         "uplink.dc09[1].backup_port", "backup_host"),
    Case("command_key_needs_file", "[web]", KEY.replace('"d.pub"', '""'), 'file = ""',
         "uplink.command_key.district.file", "public key"),
    Case("date_bad", "[web]", KEY.replace("2026-01-01", "2026-13-01"), "2026-13-01",
         "uplink.command_key.district.valid_from", "2026-13-01"),
    Case("gb28181_needs_host", "[web]", GB28181.replace("police.example", ""), 'host = ""', "uplink.gb28181[1].host",
         "empty"),
    Case("gb28181_needs_password", "[web]", GB28181.replace('"p"', '""'), 'password_file = ""',
         "uplink.gb28181[1].password_file", "platform gave"),
    Case("gb28181_number", "[web]", GB28181.replace('"34020000002', '"3402000000２'), "3402000000２",
         "uplink.gb28181[1].platform_id", "20 digits"),
    Case("gb28181_number", "[web]", GB28181.replace("34020000001170000001", "340200000011700001"), "340200000011700001",
         "uplink.gb28181[1].device_id", "18 characters"),
    Case("gb28181_kind", "[web]", GB28181.replace("0000117", "0000200"), "34020000002000000001\"\npass",
         "uplink.gb28181[1].device_id", "111 to 199"),
    Case("gb28181_kind", "[web]", GB28181.replace("0000200", "0000117"), "platform_id",
         "uplink.gb28181[1].platform_id", "200 to 299"),
    Case("gb28181_domain", "[web]", GB28181.replace("\npass", '\ndomain = "police"\npass'), 'domain = "police"',
         "uplink.gb28181[1].domain", "10 digits"),
    Case("gb28181_user", "[web]", GB28181.replace("\npass", '\nuser = "a b"\npass'), 'user = "a b"',
         "uplink.gb28181[1].user", "cannot be"),
    Case("gb28181_inputs", "[web]", GB28181.replace("\npass", '\ninputs = ["34020000001340000001"]\npass'), "inputs =",
         "uplink.gb28181[1].inputs", "for 2 panic buttons"),
    Case("gb28181_kind", "[web]",
         GB28181.replace("\npass", '\ninputs = [\n"34020000001340000001",\n"34020000001310000001"]\npass'),
         "34020000001310000001", "uplink.gb28181[1].inputs[2]", "134 to 134"),
    Case("gb28181_twice", "[web]",
         GB28181.replace("\npass", '\ninputs = [\n"34020000001340000001",\n"34020000001340000001"]\npass'),
         '34020000001340000001"]', "uplink.gb28181[1].inputs[2]", "twice"),
    Case("id_twice", "[web]", GB28181.replace("\npass", '\nid = "mqtt"\npass'), 'id = "mqtt"',
         "uplink.gb28181.mqtt.id", "mqtt"),
    Case("decision_unsigned", 'signed_by = "head of security"\n', "", "[decisions]", "decisions.signed_by",
         "signed_by"),
    Case("decision_unsigned", 'signed_on = "2026-09-01"\n', "", "[decisions]", "decisions.signed_on", "signed_on"),
]  # fmt: skip

NUMBERS = [
    ("prewarn_s = 3", "prewarn_s = 0.9", "lane.main.prewarn_s"),
    ("prewarn_s = 3", "prewarn_s = 31", "lane.main.prewarn_s"),
    ("prewarn_s = 3", "clear_s = 0.5", "lane.main.clear_s"),
    ("prewarn_s = 3", "efo_clear_s = 0.9", "lane.main.efo_clear_s"),
    ("prewarn_s = 3", "rise_s = 0", "lane.main.rise_s"),
    ("prewarn_s = 3", "rise_s = 15.1", "lane.main.rise_s"),
    ("prewarn_s = 3", "lower_s = -1", "lane.main.lower_s"),
    ("prewarn_s = 3", "efo_s = 2.6", "lane.main.efo_s"),
    ('host = "10.0.0.5"', 'host = "10.0.0.5"\ntimeout_s = 0.01', "bus.plc.timeout_s"),
    ('host = "10.0.0.5"', 'host = "10.0.0.5"\ntimeout_s = 3', "bus.plc.timeout_s"),
    ('host = "10.0.0.5"', 'host = "10.0.0.5"\nport = 0', "bus.plc.port"),
    ('ca_file = "ca.pem"', 'ca_file = "ca.pem"\nport = 65536', "uplink.mqtt.port"),
    ("evacuation_way = true", "evacuation_way = true\nunlock_s = 0", "door.wicket.unlock_s"),
    ("evacuation_way = true", "evacuation_way = true\nheld_open_s = -5", "door.wicket.held_open_s"),
    ('run_dir = "run"', 'run_dir = "run"\njournal_days = 179', "storage.journal_days"),
    ('run_dir = "run"', 'run_dir = "run"\nballast_mb = 0', "storage.ballast_mb"),
]


def told(text: str) -> list[tuple[int, str, str]]:
    return [(mistake.line, mistake.key, mistake.code) for mistake in judge(text)[1]]


def test_the_good_file_is_good() -> None:
    site, mistakes = judge(GOOD)
    assert mistakes == []
    assert site is not None and site.folder == "/opt/gate"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.key}")
def test_a_mistake_is_told_alone_and_in_its_place(case: Case) -> None:
    assert told(case.text) == [(line_of(case.text, case.at), case.key, case.code)]
    (mistake,) = judge(case.text)[1]
    assert case.says in f"{mistake.wrong} → {mistake.right}"


@pytest.mark.parametrize(("old", "new", "key"), NUMBERS)
def test_a_number_out_of_bounds_is_told_with_its_source(old: str, new: str, key: str) -> None:
    text = spoil((old, new))
    (mistake,) = judge(text)[1]
    assert (mistake.line, mistake.key) == (line_of(text, new.rsplit("\n", maxsplit=1)[-1]), key)
    assert mistake.code in ("number_between", "number_above")
    assert "(" in mistake.right


def test_bounds_themselves_are_allowed() -> None:
    edge = "prewarn_s = 1\nrise_s = 15\nlower_s = 0.1\nefo_s = 2.5\nclear_s = 1\nefo_clear_s = 1"
    assert judge(spoil(("prewarn_s = 3", edge)))[1] == []


def test_two_usb_adapters_need_stable_names_and_one_does_not() -> None:
    one = spoil(("/dev/serial/by-path/cabinet", "/dev/ttyUSB0"))
    assert told(one) == []
    two = spoil(("/dev/serial/by-path/came", "/dev/ttyUSB1"), text=one)
    assert told(two) == [
        (line_of(two, "ttyUSB0"), "bus.cabinet.device", "usb_name_unstable"),
        (line_of(two, "ttyUSB1"), "bus.came.device", "usb_name_unstable"),
    ]


FILES = ("file_missing", "file_is_folder", "file_strange", "file_forbidden", "file_unreadable", "file_too_big",
         "file_utf16", "file_not_utf8", "file_zeros", "file_empty")  # fmt: skip


def test_every_message_has_a_case() -> None:
    cased = {case.code for case in CASES} | {"number_between", "number_above"} | set(FILES) | {"usb_name_unstable"}
    assert cased == set(messages())


def test_both_languages_fill_in_the_same_words() -> None:
    for code, languages in messages().items():
        assert set(languages) == {"en", "zh_CN"}, code
        words = {
            language: {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}
            for language, texts in languages.items()
        }
        assert words["en"] == words["zh_CN"], code
        assert all(
            re.search(r"[\u4e00-\u9fff]", text) or "=" in text or text.startswith('"') for text in languages["zh_CN"]
        )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.key}")
def test_every_mistake_is_told_in_chinese_too(case: Case) -> None:
    (mistake,) = judge(case.text)[1]
    wrong, right = mistake.told("zh_CN")
    assert re.search(r"[\u4e00-\u9fff]", wrong) and right


TWELVE = spoil(
    ('id = "school"', 'id = "School"'),
    ('name = "东方小学"', "name = “东方小学”"),
    ('model = "pi-4b"', 'model = "pi-9"'),
    ('gpio = "lgpio"', 'gpio = "lgpoi"'),
    ("baud = 9600", "baud = 9600 8N1"),
    ("[[door]]", "[door]"),
    ("prewarn_s = 3", "prewarn_s = 0.2"),
    ("unit = 2", "unit = 1 #"),
    ('rex = "gpio:21"', 'rexx = "gpio:21"'),
    ('lock_kind = "fail_safe"\n', ""),
    ('nc = "gpio:27"', 'nc = "gpio:20"'),
    ('lanes = ["main"]', 'lanes = ["main"'),
    ('group = "staff"', 'group = 5'),
    ('host = "broker.example"', 'host = "broker.example"\ntls = "no"'),
)  # fmt: skip


def test_a_file_with_many_different_mistakes_tells_them_all_and_no_others() -> None:
    assert told(TWELVE) == sorted(
        [
            (line_of(TWELVE, '"School"'), "site.id", "id_not_plain"),
            (line_of(TWELVE, "“东方"), "", "syntax_full_width"),
            (line_of(TWELVE, '"pi-9"'), "board.model", "profile_unknown"),
            (line_of(TWELVE, "lgpoi"), "board.gpio", "want_choice_near"),
            (line_of(TWELVE, "8N1"), "", "syntax_trailing"),
            (line_of(TWELVE, "[door]\n"), "", "header_brackets"),
            (line_of(TWELVE, "= 0.2"), "lane.main.prewarn_s", "number_between"),
            (line_of(TWELVE, "unit = 1 #"), "analog_board.loops.unit", "unit_twice"),
            (line_of(TWELVE, "rexx"), "door.wicket.rexx", "unread_near"),
            (line_of(TWELVE, "[door]\n"), "door.wicket.lock_kind", "missing_key"),
            (line_of(TWELVE, 'contact = "gpio:20"'), "door.wicket.contact", "terminal_twice"),
            (line_of(TWELVE, 'lanes = ["main"\n'), "", "syntax_unclosed"),
            (line_of(TWELVE, "group = 5"), "credential[2].group", "want_choice"),
            (line_of(TWELVE, '"no"'), "uplink.mqtt.tls", "want_bool"),
        ]
    )


def test_the_text_lists_every_mistake_with_its_line() -> None:
    path = Path("gatebox.toml")
    rows = check.render(judge(TWELVE)[1], path).split("\n")
    assert rows[-1] == "14 mistakes: nothing was started"
    assert any(
        re.match(r"gatebox\.toml:\d+ +lane\.main\.prewarn_s +0\.2 is out of bounds +→ 1 to 30", row) for row in rows
    )
    assert check.render([], path, "zh_CN") == "gatebox.toml：没有错误"


def test_the_json_lists_the_same() -> None:
    told_json = json.loads(check.to_json(judge(TWELVE)[1], Path("gatebox.toml"), "zh_CN"))
    assert told_json["ok"] is False and told_json["file"] == "gatebox.toml"
    assert [row["line"] for row in told_json["mistakes"]] == [line for line, _, _ in told(TWELVE)]
    assert set(told_json["mistakes"][0]) == {"line", "key", "code", "wrong", "right"}
