"""Technical reasons in words: why a path, a device or the journal does not work, in the reader's language.

Drivers, uplinks and the journal tell such a reason as one English sentence; records, logs and programs have it as it
is. Here is the same sentence with holes for what changes from case to case, and the catalogues have it in every
language. A sentence within a sentence ("bus main: … (connection refused)") is looked up as well. What is not known
here (a far side's own words) is shown as it came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from agent.locale import mark

Translate = Callable[[str], str]

AND = mark("; ")
MOST = 400  # D: characters; a longer text is no sentence of ours
DEEP = 6  # D: sentences within sentences
# A hole holds one word, but for these: they hold words, and may be a sentence of their own.
SENTENCES = ("why", "what", "list")

# The first that fits is taken: those that say more stand before those that fit more.
REASONS: tuple[str, ...] = (
    # The way to any far side (`agent.uplink.reach`).
    mark("the name %(host)s cannot be resolved: %(why)s"),
    mark("the certificate of %(where)s is not trusted: %(why)s"),
    mark("no TLS with %(where)s: %(why)s"),
    mark("nobody listens at %(where)s"),
    mark("no answer from %(where)s"),
    mark("%(where)s cannot be reached: %(why)s"),
    mark("%(where)s cannot be reached"),
    mark("cannot read the password file %(file)s: %(why)s"),
    mark("the password file %(file)s is empty"),
    mark("cannot read the key file %(file)s: %(why)s"),
    mark("the key file %(file)s does not hold hex digits"),
    mark("the key in %(file)s has %(n)s hex digits instead of 32, 48 or 64"),
    mark("%(cert)s and %(key)s are not a certificate and its key: %(why)s"),
    mark("cannot read %(file)s: %(why)s"),
    # The broker.
    mark("%(why)s (does it know this box's certificate?)"),
    mark("%(why)s (does it want TLS?)"),
    mark("the broker closed the connection at once"),
    mark("the connection to the broker failed: %(why)s"),
    mark("the connection to the broker broke: %(why)s"),
    mark("sending failed: %(why)s"),
    mark("subscribing failed: %(why)s"),
    mark("the broker does not answer a subscription"),
    mark("the broker has not acknowledged a message for %(s)s s"),
    mark("the broker refuses this box: %(why)s"),
    mark("the broker refuses a subscription: %(why)s"),
    mark("the broker hung up: %(why)s"),
    mark("nobody at the broker listens for alarms of this box"),
    mark("nobody at the broker listens for records of this box"),
    mark("the broker refuses alarms of this box (MQTT reason code %(code)s)"),
    mark("the broker refuses records of this box (MQTT reason code %(code)s)"),
    mark("the far side has not confirmed a record for more than %(s)s s"),
    # Redis.
    mark("Redis at %(where)s refuses this box's log-in: %(why)s"),
    mark("the connection to Redis broke: %(why)s"),
    mark(
        "not durable: Redis at %(where)s does not tell its settings; durable = true in the site file "
        "vouches for appendonly yes and appendfsync always"
    ),
    mark(
        "not durable: Redis at %(where)s has appendonly %(a)s, appendfsync %(b)s, no-appendfsync-on-rewrite %(c)s; "
        "needed are yes, always, no"
    ),
    mark("not durable: Redis at %(where)s throws out whole keys when it is full (maxmemory-policy)"),
    mark("what answers at %(where)s is no Redis"),
    mark("Redis at %(where)s takes no records of %(key)s: %(why)s"),
    mark("Redis at %(where)s takes no alarms: %(why)s"),
    mark("%(key)s cannot be looked at: %(why)s"),
    mark("%(key)s has a gap: %(id)s is not there, and Redis takes nothing older than its newest id"),
    mark("%(key)s has another record at %(id)s than this box: a copied or forged journal"),
    mark("%(key)s has another alarm at %(id)s than this box"),
    mark("%(key)s goes on to %(id)s: this box has never written that"),
    # The receiving centre.
    mark("%(where)s does not answer"),
    mark("%(where)s does not understand us: check account %(account)s, key and protocol"),
    mark("%(where)s takes no message of account %(account)s: it says NAK to its own time"),
    mark("%(where)s closed the connection without an answer"),
    # The police platform.
    mark("the platform refuses %(user)s (%(why)s): check device_id, user and password"),
    mark("the platform does not register %(id)s: %(why)s"),
    mark("the platform's log-in cannot be answered: %(why)s"),
    mark("the platform has forgotten the registration: %(why)s"),
    mark("the platform does not answer: %(method)s, %(s)s s"),
    mark("the platform has missed %(n)s signs of life in a row"),
    mark("the platform has not confirmed an alarm for more than %(s)s s"),
    mark("the platform answers an alarm with %(what)s"),
    mark("the platform refuses an alarm: %(why)s"),
    mark("%(where)s sends what is no SIP: %(why)s"),
    mark("%(where)s takes nothing in"),
    mark("the socket was closed"),
    # The box's own terminals.
    mark("%(where)s: closed"),
    mark("the pins did not open within %(s)s s"),
    mark("the pins do not open (%(why)s)"),
    mark("the link to the pins broke (%(why)s)"),
    mark("no answer within %(s)s s"),
    mark("the pigpio daemon at %(where)s does not answer: restart it"),
    mark("no pigpio daemon at %(where)s (%(why)s): is pigpiod running?"),
    mark("what listens at %(where)s is no pigpio daemon"),
    mark("the daemon closed the connection"),
    mark("the lgpio library is not installed; on a Pi: apt install python3-lgpio"),
    mark("no GPIO chip can be opened: is this a Pi, and this user in the group gpio?"),
    mark("no GPIO chip is labelled %(label)s; there are %(list)s: is board.model right?"),
    # Field buses.
    mark("bus %(bus)s: %(why)s"),
    mark("cannot connect to %(where)s (%(why)s): is the PLC on, the cable in, the address right?"),
    mark("%(where)s closed the connection at once: has it a limit of connections?"),
    mark("%(where)s closed the connection"),
    mark("%(where)s was closed"),
    mark("%(where)s is not connected"),
    mark("unit %(unit)s has been silent for %(s)s s; not asked now"),
    mark("unit %(unit)s, %(what)s: no answer within %(ms)s ms"),
    mark("unit %(unit)s, %(what)s: %(why)s; check termination, baud rate and addresses"),
    mark("the bus was not free within %(s)s s"),
    mark("%(error)s in the Modbus library: %(why)s"),
    mark("bytes that are not Modbus TCP: %(list)s"),
    mark("bytes that are no answer: %(list)s"),
    mark("an answer numbered %(number)s of unit %(unit)s (%(list)s) to question %(question)s"),
    mark("unit %(unit)s does not know this function: wrong profile for this device?, exception %(code)s on %(what)s"),
    mark("unit %(unit)s has no such address: wrong profile, or wrong unit?, exception %(code)s on %(what)s"),
    mark("unit %(unit)s does not take this value or count: wrong profile?, exception %(code)s on %(what)s"),
    mark("unit %(unit)s reports a fault of its own, exception %(code)s on %(what)s"),
    mark("unit %(unit)s has accepted but not finished, exception %(code)s on %(what)s"),
    mark("unit %(unit)s is busy, exception %(code)s on %(what)s"),
    mark("unit %(unit)s reports a memory fault, exception %(code)s on %(what)s"),
    mark("unit %(unit)s cannot be reached by the gateway, exception %(code)s on %(what)s"),
    mark("unit %(unit)s does not answer the gateway, exception %(code)s on %(what)s"),
    mark("unit %(unit)s refuses, exception %(code)s on %(what)s"),
    mark("reading %(count)s from %(address)s (function %(function)s)"),
    mark("writing %(count)s registers from %(address)s (function %(function)s)"),
    mark("writing %(value)s to %(address)s (function %(function)s)"),
    # Serial ports and readers.
    mark("no serial port %(path)s: is the adapter plugged in?"),
    mark("no permission for serial port %(path)s: put this user into the group that owns it (dialout)"),
    mark("serial port %(path)s cannot do %(list)s"),
    mark("serial port %(path)s cannot be used: busy with another program, or not a serial port (%(why)s)"),
    mark("serial port %(path)s was unplugged"),
    mark("reader %(reader)s at %(path)s: closed"),
    mark("reader %(reader)s: %(why)s"),
    mark("reader %(reader)s at %(path)s: %(why)s"),
    mark("%(path)s does not open: unplug the adapter and plug it in"),
    mark("unplugged (%(why)s)"),
    mark("unplugged"),
    # Any device.
    mark("it did not open within %(s)s s"),
    mark("its use came to an end"),
    mark("unexpected %(error)s: %(why)s"),
    mark("not opened yet"),
    mark("no link to the lane's PLC"),
    mark("reads back otherwise than it was written"),
    mark("no answer"),
    mark("unknown name"),
    # The journal and its card.
    mark("the card refuses: %(why)s"),
    mark("the card is full (%(why)s)"),
    mark("the card has become read-only (%(why)s)"),
    mark("the card does not take what is written to it (%(why)s)"),
    mark("the card neither takes nor refuses what is written to it"),
    mark("the journal file cannot be opened (%(why)s)"),
    mark("the journal file is held by another program (%(why)s)"),
    mark("the journal file may not be written by this user (%(why)s)"),
    mark("the journal file cannot be written (%(why)s)"),
    mark("the box is out of memory (%(why)s)"),
    mark("the journal file is damaged (%(why)s)"),
    mark("the journal file already holds other records (%(why)s)"),
    mark("the journal's writer stumbled: %(why)s"),
    mark("the journal's folder is empty: is the card mounted?"),
    mark("the journal file is gone"),
    mark("somebody reads the journal so long that it cannot be put in order"),
    mark("this file is not a gate box's journal"),
    mark("this journal has a format that this version does not know"),
    mark("garbage where text should be"),
    # The control program (`agent.link`).
    mark("control did not answer within %(s)s s on %(path)s"),
    mark("control hung up"),
    mark("control refused the subscription: %(why)s"),
    mark("control sent a line longer than %(n)s bytes"),
    mark("control sent a line that is no JSON object: %(why)s"),
    mark("control sent a line without an op"),
    mark("control has been silent for %(s)s s"),
    mark("there is no %(path)s: control is not running"),
    mark("nobody serves %(path)s: control has stopped"),
    mark("no permission to open %(path)s"),
    mark("control is away: %(why)s"),
    mark("control gave no proper answer"),
    # Reports (`agent.web.reports`).
    mark("the journal cannot be read: %(why)s"),
    mark("the journal holds nothing of %(month)s"),
    mark("this look cannot be written down, so nothing is shown: %(why)s"),
    mark("too many looks at reports within a minute"),
    mark("other reports are being made: try again in a minute"),
    mark("the report was not made within %(s)s s"),
    mark("the report could not be made: its process ended early"),
    mark("no such table"),
    # What the operating system, TLS and the libraries say.
    mark("Connection refused"),
    mark("Connection reset by peer"),
    mark("Connection timed out"),
    mark("Broken pipe"),
    mark("No route to host"),
    mark("Host is down"),
    mark("Network is unreachable"),
    mark("Network is down"),
    mark("Name or service not known"),
    mark("No address associated with hostname"),
    mark("Temporary failure in name resolution"),
    mark("No such file or directory"),
    mark("No such device"),
    mark("No such device or address"),
    mark("Permission denied"),
    mark("Input/output error"),
    mark("No space left on device"),
    mark("Read-only file system"),
    mark("Device or resource busy"),
    mark("Is a directory"),
    mark("disk I/O error"),
    mark("database or disk is full"),
    mark("database is locked"),
    mark("database disk image is malformed"),
    mark("file is not a database"),
    mark("unable to open database file"),
    mark("attempt to write a readonly database"),
    mark("certificate has expired"),
    mark("certificate is not yet valid"),
    mark("certificate revoked"),
    mark("self-signed certificate"),
    mark("self-signed certificate in certificate chain"),
    mark("unable to get local issuer certificate"),
    mark("unable to get issuer certificate"),
    mark("Hostname mismatch, certificate is not valid for '%(host)s'."),
    mark("IP address mismatch, certificate is not valid for '%(host)s'."),
    mark("WRONG_VERSION_NUMBER"),
    mark("UNEXPECTED_EOF_WHILE_READING"),
    mark("TLSV1_ALERT_UNKNOWN_CA"),
    mark("TLSV13_ALERT_CERTIFICATE_REQUIRED"),
    mark("SSLV3_ALERT_CERTIFICATE_EXPIRED"),
    mark("SSLV3_ALERT_BAD_CERTIFICATE"),
    mark("SSLV3_ALERT_HANDSHAKE_FAILURE"),
    mark("The connection was lost."),
    mark("Not authorized"),
    mark("Bad user name or password"),
    mark("Client identifier not valid"),
    mark("Server unavailable"),
    mark("Server busy"),
    mark("Server shutting down"),
    mark("Keep alive timeout"),
    mark("Session taken over"),
    mark("Unspecified error"),
    # Anything with its place before it.
    mark("%(where)s: %(why)s"),
)
_HOLE = re.compile(r"%\((\w+)\)s")
_WORD, _SENTENCE = r"\S+?", ".+?"


def _pattern(text: str) -> re.Pattern[str]:
    texts, names = _HOLE.split(text)[::2], _HOLE.findall(text)
    holes = [f"(?P<{name}>{_SENTENCE if name in SENTENCES else _WORD})" for name in names]
    return re.compile("".join(re.escape(text) + hole for text, hole in zip(texts, [*holes, ""], strict=True)))


_PATTERNS = tuple((text, _pattern(text)) for text in REASONS)


@lru_cache(maxsize=512)
def taken_apart(reason: str) -> tuple[str, Mapping[str, str]] | None:
    """The sentence of REASONS that this is, and what stands in its holes; None when it is none of them."""
    if len(reason) > MOST:
        return None
    found = ((text, pattern.fullmatch(reason)) for text, pattern in _PATTERNS)
    return next(((text, match.groupdict()) for text, match in found if match is not None), None)


def say(reason: str, translate: Translate, deep: int = DEEP) -> str:
    """The reason in the language of `translate`; what is not known stays as it is."""
    found = taken_apart(reason) if deep else None
    if found is None:
        return _several(reason, translate, deep)
    text, holes = found
    told = {name: say(part, translate, deep - 1) if name in SENTENCES else part for name, part in holes.items()}
    return translate(text) % told if told else translate(text)


def _several(reason: str, translate: Translate, deep: int) -> str:
    """What the main receiver said and what the other one."""
    parts = reason.split(AND)
    if not deep or len(parts) == 1 or not any(taken_apart(part) for part in parts):
        return reason
    return translate(AND).join(say(part, translate, deep - 1) for part in parts)
