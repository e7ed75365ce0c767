"""Who is logged in, and who has tried too often. Kept in memory: a restart of the web role logs everybody out."""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from dataclasses import dataclass, field

from agent.web.console.accounts import Account, Role
from agent.web.console.kept import NOTHING, Kept, digest

COOKIE = "__Host-menwei"
IDLE_S = {Role.GUARD: 13 * 3600.0}  # D: a watch of twelve hours at an open screen, and its hand-over
IDLE_OTHERS_S = 1800.0  # D
LONGEST_S = 16 * 3600.0  # D
MOST_SESSIONS = 32  # D: the oldest goes
WRONG_WITHIN_S = 900.0  # D
MOST_WRONG, MOST_WRONG_PEER, MOST_WRONG_LOGIN = 5, 15, 60  # D: of one login from one place; of one place; of one login
MOST_KEPT = 2000


@dataclass
class Session:
    """One browser that is logged in. `turn` grows with every request that asked for something."""

    account: Account
    csrf: str
    peer: str
    made_at: float
    seen_at: float
    turn: int = 0
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    flash: tuple[str, str] = ("", "")  # ("ok" | "bad", text); shown once
    kept: Kept = NOTHING  # the form that was refused last; shown once

    def ident(self, verb: str, subject: str) -> str:
        """The id of a command of this page: the same for a finger that taps twice, another after each answer."""
        return hashlib.blake2s(f"{self.key} {self.turn} {verb} {subject}".encode(), digest_size=12).hexdigest()

    def take_flash(self) -> tuple[str, str]:
        told, self.flash = self.flash, ("", "")
        return told

    def take_kept(self) -> Kept:
        kept, self.kept = self.kept, NOTHING
        return kept


class Sessions:
    """By token; only a token's digest is kept, so that a look at memory or a log gives nobody away."""

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}

    def begin(self, account: Account, peer: str, now: float) -> tuple[str, Session]:
        """A new session under a new token, whatever cookie came with the log-in."""
        if len(self._open) >= MOST_SESSIONS:
            del self._open[min(self._open, key=lambda name: self._open[name].seen_at)]
        token = secrets.token_urlsafe(32)
        session = Session(account=account, csrf=secrets.token_urlsafe(24), peer=peer, made_at=now, seen_at=now)
        self._open[digest(token)] = session
        return token, session

    def find(self, token: str, now: float, *, touch: bool = True) -> Session | None:
        """The session of a token, unless its time is over. `touch` False: an open page alone keeps nobody logged in."""
        session = self._open.get(digest(token)) if token else None
        if session is None:
            return None
        idle_s = IDLE_S.get(session.account.role, IDLE_OTHERS_S)
        if now - session.seen_at > idle_s or now - session.made_at > LONGEST_S:
            del self._open[digest(token)]
            return None
        if touch:
            session.seen_at = now
        return session

    def end(self, token: str) -> None:
        self._open.pop(digest(token), None)

    def end_of(self, handle: str) -> None:
        """End all sessions of an account: it was removed, or its password changed."""
        self._open = {name: one for name, one in self._open.items() if one.account.handle != handle}

    def all(self) -> tuple[Session, ...]:
        return tuple(self._open.values())

    def __len__(self) -> int:
        return len(self._open)


class Tries:
    """Wrong passwords. A foreign machine that guesses must not lock the gatehouse's own tablet out: what counts first
    is the login from one place; a login from a place it was used at before is spared the count over all places."""

    def __init__(self) -> None:
        self._wrong: deque[tuple[float, str, str]] = deque(maxlen=MOST_KEPT)
        self._known: set[tuple[str, str]] = set()

    def locked(self, login: str, peer: str, now: float) -> bool:
        recent = [(who, where) for at, who, where in self._wrong if now - at < WRONG_WITHIN_S]
        own = sum(1 for one in recent if one == (login, peer))
        here = sum(1 for _, where in recent if where == peer)
        everywhere = sum(1 for who, _ in recent if who == login)
        stranger = (login, peer) not in self._known
        return own >= MOST_WRONG or here >= MOST_WRONG_PEER or (stranger and everywhere >= MOST_WRONG_LOGIN)

    def wrong(self, login: str, peer: str, now: float) -> bool:
        """Count one; True when this one locks."""
        before = self.locked(login, peer, now)
        self._wrong.append((now, login, peer))
        return not before and self.locked(login, peer, now)

    def right(self, login: str, peer: str) -> None:
        """A log-in: what was counted against it from there is over."""
        self._known.add((login, peer))
        self._wrong = deque((one for one in self._wrong if one[1:] != (login, peer)), maxlen=MOST_KEPT)
