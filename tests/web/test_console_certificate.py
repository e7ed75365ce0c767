"""The box's own certificate: renewed in time under the same authority, made anew for new names."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from agent.web.console import certificate
from agent.web.console.certificate import AUTHORITY, AUTHORITY_KEY, LEAF, LEAF_KEY, ensure, fingerprint

NOW = datetime(2026, 11, 28, tzinfo=UTC)
NAMES = ("gate.school.lan", "192.168.8.2")


def leaf(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / LEAF).read_bytes())


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    assert ensure(tmp_path, NAMES, NOW) is True
    first, print_ = leaf(tmp_path), fingerprint(tmp_path)
    assert ensure(tmp_path, NAMES, NOW + timedelta(days=300)) is False
    assert leaf(tmp_path) == first and fingerprint(tmp_path) == print_


def test_it_is_renewed_in_time_under_the_authority_that_tablets_know(tmp_path: Path) -> None:
    ensure(tmp_path, NAMES, NOW)
    first, print_ = leaf(tmp_path), fingerprint(tmp_path)
    late = first.not_valid_after_utc - timedelta(days=certificate.RENEW_DAYS) + timedelta(hours=1)
    assert ensure(tmp_path, NAMES, late) is True
    assert leaf(tmp_path) != first and leaf(tmp_path).not_valid_after_utc > first.not_valid_after_utc
    assert fingerprint(tmp_path) == print_


def test_the_authority_signs_for_this_boxs_names_alone(tmp_path: Path) -> None:
    ensure(tmp_path, NAMES, NOW)
    authority = x509.load_pem_x509_certificate((tmp_path / AUTHORITY).read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = [str(name.value) for name in constraints.value.permitted_subtrees or ()]
    assert permitted == ["gate.school.lan", "192.168.8.2/32"]


def test_a_new_name_needs_a_new_authority_and_tells_so_by_another_fingerprint(tmp_path: Path) -> None:
    ensure(tmp_path, NAMES, NOW)
    print_ = fingerprint(tmp_path)
    assert ensure(tmp_path, ("other.lan",), NOW) is True and fingerprint(tmp_path) != print_
    leaf(tmp_path).verify_directly_issued_by(x509.load_pem_x509_certificate((tmp_path / AUTHORITY).read_bytes()))


def test_a_clock_years_back_still_finds_a_certificate_that_will_hold(tmp_path: Path) -> None:
    """A box without a clock battery wakes in 1970; the tablet's clock is right."""
    ensure(tmp_path, NAMES, datetime(1970, 1, 1, tzinfo=UTC))
    assert leaf(tmp_path).not_valid_before_utc == certificate.FIRST_DAY


def test_keys_are_for_their_owner_alone_and_damage_is_mended(tmp_path: Path) -> None:
    ensure(tmp_path, NAMES, NOW)
    for name in (AUTHORITY_KEY, LEAF_KEY):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    (tmp_path / LEAF).write_text("no certificate")
    assert ensure(tmp_path, NAMES, NOW) is True
