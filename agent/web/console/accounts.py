"""Who may log in at the guard console: accounts, their roles, and the one-time codes that make them.

There is no default password. The first account, and every later one, is made with a code that a person reads off the
box's own terminal (`menwei account code`) or that a head of security makes on the console. Passwords are kept as
argon2id hashes; the journal knows an account by its random handle, never by the name it logs in with.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from agent.journal.files import replace_file
from agent.register import handles

if TYPE_CHECKING:
    from argon2 import PasswordHasher

FILE = "accounts.json"
LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}")
LEAST_PASSWORD, MOST_PASSWORD = 10, 128  # D: length is what counts; nothing is asked of the characters
CODE_HOURS = 24  # D
CODE_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # none that is taken for another
CODE_LENGTH = 10  # 30^10: 49 bits, within a day and with lock-out
MOST_ACCOUNTS = 64  # D
# OWASP password storage cheat sheet (V): argon2id, 19 MiB, 2 passes, 1 lane; what a Pi Zero 2 W can spare.
MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
# Verified for a login that nobody has, so that the answer takes as long. Of a password that was thrown away.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$r+l2XJM1PDZfmN2eoy2Z4g$9+L8HBDrEhd+wcTK+pZxg5O1TPUmPXXFrjiQu4+b7GQ"


class Role(Enum):
    """Ordered by nothing: what each may do is told in `agent.web.console.asks`."""

    GUARD = "guard"
    MAINTENANCE = "maintenance"
    HEAD = "head"
    INSTALLER = "installer"


class BadAccount(Exception):
    """What was asked of the accounts cannot be done; `args[0]` is a short id with words in the console's tables."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    handle: str  # the actor in the journal
    login: str
    role: Role
    hash: str
    made_ms: int


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time code that was given out: only its digest is kept."""

    digest: str
    role: Role
    until_ms: int


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    accounts: tuple[Account, ...] = ()
    codes: tuple[Code, ...] = ()


class Accounts:
    """The accounts file. Read anew at every use: the command line writes it beside a running console."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def all(self) -> tuple[Account, ...]:
        return self._read().accounts

    def by_handle(self, handle: str) -> Account | None:
        return next((account for account in self.all() if account.handle == handle), None)

    def make_code(self, role: Role, now_ms: int) -> str:
        """A new one-time code for an account of this role; it is shown once and kept nowhere."""
        plain = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
        kept = self._read()
        code = Code(digest=_digest(plain), role=role, until_ms=now_ms + CODE_HOURS * 3_600_000)
        valid = tuple(one for one in kept.codes if one.until_ms > now_ms)
        self._write(replace(kept, codes=(*valid, code)[-16:]))
        return f"{plain[:5]}-{plain[5:]}"

    def redeem(self, typed: str, login: str, password: str, now_ms: int) -> Account:
        """Make an account with a code, which is spent by it. Raises BadAccount; the code is then still good."""
        kept = self._read()
        digest = _digest(re.sub(r"[\s-]", "", typed).upper())
        code = next((one for one in kept.codes if secrets.compare_digest(one.digest, digest)), None)
        if code is None or code.until_ms <= now_ms:
            raise BadAccount("code")
        account = self._new(kept, login, password, code.role, now_ms)
        rest = tuple(one for one in kept.codes if one is not code)
        self._write(Kept(accounts=(*kept.accounts, account), codes=rest))
        return account

    def add(self, login: str, password: str, role: Role, now_ms: int) -> Account:
        """Make an account without a code, for whoever has the box's own shell. Raises BadAccount."""
        kept = self._read()
        account = self._new(kept, login, password, role, now_ms)
        self._write(replace(kept, accounts=(*kept.accounts, account)))
        return account

    def change_password(self, handle: str, password: str) -> None:
        """Raises BadAccount."""
        kept = self._read()
        _check_password(password, "")
        if all(account.handle != handle for account in kept.accounts):
            raise BadAccount("unknown_account")
        changed = tuple(
            replace(account, hash=_hasher().hash(password)) if account.handle == handle else account
            for account in kept.accounts
        )
        self._write(replace(kept, accounts=changed))

    def removable(self, handle: str) -> Account:
        """Raises BadAccount. The last head of security stays: nobody could let anybody in again."""
        return _removable(self._read(), handle)

    def remove(self, handle: str) -> Account:
        """Raises BadAccount, as `removable`."""
        kept = self._read()
        gone = _removable(kept, handle)
        self._write(replace(kept, accounts=tuple(one for one in kept.accounts if one is not gone)))
        return gone

    def check(self, login: str, password: str) -> Account | None:
        """The account, when the password is its own. Takes as long for a login that nobody has."""
        from argon2.exceptions import InvalidHashError, VerificationError

        account = next((one for one in self.all() if one.login == login.strip().lower()), None)
        try:
            _hasher().verify(account.hash if account else _NOBODY, password[:MOST_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
        return account

    def _new(self, kept: Kept, login: str, password: str, role: Role, now_ms: int) -> Account:
        login = login.strip().lower()
        if not LOGIN.fullmatch(login):
            raise BadAccount("login")
        if any(account.login == login for account in kept.accounts):
            raise BadAccount("login_taken")
        if len(kept.accounts) >= MOST_ACCOUNTS:
            raise BadAccount("too_many_accounts")
        _check_password(password, login)
        return Account(handle=handles.new("u"), login=login, role=role, hash=_hasher().hash(password), made_ms=now_ms)

    def _read(self) -> Kept:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept()
        except msgspec.MsgspecError as error:
            raise OSError(f"{self.path} is damaged: {error}; put it aside and make the first account anew") from None

    def _write(self, kept: Kept) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        folder = self.path.parent.stat()
        for_web = os.geteuid() == 0 and folder.st_uid != 0  # the shell's root writes for the web role
        owner = (folder.st_uid, folder.st_gid) if for_web else None
        replace_file(self.path, msgspec.json.encode(kept), 0o600, owner)


def _removable(kept: Kept, handle: str) -> Account:
    gone = next((account for account in kept.accounts if account.handle == handle), None)
    if gone is None:
        raise BadAccount("unknown_account")
    if [account for account in kept.accounts if account.role is Role.HEAD] == [gone]:
        raise BadAccount("last_head")
    return gone


def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


def _check_password(password: str, login: str) -> None:
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise BadAccount("password_length")
    if len(set(password)) < 4 or (login and login in password.lower()):
        raise BadAccount("password_weak")


def _digest(code: str) -> str:
    return hashlib.sha256(b"menwei account code 1 " + code.encode()).hexdigest()
