"""What the self-test looks at besides control's own picture: the journal's file, the pages, certificates and secrets.

Each look yields a Finding for what is wrong or could not be seen, and a line of text for what is well.
"""

from __future__ import annotations

import http.client
import json
import ssl
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from agent.journal.errors import JOURNAL_ERRORS
from agent.journal.keys import KEY_FILE
from agent.journal.reader import JournalReader
from agent.journal.schema import FILE
from agent.picture import Picture
from agent.uplink.reach import why_not
from agent.web.console import certificate
from agent.web.findings import Finding, Weight
from agent.web.listen import Address, parse
from agent.web.words import Words
from hardware import places, plain_file
from hardware.site import Site

Seen: TypeAlias = Iterator[Finding | str]

ANSWER_S = 12.0  # the page itself gives control 10 s to answer before it says that it does not
SOON_DAYS = 30  # D: time to order a certificate and bring it to the gate
MOST_PEM = 1 << 20  # D: a whole bundle of authorities is some 200 kB
ANYWHERE = ("0.0.0.0", "::")  # such a page is asked as "localhost", a name of its certificate


def journal(picture: Picture, site: Site, w: Words) -> Seen:
    """Is what control says it has written in the file?"""
    path = places.storage_dir(site) / FILE
    try:
        with JournalReader(path) as reader:
            epoch, seq = reader.head()
    except JOURNAL_ERRORS as error:
        yield Finding(
            area="journal",
            weight=Weight.FAULT,
            text=w.t("The journal's file cannot be read"),
            advice=w.t("Run this as root or as the box's own user; if it stays, the card may be failing."),
            check=str(path),
            detail=w.reason(str(error)),
        )
        return
    if epoch != picture.epoch or seq < picture.head:
        yield Finding(
            area="journal",
            weight=Weight.FAULT,
            text=w.t("The journal's file is not the one that control writes"),
            advice=w.t("See whether the storage folder was moved or restored while the box ran, and restart the box."),
            check=str(path),
            detail=f"{epoch}-{seq} ≠ {picture.epoch}-{picture.head}",
        )
    else:
        yield w.t("Journal on disk up to record %(seq)s", seq=seq)


def pages(site: Site, w: Words) -> Seen:
    """Does the status page answer, and the guard console under the certificate that the tablets trust?"""
    for text in site.web.listen:
        address = _asked(text)
        try:
            why = _unhealthy(http.client.HTTPConnection(address.host, address.port, timeout=ANSWER_S), "/healthz")
        except (OSError, http.client.HTTPException) as error:
            why = why_not(error, address.host, address.port)
        yield from _page(w.t("Status page"), text, why, w)
    for text in site.web.guard_listen:
        address = _asked(text)
        try:
            trusted = ssl.create_default_context(cafile=str(places.web_dir(site) / certificate.AUTHORITY))
            connection = http.client.HTTPSConnection(address.host, address.port, timeout=ANSWER_S, context=trusted)
            why = _unhealthy(connection, "/guard/login")
        except (OSError, http.client.HTTPException) as error:
            why = why_not(error, address.host, address.port)
        yield from _page(w.t("Guard console"), text, why, w)


def _asked(text: str) -> Address:
    """Where to ask a page that listens there."""
    address = parse(text)
    return Address("localhost", address.port) if address.host in ANYWHERE else address


def _unhealthy(connection: http.client.HTTPConnection, path: str) -> str:
    """Why the page is not well; "" when it is. Raises OSError and HTTPException."""
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        said = answer.read(10_000)
    finally:
        connection.close()
    if answer.status < 400:
        return ""
    try:
        return str(json.loads(said)["why"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status}"


def _page(name: str, where: str, why: str, w: Words) -> Seen:
    if not why:
        yield w.t("%(page)s answers on %(where)s", page=name, where=where)
        return
    yield Finding(
        area="devices",
        weight=Weight.FAULT,
        text=w.t("%(page)s does not answer as it should", page=name),
        advice=w.t("See whether the web role runs (menwei-web), and whether another program has its port."),
        check=where,
        detail=w.reason(why),
    )


def certificates(site: Site, w: Words, now: datetime) -> Seen:
    """Do the certificates that the uplinks show and trust hold `now`, and for how long?"""
    for path in _certificate_files(site):
        try:
            ends = _ends(plain_file.read(path, MOST_PEM))
        except (OSError, ValueError) as error:
            yield Finding(
                area="uplink",
                weight=Weight.FAULT,
                text=w.t("A certificate cannot be read"),
                advice=w.t("The site file names it; put it there as PEM, readable by the box."),
                check=str(path),
                detail=w.reason(str(getattr(error, "strerror", None) or error)),
            )
            continue
        days = (ends - now).days
        told = w.t("certificate %(file)s holds until %(day)s", file=path.name, day=f"{ends:%Y-%m-%d}")
        if days >= SOON_DAYS:
            yield told
            continue
        yield Finding(
            area="uplink",
            weight=Weight.FAULT if days < 0 else Weight.WARNING,
            text=w.t("A certificate has run out") if days < 0 else w.t("A certificate runs out soon"),
            advice=w.t("Ask the district for a new one. Without it the alarm does not get through on this path."),
            check=str(path),
            detail=told,
        )


def _certificate_files(site: Site) -> Iterator[Path]:
    for way in (site.uplink.mqtt, site.uplink.redis):
        if way is not None and way.tls:
            yield from (places.resolve(site, text) for text in (way.ca_file, way.cert_file) if text)


def _ends(pem: bytes) -> datetime:
    """The first instant at which one of the certificates in `pem` does not hold any more. Raises ValueError."""
    from cryptography import x509

    return min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(pem))


def secrets(site: Site, w: Words) -> Seen:
    """Can anybody on this machine read a key or password?"""
    open_to_all = []
    for path in _secret_files(site):
        try:
            mode = path.stat().st_mode
        except OSError:
            continue  # whoever needs it says that it is missing
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            open_to_all.append(str(path))
    for name in open_to_all:
        yield Finding(
            area="devices",
            weight=Weight.WARNING,
            text=w.t("Every user of this machine can read a key or password"),
            advice=w.t("Take the rights of others away: chmod o-rw on the file."),
            check=name,
        )
    if not open_to_all:
        yield w.t("keys and passwords are readable by the box alone")


def _secret_files(site: Site) -> Iterator[Path]:
    up = site.uplink
    named = [text for way in (up.mqtt, up.redis) if way is not None for text in (way.key_file, way.password_file)]
    named += [way.key_file for way in up.dc09]
    named += [way.password_file for way in up.gb28181]
    named.append(site.policy.names_key)
    yield from (places.resolve(site, text) for text in named if text)
    yield places.storage_dir(site) / KEY_FILE
