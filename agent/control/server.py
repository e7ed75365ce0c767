"""The local socket: how uplink, web and the command line see the gate and ask of it; `docs/local-socket.md` tells how.

A peer is known by its user id (`SO_PEERCRED`), and by that what it may ask and claim to be (`agent.control.peers`): a
screen at the gate or the far side, never the key switch, never the fire panel. A peer that does not read is dropped; it
never slows the gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from agent.control.latency import Press
from agent.control.path_words import PathWords
from agent.control.peers import ALL, Users, may_ask, may_claim
from agent.control.runtime import Runtime
from agent.control.subscriber import Subscriber, line_of
from agent.control.uploads import Refusal, Uploads
from agent.core.commands import refusal
from agent.core.endings import ends
from agent.core.events import AlarmStage, Command, Event, Note, PathHealth, Seq
from agent.core.kinds import WEIGHT
from agent.core.records import Record, Weight
from agent.core.strange import NOT_JSON
from agent.core.words import FROM_AFAR, Journal, Rank, Stage
from agent.pace import Pace

MAX_LINE = 64 * 1024
OVERDUE_S = 0.3  # D: press to first send is at most 0.5 s; a card gets this long before an alarm leaves from memory
MOST_PEERS = 64  # D: connections of one role at once; root's shell is never turned away
MOST_UNDURABLE = 1_000  # D: so many alarms are held for a card that refuses; the journal's queue holds them all
# D: of one role's notes so many at once, then two a second: 13 consoles at work need less, and a role that was taken
# over fills a card in a year instead of in an hour. The others are counted.
NOTES_AT_ONCE = 500
NOTES_EVERY_S = 0.5
MOST_NOTE = 4096  # D: bytes; the longest has some 500
STATE_EVERY_S = 0.1
STATE_IDLE_S = 2.0
# Known kinds that another role may write: the others tell what the gate itself saw or did.
_NOTABLE = frozenset(
    {
        *("note", "command.refused", "view.journal", "view.register", "view.report", "register.erased"),
        "hazard.photo",
        *("account.login", "account.logout", "account.refused", "account.locked"),
        *("account.code", "account.made", "account.removed"),
    }
)
_encode = msgspec.json.Encoder().encode


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request line. Which fields an `op` needs is told by `docs/local-socket.md`."""

    op: str
    id: str = ""
    rank: str = ""
    actor: str = ""
    verb: str = ""
    args: dict[str, str] = {}
    epoch: int = 0
    seq: int = 0
    path: str = ""
    stage: str = ""
    by: str = ""
    up: bool = False
    why: str = ""
    kind: str = ""
    subject: str = ""
    data: dict[str, Any] = {}
    from_seq: int = 0
    state: bool = False
    note: str = ""
    piece: str = ""
    number: int = 0
    last: bool = False
    order: str = ""
    retained: bool = False
    card: str = ""
    reader: str = ""
    at_ms: int = 0


class Server:
    """Serves the socket over a runtime. `picture` builds what `state` tells; `synced` takes the far side's progress."""

    def __init__(
        self,
        runtime: Runtime,
        picture: Callable[[], object],
        synced: Callable[[int, int], None],
        users: Users,
    ) -> None:
        self._runtime = runtime
        self._picture = picture
        self._synced = synced
        self._users: Users = {**users, 0: ALL, os.getuid(): ALL}
        self._subscribers: set[Subscriber] = set()
        self._server: asyncio.Server | None = None
        self._peers: set[asyncio.Task[None]] = set()
        self._held: Counter[int] = Counter()  # user id → connections
        self._turn = asyncio.Lock()
        self._pace = Pace()
        self._notes: defaultdict[int, Pace] = defaultdict(lambda: Pace(NOTES_AT_ONCE, NOTES_EVERY_S))  # by user id
        self._paths = PathWords(runtime.handle)
        self._state_timer: asyncio.TimerHandle | None = None
        self._undurable: list[Record] = []
        self._endings: list[Record] = []  # what ends an alarm and is not on disk yet; it can wait for that
        self._from_memory: Seq = (0, 0)  # the alarms up to here were told without waiting for the disk
        self.on_anchor: Callable[[bytes], None] = lambda note: None  # the far side's last checkpoint
        self.on_ahead: Callable[[int, int], None] = lambda epoch, seq: None  # what it has and we do not
        self.on_policy: Callable[[bytes, str, str], Awaitable[dict[str, Any]]] | None = None
        self.on_order: Callable[[bytes, bool], str] | None = None
        self.order_keys: Callable[[], Sequence[bytes]] = tuple
        self.on_guard: Callable[[], object] = dict
        self.on_explain: Callable[[str, str, int], dict[str, Any]] = lambda card, reader, at_ms: {}
        self.receipts: dict[str, float] = {}  # path → when it last told of an alarm that is there, monotonic
        self.given_up: dict[str, int] = {}  # path → alarm messages it has given up since its uplink's start
        self._uploads = Uploads()
        runtime.on_records = self._on_records
        runtime.on_state = self._on_state
        runtime.latencies.changed = self._on_latency

    async def start(self, path: Path) -> None:
        """Bind the socket (mode 0660). A stale file of a dead control is replaced; a live one is an error (OSError)."""
        if await _answers(path):
            raise OSError(f"another control already serves {path}: stop it first")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, path=str(path), limit=MAX_LINE)
            path.chmod(0o660)
        except OSError as error:
            why = error.strerror or error
            raise OSError(f"the local socket {path} cannot be served: {why}; see run_dir in [storage]") from None
        self._idle_state()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._state_timer is not None:
            self._state_timer.cancel()
        for task in list(self._peers):
            task.cancel()

    # ── out ────────────────────────────────────────────────────────────────────────────────────────────────────

    def durable(self, epoch: int, seq: int) -> None:
        """Everything up to `seq` is on disk: the alarms among it go out first, then the head line."""
        over = [record for record in self._endings if record.ref <= (epoch, seq)]
        ready = [record for record in self._undurable if record.ref <= (epoch, seq)]
        if ready:
            self._undurable = [record for record in self._undurable if record.ref > (epoch, seq)]
            self._tell_alarms(ready, durable=True)
        if over:
            self._endings = [record for record in self._endings if record.ref > (epoch, seq)]
        for record in over:
            self._broadcast(line_of({"op": "ended", "record": record}))
        self._broadcast(line_of({"op": "head", "epoch": epoch, "seq": seq}))

    def _on_records(self, records: Sequence[Record]) -> None:
        self._endings = (self._endings + [r for r in records if ends(r.kind, r.data, r.cause)])[-MOST_UNDURABLE:]
        alarms = [record for record in records if WEIGHT[record.kind] is Weight.ALARM]
        if not alarms:
            return
        self._undurable = (self._undurable + alarms)[-MOST_UNDURABLE:]
        if self._runtime.state.health.journal is Journal.FAILING:
            self._overdue(alarms[-1].ref)
        else:
            asyncio.get_running_loop().call_later(OVERDUE_S, self._overdue, alarms[-1].ref)

    def failing(self) -> None:
        """The disk gave up: what waits for it goes out from memory, and says so."""
        if self._undurable:
            self._overdue(self._undurable[-1].ref)

    def _overdue(self, ref: Seq) -> None:
        """The alarms up to this one wait no longer for the disk."""
        late = [record for record in self._undurable if self._from_memory < record.ref <= ref]
        self._from_memory = max(self._from_memory, ref)
        self._tell_alarms(late, durable=False)

    def _tell_alarms(self, alarms: Sequence[Record], *, durable: bool) -> None:
        for record in alarms:
            self._broadcast(line_of({"op": "alarm", "record": record, "durable": durable}))

    def _on_latency(self, press: Press) -> None:
        self._broadcast(
            line_of({"op": "latency", "ref": press.ref, "edge_ns": round(press.edge_at * 1e9), "hops": press.hops})
        )

    def _on_state(self) -> None:
        """A change: tell within a tenth of a second, however many come."""
        loop = asyncio.get_running_loop()
        if self._state_timer is None or self._state_timer.when() - loop.time() > STATE_EVERY_S:
            self._arm_state(STATE_EVERY_S)

    def _idle_state(self) -> None:
        self._arm_state(STATE_IDLE_S)
        watchers = [subscriber for subscriber in self._subscribers if subscriber.wants_state]
        if watchers:
            line = line_of({"op": "state", "state": self._picture()})
            for subscriber in watchers:
                subscriber.send(line)

    def _arm_state(self, delay_s: float) -> None:
        if self._state_timer is not None:
            self._state_timer.cancel()
        self._state_timer = asyncio.get_running_loop().call_later(delay_s, self._idle_state)

    def _broadcast(self, line: bytes) -> None:
        for subscriber in list(self._subscribers):
            subscriber.send(line)

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._peers.add(task)
        uid = _peer_uid(writer)
        subscriber = Subscriber(writer, uid, self._users.get(uid, frozenset()))
        self._held[uid] += 1
        try:
            if self._admit(uid):
                await self._converse(reader, subscriber)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._held[uid] -= 1
            self._peers.discard(task)
            self._subscribers.discard(subscriber)
            writer.close()

    def _admit(self, uid: int) -> bool:
        if uid not in self._users:
            self._refused(uid, {"uid": uid})
            return False
        if self._held[uid] > MOST_PEERS and self._users[uid] != ALL:
            self._refused(uid, {"uid": uid, "what": "more connections"})
            return False
        return True

    def _not_yours(self, peer: Subscriber, what: str) -> Refusal:
        """A role that asks what is not its part is broken or no longer ours: told once for each connection."""
        if not peer.told:
            peer.told = True
            self._refused(peer.uid, {"uid": peer.uid, "what": what[:64]})
        return Refusal(f"{what!r} is not for this user: see MENWEI_SOCKET_USERS of the unit")

    def _refused(self, uid: int, data: dict[str, object]) -> None:
        if self._pace.may(asyncio.get_running_loop().time()):
            self._runtime.handle(Note("socket.refused", "control.sock", f"uid:{uid}", data | self._pace.held_back()))

    async def _converse(self, reader: asyncio.StreamReader, subscriber: Subscriber) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                subscriber.send(line_of({"op": "error", "why": f"a line is longer than {MAX_LINE} bytes"}))
                return
            if not line or subscriber.gone:
                return
            # One request of all peers' in a turn of the loop, however many come: what the gate itself has to do waits
            # for one of them at most.
            async with self._turn:
                answer = self._answer(line, subscriber)
                if isinstance(answer, dict):
                    subscriber.send(line_of(answer))
                await asyncio.sleep(0)
            if not isinstance(answer, dict):
                subscriber.send(line_of(await answer))
            with contextlib.suppress(ConnectionError):
                await subscriber.drain()

    def _answer(self, line: bytes, subscriber: Subscriber) -> dict[str, Any] | Awaitable[dict[str, Any]]:
        try:
            ask = msgspec.json.decode(line, type=Ask)
        except NOT_JSON as error:
            return {"op": "error", "why": f"not a request: {error}"}
        try:
            return self._dispatch(ask, subscriber)
        except Refusal as error:
            return {"op": "done", "id": ask.id, "ok": False, "why": str(error)}

    def _dispatch(self, ask: Ask, subscriber: Subscriber) -> dict[str, Any] | Awaitable[dict[str, Any]]:
        if not may_ask(subscriber.parts, ask.op):
            raise self._not_yours(subscriber, ask.op)
        match ask.op:
            case "state":
                return {"op": "state", "state": self._picture()}
            case "guard":
                return {"op": "guard", "guard": self.on_guard()}
            case "explain":
                return self.on_explain(ask.card, ask.reader, ask.at_ms)
            case "ping":
                return {"op": "pong", "turn_ms": self._runtime.turn_ms}
            case "subscribe":
                return self._subscribe(ask, subscriber)
            case "command":
                return self._command(ask, subscriber)
            case "stage":
                return self._stage(ask)
            case "path":
                return self._path(ask)
            case "given_up":
                return self._has_given_up(ask)
            case "synced":
                return self._is_synced(ask)
            case "note":
                return self._note(ask, subscriber)
            case "policy":
                return self._policy(ask)
            case "order":
                return self._order(ask)
            case "order_keys":
                return {"op": "order_keys", "keys": [key.hex() for key in self.order_keys()]}
            case "anchor":
                self.on_anchor(ask.note.encode())
                return {"op": "done", "id": ask.id, "ok": True}
            case "ahead":
                self.on_ahead(ask.epoch, ask.seq)
                return {"op": "done", "id": ask.id, "ok": True}
            case _:
                return {"op": "error", "why": f"unknown op {ask.op!r}"}

    def _subscribe(self, ask: Ask, subscriber: Subscriber) -> dict[str, Any]:
        subscriber.wants_state = ask.state
        self._subscribers.add(subscriber)
        head = self._runtime.durable_seq
        loop = asyncio.get_running_loop()
        loop.call_soon(subscriber.send, line_of({"op": "head", "epoch": self._runtime.state.epoch, "seq": head}))
        for record in self._undurable:
            if record.ref <= self._from_memory:  # the journal cannot tell it, so nobody else will
                line = line_of({"op": "alarm", "record": record, "durable": False})
                loop.call_soon(subscriber.send, line)
        if ask.state:
            loop.call_soon(subscriber.send, line_of({"op": "state", "state": self._picture()}))
        return {"op": "subscribed", "epoch": self._runtime.state.epoch, "head": head}

    def _command(self, ask: Ask, peer: Subscriber) -> dict[str, Any]:
        rank = _rank(ask.rank)
        if not may_claim(peer.parts, rank):
            raise self._not_yours(peer, f"rank {rank.value}")
        if not (ask.id and ask.actor and ask.verb):
            raise Refusal("a command needs id, actor and verb")
        records = self._runtime.handle(Command(ask.id, rank, ask.actor, ask.verb, ask.args))
        why = refusal(records)
        answer: dict[str, Any] = {"op": "done", "id": ask.id, "ok": not why}
        return answer | ({"why": why} if why else {"records": [record.ref for record in records]})

    def _stage(self, ask: Ask) -> dict[str, Any]:
        try:
            stage = Stage(ask.stage)
        except ValueError:
            raise Refusal(f"unknown stage {ask.stage!r}") from None
        self._must_be_a_path(ask.path)
        ref = (ask.epoch, ask.seq)
        now = asyncio.get_running_loop().time()
        self._runtime.latencies.stage(ref, stage)
        if stage in FROM_AFAR:
            self.receipts[ask.path] = now
        return self._done(ask, AlarmStage(ref, ask.path, stage, ask.by, now))

    def _must_be_a_path(self, name: str) -> None:
        if name not in self._runtime.state.rules.paths:
            raise Refusal(f"the site file that control runs by names no path {name[:64]!r}")

    def _has_given_up(self, ask: Ask) -> dict[str, Any]:
        self._must_be_a_path(ask.path)
        self.given_up[ask.path] = max(ask.number, 0)
        return {"op": "done", "id": ask.id, "ok": True}

    def _path(self, ask: Ask) -> dict[str, Any]:
        self._must_be_a_path(ask.path)
        self._paths.tell(PathHealth(ask.path, ask.up, ask.why))
        return {"op": "done", "id": ask.id, "ok": True}

    def _note(self, ask: Ask, peer: Subscriber) -> dict[str, Any]:
        if ask.kind in WEIGHT and ask.kind not in _NOTABLE:
            raise Refusal(f"records of kind {ask.kind!r} are written by the gate itself")
        if len(_encode((ask.kind, ask.subject, ask.actor, ask.data))) > MOST_NOTE:
            raise Refusal(f"a note is longer than {MOST_NOTE} bytes")
        pace = self._notes[peer.uid]
        if peer.parts != ALL and not pace.may(asyncio.get_running_loop().time()):
            raise Refusal("too many notes at once: this one is only counted")
        return self._done(ask, Note(ask.kind, ask.subject, ask.actor, ask.data | pace.held_back()))

    def _policy(self, ask: Ask) -> dict[str, Any] | Awaitable[dict[str, Any]]:
        """A bundle in pieces; the last one is answered when it was judged, and in force if it was good."""
        whole = self._uploads.take(ask.id, ask.number, ask.piece, ask.last)
        if whole is None:
            return {"op": "done", "id": ask.id, "ok": True}
        if self.on_policy is None:
            raise Refusal("policies are not taken now")
        return self.on_policy(whole, ask.actor, ask.subject)

    def _order(self, ask: Ask) -> dict[str, Any]:
        if self.on_order is None:
            raise Refusal("commands from afar are not taken now")
        why = self.on_order(ask.order.encode("utf-8", "replace"), ask.retained)
        return {"op": "done", "id": ask.id, "ok": not why} | ({"why": why} if why else {})

    def _is_synced(self, ask: Ask) -> dict[str, Any]:
        state = self._runtime.state
        if (ask.epoch, ask.seq) >= (state.epoch, state.next_seq):
            raise Refusal(f"record {ask.epoch}-{ask.seq} is not written yet: nobody can have it")
        self._synced(ask.epoch, ask.seq)
        return {"op": "done", "ok": True}

    def _done(self, ask: Ask, event: Event) -> dict[str, Any]:
        records = self._runtime.handle(event)
        return {"op": "done", "id": ask.id, "ok": True, "records": [record.ref for record in records]}


def _rank(text: str) -> Rank:
    try:
        rank = Rank(text)
    except ValueError:
        raise Refusal(f"unknown rank {text!r}") from None
    if not may_claim(ALL, rank):
        raise Refusal(f"nobody speaks as {text!r} over this socket")
    return rank


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    peer: socket.socket = writer.get_extra_info("socket")
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    return int(uid)


async def _answers(path: Path) -> bool:
    """Whether a live control is behind the socket file."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_unix_connection(str(path)), 1.0)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
