"""`menwei account`: who may log in at the guard console, from the box's own shell."""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from agent.locale import DEFAULT, LANGUAGES
from agent.site_file import DEFAULT_SITE, load_site
from agent.web.console import certificate
from agent.web.console.accounts import CODE_HOURS, Accounts, BadAccount, Role
from agent.web.console.words import WHY
from agent.web.words import Words
from hardware.places import web_dir

OK, WRONG, MISUSE = 0, 1, 2


def run(arguments: Sequence[str]) -> int:
    """One of code, list, passwd, remove, fingerprint. 0 done, 1 not, 2 misuse."""
    told = _parser().parse_args(arguments)
    site = load_site(told.config)
    if site is None:
        return MISUSE
    if not site.web.guard_listen:
        print("menwei: this site has no guard console: see guard_listen in [web]", file=sys.stderr)
        return MISUSE
    accounts = Accounts(web_dir(site))
    try:
        match told.verb:
            case "code":
                return _code(accounts, Role(told.role), told.lang)
            case "list":
                return _list(accounts)
            case "fingerprint":
                return _fingerprint(web_dir(site))
            case "passwd":
                accounts.change_password(_handle(accounts, told.login), getpass.getpass())
            case _:
                accounts.remove(_handle(accounts, told.login))
    except BadAccount as bad:
        print(f"menwei: {Words(told.lang, site).of(WHY, str(bad.args[0]))}", file=sys.stderr)
        return WRONG
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="menwei account", description="who may log in at the guard console")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    code = verbs.add_parser("code", help="a one-time code for a new account; shown once")
    code.add_argument("--role", choices=[role.value for role in Role], default=Role.HEAD.value)
    verbs.add_parser("list", help="the accounts there are")
    verbs.add_parser("passwd", help="a new password for an account").add_argument("login")
    verbs.add_parser("remove", help="an account that is not needed any more").add_argument("login")
    verbs.add_parser("fingerprint", help="of the box's certificate, to compare on a tablet")
    # Before the verb or, as with every other command, behind it.
    _add_common(parser, DEFAULT_SITE, DEFAULT)
    for verb in verbs.choices.values():
        _add_common(verb, argparse.SUPPRESS, argparse.SUPPRESS)
    return parser


def _add_common(parser: argparse.ArgumentParser, config: Path | str, language: str) -> None:
    parser.add_argument("--config", type=Path, default=config, metavar="FILE", help="the site file")
    parser.add_argument("--lang", choices=LANGUAGES, default=language)


_CODE = {
    "en": "One-time code for an account ({role}), good for {hours} hours: {code}\nUse it at /guard/first",
    "zh_CN": "一次性注册码（{role}），{hours} 小时内有效：{code}\n在 /guard/first 页面使用",
}


def _code(accounts: Accounts, role: Role, language: str) -> int:
    code = accounts.make_code(role, time.time_ns() // 1_000_000)
    print(_CODE[language].format(role=role.value, hours=CODE_HOURS, code=code))
    return OK


def _list(accounts: Accounts) -> int:
    for account in accounts.all():
        print(f"{account.login:24} {account.role.value:12} {account.handle}")
    return OK


def _fingerprint(folder: Path) -> int:
    told = certificate.fingerprint(folder)
    if not told:
        print("menwei: there is no certificate yet: `menwei web` makes it at its first start", file=sys.stderr)
        return WRONG
    print(told)
    return OK


def _handle(accounts: Accounts, login: str) -> str:
    found = next((account.handle for account in accounts.all() if account.login == login), None)
    if found is None:
        raise BadAccount("unknown_account")
    return found
