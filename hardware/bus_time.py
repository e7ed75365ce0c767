"""How long things take on a serial Modbus bus. Pure arithmetic: characters, silences, and one full round of polls."""

from __future__ import annotations

from hardware import profiles
from hardware.site import Bus, Lane, Site

SILENCE_CHARS = 3.5  # Modbus over serial line 1.02, 2.5.1.1 (V): between two frames
SILENCE_FIXED_S = 0.00175  # the same: fixed above 19 200 baud
FIXED_ABOVE_BAUD = 19200
TURNAROUND_S = 0.005  # D: a device's own time before it answers
PROBE_SILENT_S = 0.040  # domain rules, section 4: what a dead unit's probe may cost beyond its frame, silence included
FRESH_S = 0.300  # domain rule 1: a sensor reading older than this is no reading

_READ_ASKED = 8  # address, function, start, count, check sum
_READ_ANSWERED = 5  # address, function, byte count, check sum; the data comes on top
_WRITE_ASKED = _WRITE_ANSWERED = 8


def char_s(bus: Bus) -> float:
    """One character on the wire: start bit, eight data bits, parity if any, stop bits."""
    bits = 9 + (bus.parity != "N") + bus.stop_bits
    return bits / bus.baud


def silence_s(bus: Bus) -> float:
    """The silence that ends a frame."""
    return SILENCE_FIXED_S if bus.baud > FIXED_ABOVE_BAUD else SILENCE_CHARS * char_s(bus)


def exchange_s(bus: Bus, asked: int, answered: int) -> float:
    """One question of `asked` bytes and its answer, with both silences and the device's own time."""
    return (asked + answered) * char_s(bus) + 2 * silence_s(bus) + TURNAROUND_S


def read_s(bus: Bus, data_bytes: int) -> float:
    """One read that brings so many bytes of data."""
    return exchange_s(bus, _READ_ASKED, _READ_ANSWERED + data_bytes)


def write_s(bus: Bus) -> float:
    """One write of a coil or register."""
    return exchange_s(bus, _WRITE_ASKED, _WRITE_ANSWERED)


def probe_s(bus: Bus) -> float:
    """One question to a unit that stays silent."""
    return _READ_ASKED * char_s(bus) + PROBE_SILENT_S


def lane_poll_s(bus: Bus, lane: Lane, profile: profiles.BollardProfile) -> float:
    """One full reading of a lane: the reference map in one read, a state-code controller in one read."""
    if profile.registers:
        count = profile.registers.bollard.register + len(lane.bollard)
    else:
        assert profile.states is not None, "a profile has registers or states"
        count = profile.states.temperature - profile.states.state + 1
    return read_s(bus, 2 * count)


def oldest_reading_s(site: Site, bus: Bus) -> float:
    """The age a sensor reading can reach on this bus before the next one has come, at its worst.

    Its own poll twice (age counts from the question), every other unit's poll, a heartbeat to each lane, one urgent
    write, and a probe of one dead unit. Profiles must be known.
    """
    lanes = [(lane, profiles.bollard(lane.profile)) for lane in site.lane if lane.bus == bus.name]
    polls = [lane_poll_s(bus, lane, profile) for lane, profile in lanes]
    relays = [profiles.relay(board.profile).channels for board in site.relay_board if board.bus == bus.name]
    loops = [profiles.analog(board.profile).channels for board in site.analog_board if board.bus == bus.name]
    others = sum(read_s(bus, (channels + 7) // 8) for channels in relays) + sum(read_s(bus, 2 * n) for n in loops)
    beats = sum(write_s(bus) for _lane, profile in lanes if "heartbeat" not in profile.lacks)
    return sum(polls) + max(polls, default=0.0) + others + beats + write_s(bus) + probe_s(bus)
