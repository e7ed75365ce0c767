"""Who may speak over the local socket besides root and control's own user: the unit names them."""

from __future__ import annotations

import logging
import pwd

USERS_VARIABLE = "MENWEI_SOCKET_USERS"

log = logging.getLogger("menwei.control")


def allowed_uids(names: str) -> frozenset[int]:
    """The user ids of `names`, which stand apart by spaces. A user this machine does not have is told and left out."""
    found = set()
    for name in names.split():
        try:
            found.add(pwd.getpwnam(name).pw_uid)
        except KeyError:
            log.warning("%s names %s, but this machine has no such user", USERS_VARIABLE, name)
    return frozenset(found)
