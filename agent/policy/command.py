"""`menwei policy make | apply | diff | show | key`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.core.policy import Contradiction, Policy
from agent.policy.names import MOST_KEY_BYTES
from agent.policy.words import IN_FORCE, MADE, MORE, REMARK, SHOWN, SUMMARY, told
from hardware import plain_file

if TYPE_CHECKING:
    from agent.policy.bundle import Bundle

OK, WRONG, MISUSE = 0, 1, 2
LAST_VERSION = 99_999_999_999_999  # D: a date and time in digits; a slip of the pen would shut out all that follow
OFFICE_KEY, NAMES_KEY = "office.key", "names.key"


def run(words: Sequence[str]) -> int:
    """One verb; returns its exit code."""
    arguments = _parser().parse_args(list(words))
    code: int = arguments.run(arguments)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="menwei policy", description="the school's calendar, people and passes")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    make = verbs.add_parser("make", help="one signed bundle from the office's files")
    make.add_argument("folder", type=Path)
    make.add_argument(
        "--out", type=Path, metavar="FILE", help="default: menwei-<site>-<version>.bundle beside the folder"
    )
    make.add_argument("--key", type=Path, metavar="F", help=f"the office's key; default: {OFFICE_KEY} in the folder")
    make.add_argument("--names-key", type=Path, metavar="F", help=f"default: {NAMES_KEY} in the folder")
    make.add_argument("--version", type=int, metavar="N", help="default: the seconds since 1970, so it always grows")
    make.add_argument("--site", type=Path, metavar="FILE", help="also check against this box's site file")
    make.add_argument("--json", action="store_true")
    make.add_argument("--lang", choices=("en", "zh_CN"), default="en")
    make.set_defaults(run=_make)
    apply = verbs.add_parser("apply", help="put a bundle in force on this box")
    apply.add_argument("file", type=Path, nargs="?")
    apply.add_argument("--stick", type=Path, metavar="DIR", help="the newest menwei-*.bundle at the top of a USB stick")
    apply.add_argument("--config", type=Path, metavar="FILE")
    apply.add_argument("--lang", choices=("en", "zh_CN"), default="en")
    apply.set_defaults(run=_apply)
    diff = verbs.add_parser("diff", help="what changes for whom, in words")
    diff.add_argument("old", type=Path)
    diff.add_argument("new", type=Path)
    diff.add_argument("--lang", choices=("en", "zh_CN"), default="en")
    diff.add_argument("--json", action="store_true")
    diff.set_defaults(run=_diff)
    show = verbs.add_parser("show", help="what a bundle or folder holds")
    show.add_argument("file", type=Path)
    show.add_argument("--lang", choices=("en", "zh_CN"), default="en")
    show.set_defaults(run=_show)
    key = verbs.add_parser("key", help="make a key: for signing, or with --names for the name table")
    key.add_argument("file", type=Path)
    key.add_argument("--names", action="store_true")
    key.set_defaults(run=_key)
    return parser


# ── making ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def from_folder(
    folder: Path, version: int, made_at_ms: int
) -> tuple[Policy | None, dict[str, Any], list[Contradiction]]:
    """The policy of an office's folder, its wire form, and everything that is wrong with it."""
    from agent.core.policy_parse import parse
    from agent.policy.sources import Folder

    reader = Folder(folder)
    wire = reader.wire(version, made_at_ms)
    policy, found = parse(wire, reader.lost())
    told_already = {(_file(one), one.what) for one in reader.found}  # what is no date here is none there either
    more = [one for one in found if (_file(one), one.what) not in told_already]
    return (policy if not reader.found else None), wire, [*reader.found, *more]


def _file(one: Contradiction) -> str:
    return one.source.partition(":")[0]


def _make(arguments: argparse.Namespace) -> int:
    from agent.policy.bundle import pack
    from agent.policy.remarks import remarks

    if not arguments.folder.is_dir():
        return _misuse(f"{arguments.folder} is no folder")
    if arguments.version is not None and not 0 <= arguments.version <= LAST_VERSION:
        return _misuse(f"a version is a number from 0 to {LAST_VERSION}; a box never goes back to a lower one")
    made_at_ms = time.time_ns() // 1_000_000
    version = arguments.version if arguments.version is not None else made_at_ms // 1000
    policy, wire, found = from_folder(arguments.folder, version, made_at_ms)
    names, more = _names(arguments.folder)
    found += more
    if policy is not None and arguments.site is not None:
        found += _against(policy, arguments.site)
    if found or policy is None:
        return _tell(found, arguments.lang, as_json=arguments.json)
    key = _signing_key(arguments.key or arguments.folder / OFFICE_KEY)
    if key is None:
        return MISUSE
    try:
        sealed = _sealed(names, arguments)
    except ValueError as error:
        return _misuse(str(error))
    site = policy.site_box.partition("/")[0]
    out = arguments.out or arguments.folder.resolve().parent / f"menwei-{site}-{version}.bundle"
    out.write_bytes(pack(wire, sealed, key))
    if arguments.json:
        made = {"ok": True, "file": str(out), "version": version, "cards": len(policy.credentials)}
        noticed = _listed(told(one, arguments.lang) for one in remarks(policy))
        print(json.dumps(made | {"remarks": noticed}, ensure_ascii=False))
    else:
        _remark(policy, arguments.lang)
        print(MADE[arguments.lang].format(out, version, len(policy.credentials), len(policy.plans)))
    return OK


def _remark(policy: Policy, language: str) -> None:
    """What is probably not meant, on the error output; it stops nothing."""
    from agent.policy.remarks import remarks

    found = remarks(policy)
    for one in (told(one, language) for one in found[:MOST_TOLD]):
        print(f"{one.source}: {REMARK[language]}{one.what}\n    → {one.cure}", file=sys.stderr)
    if len(found) > MOST_TOLD:
        print(MORE[language].format(len(found) - MOST_TOLD), file=sys.stderr)


def _listed(found: Iterable[Contradiction]) -> list[dict[str, str]]:
    return [{"source": one.source, "what": one.what, "cure": one.cure} for one in found]


def _against(policy: Policy, site_file: Path) -> list[Contradiction]:
    from agent.core.policy_parse import against_site
    from agent.site_file import load_site
    from agent.site_rules import rules_of

    site = load_site(site_file)
    return [Contradiction(str(site_file), "has mistakes", "see menwei check")] if site is None else against_site(
        policy, rules_of(site)
    )  # fmt: skip


def _signing_key(path: Path) -> Any:
    from agent.journal.keys import BadKey, load_private

    try:
        return load_private(plain_file.read(path, MOST_KEY_BYTES))
    except OSError as error:
        _misuse(f"the signing key {path}: {error.strerror}; make one with: menwei policy key {path}")
    except BadKey as error:
        _misuse(f"{path}: {error}")
    return None


def _names(folder: Path) -> tuple[dict[str, str], list[Contradiction]]:
    from agent.policy.sources import Folder

    reader = Folder(folder)
    return reader.names(), reader.found


def _sealed(names: dict[str, str], arguments: argparse.Namespace) -> bytes:
    """The name table encrypted, empty where there are no names. Raises ValueError with what is wrong with the key."""
    from agent.policy.names import BadNames, load_key, seal

    if not names:
        return b""
    path = arguments.names_key or arguments.folder / NAMES_KEY
    try:
        return seal(names, load_key(path))
    except BadNames as error:
        raise ValueError(f"{error}; make one with: menwei policy key --names {path}") from None


def _key(arguments: argparse.Namespace) -> int:
    from agent.journal.files import replace_file
    from agent.journal.keys import BoxKey
    from agent.policy.names import new_key

    path: Path = arguments.file
    if path.exists():
        return _misuse(f"{path} is there already; a key is never written over")
    if arguments.names:
        new_key(path)
        print(f"{path}: the name key. Copy it to the box and name it in [policy] names_key.")
        return OK
    key = BoxKey.generate()
    public = path.with_suffix(".pub")
    replace_file(path, key.private_pem(), 0o600)
    replace_file(public, key.public_pem(), 0o644)
    print(f"{path}: the office's key, keep it. {public}: copy it to the box and name it in [policy] keys.")
    return OK


# ── looking ────────────────────────────────────────────────────────────────────────────────────────────────────────


def load(path: Path) -> tuple[Policy | None, list[Contradiction]]:
    """The policy of a folder, or of a bundle whoever signed it: for looking only."""
    if path.is_dir():
        policy, _, found = from_folder(path, 0, 0)
        return policy, found
    from agent.core.policy_parse import parse
    from agent.policy.bundle import MOST_BYTES, BadBundle

    try:
        policy, found = parse(unsigned(plain_file.read(path, MOST_BYTES)).wire())
    except BadBundle as error:
        return None, [Contradiction(str(path), error.found.what, error.found.cure)]
    except OSError as error:
        cure = "check the file and its rights"
        return None, [Contradiction(str(path), f"cannot be read: {error.strerror}", cure)]
    return policy, found


def unsigned(data: bytes) -> Bundle:
    """A bundle's contents, its hashes checked, its signature not. Raises BadBundle."""
    from agent.policy import bundle

    return bundle.unpack(data, None)


def _diff(arguments: argparse.Namespace) -> int:
    from agent.policy.diff import diff

    old, found = load(arguments.old)
    new, more = load(arguments.new)
    if old is None or new is None:
        return _tell([*found, *more], arguments.lang, as_json=arguments.json)
    lines = diff(old, new, arguments.lang)
    print(json.dumps({"changes": lines}, ensure_ascii=False) if arguments.json else "\n".join(lines))
    return OK


def _show(arguments: argparse.Namespace) -> int:
    policy, found = load(arguments.file)
    if policy is None:
        return _tell(found, arguments.lang, as_json=False)
    _remark(policy, arguments.lang)
    print(_shown(policy, arguments.lang))
    return OK


def _shown(policy: Policy, language: str) -> str:
    """What is in it, in a few lines."""
    from agent.preview.words import Words

    calendar, groups = policy.calendar, Counter(one.group for one in policy.credentials.values())
    named = Words(language)
    return SHOWN[language].format(
        version=policy.version,
        box=policy.site_box,
        first=calendar.first,
        last=calendar.last,
        special=len(calendar.special),
        plans=", ".join(policy.plans),
        cards=", ".join(f"{named.people(group)} {count}" for group, count in sorted(groups.items())),
        slips=len(policy.slips),
        pickups=len(policy.pickups),
        passes=len(policy.passes),
    )


# ── applying ───────────────────────────────────────────────────────────────────────────────────────────────────────


MOST_ON_STICK = 64  # D: a stick with more of them is somebody's trick


def newest_on(stick: Path) -> Path | None:
    """The newest bundle at the top of a stick, by the version it claims; links are not followed.

    Where none can be read, one of them all the same: the box refuses it, and says so in the journal.
    """
    from agent.policy.bundle import MOST_BYTES, BadBundle

    best: tuple[int, Path] | None = None
    for path in islice(sorted(stick.glob("menwei-*.bundle")), MOST_ON_STICK):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_BYTES:
            continue
        try:
            version = unsigned(plain_file.read(path, MOST_BYTES)).manifest.version
        except OSError:
            continue
        except BadBundle:
            version = -1
        if best is None or version > best[0]:
            best = (version, path)
    return best[1] if best is not None else None


def _apply(arguments: argparse.Namespace) -> int:
    from agent.site_file import DEFAULT_SITE, load_site

    file = arguments.file or (newest_on(arguments.stick) if arguments.stick else None)
    if file is None:
        return _misuse(
            f"there is no bundle on {arguments.stick}" if arguments.stick else "name a bundle, or --stick DIR"
        )
    site = load_site(arguments.config or DEFAULT_SITE)
    if site is None:
        return MISUSE
    from agent.link import ControlAway
    from agent.policy.bundle import MOST_BYTES
    from agent.policy.upload import upload
    from hardware.places import control_socket

    try:
        source = "usb" if arguments.stick else "command"
        data = plain_file.read(file, MOST_BYTES)
        answer = asyncio.run(upload(control_socket(site), data, "command line", source))
    except ControlAway as error:
        print(f"menwei: {error}", file=sys.stderr)
        return WRONG
    if answer.get("ok") is True:
        print(IN_FORCE[arguments.lang].format(answer.get("version")))
        return OK
    found = [Contradiction(**one) for one in answer.get("found", [])]
    found = found or [Contradiction("box", str(answer.get("why", "refused")), "see the journal")]
    return _tell(found, arguments.lang, as_json=False)


MOST_TOLD = 200  # D: a list longer than this is read by nobody


def _tell(found: Sequence[Contradiction], language: str, *, as_json: bool) -> int:
    """Everything that is wrong, one by one; what was in force stays."""
    found = [told(one, language) for one in found]
    if as_json:
        print(json.dumps({"ok": False, "found": _listed(found)}, ensure_ascii=False))
        return MISUSE
    for one in found[:MOST_TOLD]:
        print(f"{one.source}: {one.what}\n    → {one.cure}", file=sys.stderr)
    if len(found) > MOST_TOLD:
        print(MORE[language].format(len(found) - MOST_TOLD), file=sys.stderr)
    print(SUMMARY[language][len(found) != 1].format(len(found)), file=sys.stderr)
    return MISUSE


def _misuse(text: str) -> int:
    print(f"menwei: {text}", file=sys.stderr)
    return MISUSE
