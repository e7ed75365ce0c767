"""The box's own certificate for the guard console: an authority of its own, and a leaf that it signs.

A tablet is made to trust the authority once; the leaf is renewed under it for years without anybody's doing. The
authority can sign for this box's names and addresses alone, so that trusting it gives away nothing else. Run as a
program of its own (`python -m agent.web.console.certificate SITE_FILE`), so that the web role never loads X.509.
"""

from __future__ import annotations

import contextlib
import ipaddress
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from agent.journal.files import replace_file

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

AUTHORITY, AUTHORITY_KEY = "authority.crt", "authority.key"
LEAF, LEAF_KEY = "console.crt", "console.key"
AUTHORITY_DAYS = 3650  # D: as long as a box lives
LEAF_DAYS = 397  # what browsers accept of a leaf: 398 days, CA/Browser Forum BR 6.3.2 (S)
RENEW_DAYS = 30  # D
# A box without a clock battery may wake years back: the certificates hold from the day this was written on.
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def ensure(folder: Path, names: tuple[str, ...], now: datetime) -> bool:
    """Make what is missing, is about to run out, or does not name this box. True when the leaf is a new one.

    `names` are host names and addresses. Raises OSError when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    authority, key = _authority(folder, names)
    if _leaf_serves(folder, authority, names, now):
        return False
    leaf, leaf_key = _sign_leaf(authority, key, names, now)
    replace_file(folder / LEAF_KEY, _private(leaf_key), 0o600)
    replace_file(folder / LEAF, _pem(leaf) + _pem(authority), 0o644)
    return True


def fingerprint(folder: Path) -> str:
    """SHA-256 of the authority as tablets show it, "AB:CD:…", or "" while there is none."""
    import base64
    import hashlib

    try:
        text = (folder / AUTHORITY).read_text("ascii")
    except OSError:
        return ""
    body = "".join(line for line in text.splitlines() if line and not line.startswith("-"))
    digest = hashlib.sha256(base64.b64decode(body)).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _authority(folder: Path, names: tuple[str, ...]) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The authority of this box. One that may not sign for its present names is replaced: tablets must learn anew."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    with contextlib.suppress(OSError, ValueError):
        certificate = x509.load_pem_x509_certificate((folder / AUTHORITY).read_bytes())
        key = load_pem_private_key((folder / AUTHORITY_KEY).read_bytes(), None)
        if isinstance(key, ec.EllipticCurvePrivateKey) and set(names) <= _permitted(certificate):
            return certificate, key
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign_authority(key, names)
    replace_file(folder / AUTHORITY_KEY, _private(key), 0o600)
    replace_file(folder / AUTHORITY, _pem(certificate), 0o644)
    return certificate, key


def _sign_authority(key: ec.EllipticCurvePrivateKey, names: tuple[str, ...]) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    title = _title(f"Menwei box {names[0]}")
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(title)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(FIRST_DAY)
        .not_valid_after(FIRST_DAY + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.NameConstraints([_constraint(name) for name in names], None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _sign_leaf(
    authority: x509.Certificate, key: ec.EllipticCurvePrivateKey, names: tuple[str, ...], now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    leaf_key = ec.generate_private_key(ec.SECP256R1())
    first = max(FIRST_DAY, now - timedelta(days=1))
    leaf = (
        x509.CertificateBuilder()
        .subject_name(_title(names[0]))
        .issuer_name(authority.subject)
        .public_key(leaf_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(min(first + timedelta(days=LEAF_DAYS), authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return leaf, leaf_key


def _leaf_serves(folder: Path, authority: x509.Certificate, names: tuple[str, ...], now: datetime) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        leaf = x509.load_pem_x509_certificate((folder / LEAF).read_bytes())
        leaf.verify_directly_issued_by(authority)
        alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, InvalidSignature, x509.ExtensionNotFound):
        return False
    has = {*alternative.get_values_for_type(x509.DNSName)}
    has |= {str(address) for address in alternative.get_values_for_type(x509.IPAddress)}
    lasts = leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc - timedelta(days=RENEW_DAYS)
    return has == set(names) and lasts and (folder / LEAF_KEY).exists()


def _permitted(authority: x509.Certificate) -> set[str]:
    from cryptography import x509

    try:
        constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return set()
    found = set()
    for name in constraints.permitted_subtrees or ():
        found.add(str(name.value).partition("/")[0])  # an address stands there as a network of one
    return found


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509

    address = _address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def _constraint(name: str) -> x509.GeneralName:
    from cryptography import x509

    address = _address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(ipaddress.ip_network(address))


def _title(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def main(arguments: list[str]) -> int:
    """`FOLDER NAME…`: make or renew; for the web role. 0 done, 1 not, with the reason on stderr."""
    try:
        ensure(Path(arguments[0]), tuple(arguments[1:]), datetime.now(UTC))
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
