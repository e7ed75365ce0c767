"""The computer's own health, from the kernel: temperature and, on a Raspberry Pi, under-voltage."""

from __future__ import annotations

from pathlib import Path

from agent.picture import Machine

TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")  # thousandths of a degree Celsius
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")  # hexadecimal, the firmware's flags
UNDER_VOLTAGE = 1 << 16  # since the last start; Raspberry Pi documentation, vcgencmd get_throttled (V)


def look(temperature: Path = TEMPERATURE, throttled: Path = THROTTLED) -> Machine:
    """Measure. What this computer does not tell stays None."""
    degrees = _number(temperature, 10)
    flags = _number(throttled, 16)
    return Machine(
        temperature_c=None if degrees is None else round(degrees / 1000),
        under_voltage=None if flags is None else bool(flags & UNDER_VOLTAGE),
    )


def _number(path: Path, base: int) -> int | None:
    try:
        return int(path.read_text().strip(), base)
    except (OSError, ValueError):
        return None
