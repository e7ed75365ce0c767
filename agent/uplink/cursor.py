"""How far the far side has come, kept in the uplink's own small file: swapped whole and synced."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from agent.journal.files import replace_file
from agent.uplink.batch import Ref

FILE = "mqtt-cursor.json"
START: Ref = (0, 0)

log = logging.getLogger(__name__)


class _Kept(msgspec.Struct):
    epoch: int
    seq: int


def load_cursor(path: Path) -> Ref:
    """The last receipt kept; (0, 0) when there is none. A damaged file costs a resend, which the far side weeds out."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return START
    except (OSError, msgspec.DecodeError) as error:
        log.warning("cannot read %s (%s): sending the journal from its beginning", path, error)
        return START
    return (kept.epoch, kept.seq)


def save_cursor(path: Path, cursor: Ref) -> None:
    """Durable when it returns. Raises OSError; the receipt then only counts for as long as this process lives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, msgspec.json.encode(_Kept(*cursor)))
