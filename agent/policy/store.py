"""The policy in force on this box: one file swapped whole, the one before it kept, the version never going back.

`current.bundle` and `previous.bundle` in `<storage>/policy`. A swap copies the present one aside and then puts the new
one in its place, each durable before the next step: whenever the power goes, one of the two is whole.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agent.core.policy import Contradiction, Policy
from agent.core.policy_parse import against_site, parse
from agent.core.rules import BoxRules
from agent.journal.files import replace_file
from agent.journal.keys import BadKey, load_public
from agent.policy.bundle import BadBundle, Bundle, unpack
from agent.policy.names import MOST_KEY_BYTES
from hardware import places, plain_file
from hardware.site import Site

FOLDER = "policy"
CURRENT, PREVIOUS = "current.bundle", "previous.bundle"

log = logging.getLogger("menwei.policy")


class PolicyRefused(Exception):
    """Why a bundle was not taken; what was in force stays in force."""

    def __init__(self, found: Sequence[Contradiction]) -> None:
        super().__init__(found[0].what)
        self.found = tuple(found)


class Stored(msgspec.Struct, frozen=True):
    """A policy whose bundle is on disk. `fallback`: all that is wrong with the newest one, () = it is the newest."""

    policy: Policy
    digest: str
    fallback: tuple[Contradiction, ...] = ()


class PolicyStore:
    """One folder, written by control alone. Calls block: keep them off the loop."""

    def __init__(self, folder: Path, keys: Sequence[bytes], rules: BoxRules) -> None:
        self._folder = folder
        self._keys = keys
        self._rules = rules

    @classmethod
    def of(cls, site: Site, rules: BoxRules) -> PolicyStore:
        """This box's, with the keys that may sign; one that cannot be read is told and left out."""
        keys = []
        for name in site.policy.keys:
            path = places.resolve(site, name)
            try:
                keys.append(load_public(plain_file.read(path, MOST_KEY_BYTES)))
            except (OSError, BadKey) as error:
                log.warning("[policy] keys: %s cannot be used: %s", path, error)
        return cls(places.storage_dir(site) / FOLDER, keys, rules)

    def current(self) -> Stored | None:
        """What was in force last; None where no bundle was ever taken. Raises PolicyRefused where neither is usable."""
        troubles: list[Contradiction] = []
        for name in (CURRENT, PREVIOUS):
            try:
                data = (self._folder / name).read_bytes()
                policy, bundle = self._checked(data)
            except FileNotFoundError:
                continue
            except OSError as error:
                troubles.append(Contradiction(name, f"cannot be read: {error.strerror}", "check the card"))
            except PolicyRefused as refused:
                troubles += refused.found
            else:
                return Stored(policy, bundle.digest, tuple(troubles))
        if troubles:
            raise PolicyRefused(troubles)
        return None

    def take(self, data: bytes) -> Stored:
        """Check a bundle and put it in force. Raises PolicyRefused, and then nothing has changed."""
        policy, bundle = self._checked(data)
        present = self._present()
        if present is not None:
            self._check_version(present, bundle)
            if present.digest == bundle.digest:
                return Stored(policy, bundle.digest)
        try:
            self._swap(data)
        except OSError as error:
            where = Contradiction(
                "box", f"the card does not take it: {error.strerror}", "check the card, then try again"
            )
            raise PolicyRefused([where]) from None
        return Stored(policy, bundle.digest)

    def names(self) -> bytes:
        """The encrypted name table of the policy in force; empty where there is none."""
        present = self._present()
        return b"" if present is None else present.names

    def _swap(self, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        current = self._folder / CURRENT
        if current.exists():
            replace_file(self._folder / PREVIOUS, current.read_bytes())
        replace_file(current, data)

    def _present(self) -> Bundle | None:
        """The newest bundle that can be read, judged by its signature alone."""
        for name in (CURRENT, PREVIOUS):
            try:
                return unpack((self._folder / name).read_bytes(), self._keys)
            except (OSError, BadBundle):
                continue
        return None

    def _check_version(self, present: Bundle, new: Bundle) -> None:
        was, version = present.manifest.version, new.manifest.version
        cure = f"make it with a higher one: menwei policy make … --version {was + 1}"
        if version < was:
            what = f"version {version} is older than version {was}, which is in force"
            raise PolicyRefused([Contradiction("bundle", what, cure)])
        if version == was and new.digest != present.digest:
            what = f"version {version} is in force already, with other contents"
            raise PolicyRefused([Contradiction("bundle", what, cure)])

    def _checked(self, data: bytes) -> tuple[Policy, Bundle]:
        try:
            bundle = unpack(data, self._keys)
            policy, found = parse(bundle.wire())
        except BadBundle as error:
            raise PolicyRefused([error.found]) from None
        if policy is not None:
            found = [*found, *against_site(policy, self._rules)]
            same = (policy.version, policy.site_box) == (bundle.manifest.version, bundle.manifest.site_box)
            if not same:
                found.append(Contradiction("bundle", "the bundle and the policy inside disagree", "make it anew"))
        if found or policy is None:
            raise PolicyRefused(found)
        return policy, bundle
