"""The demo's log-in at the guard console: a password drawn anew at every start, for nobody ships one."""

from __future__ import annotations

import secrets
import time

from agent.web.console.accounts import Accounts, Role
from hardware.places import web_dir
from hardware.site import Site

LOGIN = "gate"


def renew_account(site: Site) -> str:
    """Give the demo's head of security a new password and return it; "" for a site without a console."""
    if not site.web.guard_listen:
        return ""
    accounts = Accounts(web_dir(site))
    password = "-".join(secrets.token_hex(2) for _ in range(3))
    known = next((account for account in accounts.all() if account.login == LOGIN), None)
    if known is None:
        accounts.add(LOGIN, password, Role.HEAD, time.time_ns() // 1_000_000)
    else:
        accounts.change_password(known.handle, password)
    return password
