"""Power cuts, failing writes and lying cards under the real SQLite: nothing acknowledged is ever lost, or it shows."""

from __future__ import annotations

import random
import sqlite3
import tempfile
import threading
from pathlib import Path
from typing import Any

import apsw
import pytest
from journal_card import Card, Connection, Unplugged
from journal_scenes import SITE_BOX, Ears, eventually, opened, record, records, told_as, writer_on

from agent.core.records import encode
from agent.journal import retention, schema
from agent.journal.checkpoint import parse
from agent.journal.compare import disagreement
from agent.journal.errors import FILE_ERRORS, Damaged, Trouble
from agent.journal.keys import BoxKey
from agent.journal.store import Store

# While SQLite closes a file on a dead card it has nobody to tell.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PATH = Path("/card/journal.db")
KEY = BoxKey.generate()
KINDS = ("door.granted", "panic.pressed", "box.latched")


@pytest.fixture(scope="module")
def empty() -> bytes:
    """A journal without records, as the store's own code makes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        schema.create(path, SITE_BOX, schema.Base.first(1))
        return path.read_bytes()


class Countdown:
    """Unplugs the card at the n-th operation that changes it."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, operation: str) -> None:
        if operation != "read":
            self.left -= 1
        if self.left < 0:
            raise Unplugged(operation)


def store_on(card: Card, synchronous: str = "FULL") -> Store:
    connect: Any = lambda path: Connection(card, path, synchronous)  # noqa: E731
    return Store(PATH, KEY, SITE_BOX, connect)


def live_until_cut(card: Card, synchronous: str, first: int, dice: random.Random) -> int:
    """Write until the power goes; the last number acknowledged."""
    durable = first - 1
    try:
        store = store_on(card, synchronous)
        durable = max(durable, store.head.seq)
        while True:
            count = dice.choice((1, 1, 3, 20, 130))
            kind = dice.choice(KINDS)
            store.commit(records(store.head.seq + 1, count, kind))
            durable = store.head.seq
            store.sign()
            if dice.random() < 0.3:
                store.save_notes()
            if dice.random() < 0.2:
                store.move_log()
    except (Unplugged, *FILE_ERRORS):
        return durable


def survivors(card: Card, dice: random.Random) -> tuple[dict[str, bytes], int | None]:
    """The card after the cut, and the last record on it; None when the journal is damaged or not what was written."""
    left = card.after_cut(dice)
    try:
        store = store_on(Card(dict(left)))
        last = store.head.seq
        rows = store.connection.execute("SELECT seq, body FROM record WHERE seq > ?", (last - 200,)).fetchall()
        store.close()
    except (Damaged, *FILE_ERRORS):
        return left, None
    true = all(body in [encode(record(seq, kind)) for kind in KINDS] for seq, body in rows)
    return left, last if true else None


def cut_many(empty: bytes, seed: int, cuts: int, synchronous: str, *, lies: bool = False) -> int:
    """Returns how many cuts lost something acknowledged; the card lives on from cut to cut."""
    dice = random.Random(seed)
    files, expected, lost = {str(PATH): empty}, 0, 0
    for _ in range(cuts):
        card = Card(files, Countdown(dice.choice((5, 40, 200)) * dice.randint(0, 10) // 10 + dice.randint(0, 5)))
        card.lies = lies and dice.random() < 0.3
        acknowledged = max(expected, live_until_cut(card, synchronous, expected + 1, dice))
        files, found = survivors(card, dice)
        if found is None or found < acknowledged:
            lost += 1
        if found is None or found > 3_000:
            files, found = {str(PATH): empty}, 0
        expected = found
    return lost


def test_five_hundred_power_cuts_lose_nothing(empty: bytes, seed: int) -> None:
    assert cut_many(empty, seed, 500, "FULL") == 0


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_ten_thousand_power_cuts_lose_nothing(empty: bytes, seed: int) -> None:
    assert cut_many(empty, seed, 10_000, "FULL") == 0


def test_the_harness_bites(empty: bytes, seed: int) -> None:
    """With less than FULL, and with a card that lies about syncing, the same cuts must lose something."""
    assert cut_many(empty, seed, 200, "NORMAL") > 10
    assert cut_many(empty, seed, 200, "FULL", lies=True) > 0


def test_what_a_lying_card_lost_shows_at_the_far_side_s_next_word(empty: bytes, tmp_path: Path, seed: int) -> None:
    """The box alone sees a sound journal that ends earlier; the checkpoint that the far side kept tells."""
    dice = random.Random(seed)
    lost = kept = 0
    for number in range(400):
        if number >= 80 and min(lost, kept) > 5:
            break  # in one run of a hundred or so, eighty cards have kept too few
        card = Card({str(PATH): empty}, Countdown(dice.randrange(30, 300)))
        card.lies = dice.random() < 0.8
        anchor = _live_and_send_checkpoints(card, dice)
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, data in card.after_cut(dice).items():
            (folder / Path(name).name).write_bytes(data)
        try:
            told = disagreement(folder / "journal.db", anchor, KEY.public) if anchor else ""
            head = Store(folder / "journal.db", KEY, SITE_BOX)
        except (Damaged, Trouble, *FILE_ERRORS):
            continue  # torn as well: that shows at the start, and a new epoch begins
        behind = bool(anchor) and head.head.frontier.size < parse(anchor).size
        head.close()
        assert bool(told) == behind and (not behind or "that are not here" in told)
        assert card.lies or not behind, "an honest card lost nothing"
        lost, kept = lost + behind, kept + (not behind)
    assert lost > 5 and kept > 5, f"{lost} lost, {kept} kept: the test is worth nothing"


def _live_and_send_checkpoints(card: Card, dice: random.Random) -> bytes:
    """Write until the power goes; the newest checkpoint that was signed, and so had been sent."""
    anchor = b""
    try:
        store = store_on(card)
        while True:
            store.commit(records(store.head.seq + 1, dice.choice((1, 20, 130)), "door.granted"))
            store.mark()
            store.sign()
            anchor = store._notes[-1][1].encode()
            store.save_notes()
            if dice.random() < 0.2:
                store.move_log()
    except (Unplugged, *FILE_ERRORS):
        return anchor


@pytest.mark.parametrize("kind", [retention.PRUNED, retention.EVICTED])
def test_a_cut_leaves_a_step_of_retention_and_its_record_or_neither(empty: bytes, seed: int, kind: str) -> None:
    """The power goes at each operation in turn while old rows, or bodies, are given up."""
    dice = random.Random(seed)
    files = _old_journal(empty)
    outcomes: set[bool] = set()
    at, cut = 0, True
    while cut:
        card = Card(dict(files))
        store = store_on(card)
        trim = retention.look_for_old(store, "9000") if kind == retention.PRUNED else _bodies_due(store)
        assert trim is not None
        card.trouble = Countdown(at)
        try:
            store.commit([told_as(401, trim)], retention.statements_of(store, trim, ("door.granted",)))
            store.move_log()
            cut = False
        except (Unplugged, *FILE_ERRORS):
            at += 1
        outcomes.add(_told_and_done(card.after_cut(dice), kind, trim.count))
    assert outcomes == {False, True}


def _old_journal(empty: bytes) -> dict[str, bytes]:
    card = Card({str(PATH): empty})
    store = store_on(card)
    store.commit(records(1, 400))
    store.sign()
    store.save_notes()
    store.move_log()
    store.close()
    return {name: bytes(file.now) for name, file in card.files.items()}


def _bodies_due(store: Store) -> retention.Trim | None:
    return retention.look_for_bodies(store, 0, (1, 400), ("door.granted",)).trim


def _told_and_done(files: dict[str, bytes], kind: str, count: int) -> bool:
    """Whether the step was done; the journal must tell it then, and only then."""
    store = store_on(Card(files))
    rows, bodies = store.connection.execute("SELECT count(*), count(body) FROM record WHERE seq <= 400").fetchone()
    told = store.head.seq == 401
    gone = (400 - rows) if kind == retention.PRUNED else (rows - bodies)
    assert gone == (count if told else 0)
    store.close()
    return told


# ── an error at every n-th operation ───────────────────────────────────────────────────────────────────────────────


class Hiccup:
    """Fails one operation of a kind, `times` in a row from the n-th on; then all is well."""

    def __init__(self, operation: str, at: int, times: int, error: type[apsw.Error]) -> None:
        self.operation, self.at, self.times, self.error = operation, at, times, error
        self.seen = 0
        self.failed = 0

    def __call__(self, operation: str) -> None:
        if operation != self.operation:
            return
        self.seen += 1
        if self.seen > self.at and self.failed < self.times:
            self.failed += 1
            raise self.error("as injected")


@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError])
@pytest.mark.parametrize("operation", ["write", "sync"])
def test_an_error_at_every_nth_write_and_sync(empty: bytes, operation: str, error: type[apsw.Error]) -> None:
    """Whatever fails, the store says so, and a fresh store on the same card goes on with the same group."""
    at, failed = 0, True
    while failed:
        trouble = Hiccup(operation, at, 1 + at % 3, error)
        card = Card({str(PATH): empty}, trouble)
        _write_with_retries(card)
        failed = trouble.failed > 0
        at += 1
    assert at > 5, "there were operations to fail"


def _write_with_retries(card: Card) -> None:
    store: Store | None = None
    done = tries = 0
    while done < 240 and tries < 20:
        try:
            if store is None:
                store = store_on(card)
                store.settle()
                done = store.head.seq
            store.commit(records(done + 1, 40, "panic.pressed" if done == 80 else "door.granted"))
            done = store.head.seq
            store.sign()
            store.save_notes()
            store.move_log()
        except FILE_ERRORS as problem:
            assert not isinstance(problem, sqlite3.IntegrityError)
            tries += 1
            _close(store)
            store = None
    assert done >= 240, "it never recovered"
    _close(store)
    again = store_on(Card({name: bytes(file.now) for name, file in card.files.items()}))
    assert again.head.seq == done and again.head.frontier.size == done
    again.close()


def _close(store: Store | None) -> None:
    try:
        if store is not None:
            store.close()
    except FILE_ERRORS:
        return


class ReadOnly(apsw.ReadOnlyError):
    """As SQLite itself raises it, with its code."""

    result = extendedresult = apsw.SQLITE_READONLY


def test_a_card_that_turns_read_only_under_the_writer(tmp_path: Path, empty: bytes) -> None:
    """Every write is refused from one instant on, reading still works; then it is remounted, and nothing is missing."""
    read_only = threading.Event()
    refused = threading.Semaphore(0)

    def trouble(kind: str) -> None:
        if kind != "read" and read_only.is_set():
            refused.release()
            raise ReadOnly("attempt to write a readonly database")

    found, ears = opened(tmp_path), Ears()
    card = Card({str(found.path): empty}, trouble)
    connect: Any = lambda path: Connection(card, path)  # noqa: E731
    writer = writer_on(found, ears, connect=connect)
    writer.start()
    writer.append(records(1, 100), emergency=False)
    ears.wait_durable(100)
    read_only.set()
    writer.append([record(101, "panic.pressed")], emergency=True)
    writer.append(records(102, 300), emergency=False)
    for _ in range(3):
        assert refused.acquire(timeout=20), "it tries again"
    ears.wait(lambda: bool(ears.health))
    assert ears.health[0][0] is True and "read-only" in ears.health[0][1]
    assert ears.durable[-1].seq == 100
    read_only.clear()
    ears.wait_durable(401)
    ears.wait(lambda: ears.health[-1][0] is False)
    assert writer.close() and not ears.epochs
    again: Any = Store(found.path, found.key, SITE_BOX, connect)
    assert again.head.seq == 401
    again.close()


def test_on_a_slow_card_a_press_waits_for_one_write_and_its_own(tmp_path: Path, empty: bytes) -> None:
    """However slow a sync is, groups grow and the press does not queue behind them: counted, not timed."""
    go_on, syncing = threading.Semaphore(0), threading.Semaphore(0)
    slow = threading.Event()

    def trouble(kind: str) -> None:
        if kind == "sync" and slow.is_set():
            syncing.release()
            assert go_on.acquire(timeout=20)

    found, ears = opened(tmp_path), Ears()
    card = Card({str(found.path): empty}, trouble)
    connect: Any = lambda path: Connection(card, path)  # noqa: E731
    writer = writer_on(found, ears, connect=connect)
    writer.start()
    writer.append(records(1, 10), emergency=False)
    ears.wait_durable(10)
    slow.set()
    writer.append(records(11, 5), emergency=False)
    assert syncing.acquire(timeout=20), "a write hangs in its sync"
    writer.append(records(16, 400), emergency=False)
    writer.append([record(416, "panic.pressed")], emergency=True)
    writer.append(records(417, 400), emergency=False)
    syncs = 0
    while not ears.durable or ears.durable[-1].seq < 416:
        go_on.release()
        syncs += 1
        if syncing.acquire(timeout=20) and ears.durable[-1].seq >= 416:
            break
    assert syncs <= 4, f"{syncs} syncs before the press was on disk"
    slow.clear()
    go_on.release(1000)
    ears.wait_durable(816)
    assert writer.close()


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_the_writer_rides_over_hiccups(tmp_path: Path, empty: bytes, seed: int, operation: str) -> None:
    """The whole writer, its thread included, on a card that hiccups at random."""
    dice = random.Random(seed)

    def trouble(kind: str) -> None:
        if kind == operation and dice.random() < 0.05:
            raise apsw.IOError("as injected")

    found, ears = opened(tmp_path), Ears()
    card = Card({str(found.path): empty}, trouble)
    connect: Any = lambda path: Connection(card, path)  # noqa: E731
    writer = writer_on(found, ears, connect=connect)
    writer.start()
    for first in range(1, 300, 10):
        writer.append(records(first, 10), emergency=False)
        ears.wait_durable(first - 1 if first > 1 else 0)
    ears.wait_durable(300)
    assert not ears.epochs
    card.trouble = lambda kind: None
    eventually(lambda: writer.backlog == 0)
    assert writer.close()
    again: Any = Store(found.path, found.key, SITE_BOX, connect)
    assert again.head.seq == 300
    again.close()
