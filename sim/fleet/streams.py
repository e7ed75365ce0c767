"""The streams as the receiver writes and reads them: whole groups in one go, each record once or not at all.

A script puts a box's records in only if its stream still ends where we think. Redis runs it as one step, so nothing
can come between the look and the writing, and no gap can get into a stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ResponseError
from redis.retry import Retry

from sim.box_messages import Ref, Row

ANSWER_S = 10.0

_APPEND = """
local last = '0-0'
if redis.call('EXISTS', KEYS[1]) == 1 then
  local told = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #told, 2 do
    if told[i] == 'last-generated-id' then last = told[i + 1] end
  end
end
if last ~= ARGV[1] then return last end
for i = 2, #ARGV, 2 do
  redis.call('XADD', KEYS[1], ARGV[i], 'body', ARGV[i + 1])
  last = ARGV[i]
end
return last
"""


class NotDurable(Exception):
    """An answer of this server would not mean "on disk"; the text says why."""


@dataclass(frozen=True, slots=True)
class Append:
    """Put `rows` behind `after`, the stream's end as far as we know; None: only tell where it ends."""

    key: str
    after: Ref | None
    rows: Sequence[Row]


class Streams:
    """One connection. RedisError means that nothing is known of what was being done."""

    def __init__(self, url: str, *, vouched: bool = False) -> None:
        self._client: Any = redis.Redis.from_url(
            url, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S
        )
        self._vouched = vouched
        self._script = ""

    def open(self) -> None:
        """Reach the server and see that it is durable. Raises RedisError or NotDurable."""
        self._script = self._client.script_load(_APPEND)
        settings = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}
        try:
            found = {name: self._client.config_get(name).get(name, "") for name in (*settings, "maxmemory-policy")}
        except ResponseError as error:
            if self._vouched:
                return
            raise NotDurable(f"Redis does not tell its settings ({error}); --vouch says that it syncs") from None
        wrong = [f"{name} {found[name]}, needed {right}" for name, right in settings.items() if found[name] != right]
        if found["maxmemory-policy"].startswith("allkeys"):
            wrong.append("maxmemory-policy throws out whole keys")
        if wrong:
            raise NotDurable("; ".join(wrong))

    def close(self) -> None:
        self._client.close()

    def ends(self, keys: Sequence[str]) -> dict[str, Ref | ResponseError]:
        """Where these streams end; (0, 0) for one that is not there."""
        return self.append([Append(key, None, ()) for key in keys])

    def append(self, wanted: Sequence[Append]) -> dict[str, Ref | ResponseError]:
        """Where each stream ends afterwards: at the last of its rows, or elsewhere if nothing was put in; or why the
        server refuses that one. Raises RedisError when nothing is known of any."""
        answers = self._append(wanted)
        if any(isinstance(answer, NoScriptError) for answer in answers):  # the server was started anew since `open`
            self._script = self._client.script_load(_APPEND)
            answers = self._append(wanted)
        told = {add.key: answer for add, answer in zip(wanted, answers, strict=True)}
        return {key: answer if isinstance(answer, ResponseError) else _ref(answer) for key, answer in told.items()}

    def _append(self, wanted: Sequence[Append]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        for add in wanted:
            words: list[str | bytes] = ["" if add.after is None else _id(add.after)]
            for row in add.rows:
                words += [_id(row.ref), row.body]
            pipe.evalsha(self._script, 1, add.key, *words)
        return pipe.execute(raise_on_error=False) if wanted else []

    def alarms(self, wanted: Sequence[tuple[str, Row]]) -> list[ResponseError | None]:
        """Put each alarm into its stream, whatever stands between; None where that was done, else why not."""
        pipe = self._client.pipeline(transaction=False)
        for key, row in wanted:
            pipe.xadd(key, {"body": row.body}, id=_id(row.ref))
        answers = pipe.execute(raise_on_error=False) if wanted else []
        return [answer if isinstance(answer, ResponseError) else None for answer in answers]

    def bodies(self, wanted: Sequence[tuple[str, Ref]]) -> list[bytes | None]:
        """What stands in each stream under each id; None where nothing does."""
        pipe = self._client.pipeline(transaction=False)
        for key, ref in wanted:
            pipe.xrange(key, _id(ref), _id(ref))
        found = pipe.execute(raise_on_error=False) if wanted else []
        return [_body(entries[0][1]) if isinstance(entries, list) and entries else None for entries in found]


def _body(fields: Mapping[bytes, bytes]) -> bytes | None:
    return fields.get(b"body", b"")


def _id(ref: Ref) -> str:
    return f"{ref[0]}-{ref[1]}"


def _ref(text: bytes) -> Ref:
    epoch, _, seq = text.partition(b"-")
    return int(epoch), int(seq)
