"""What control tells of itself: the picture with the shell's own figures in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs

from agent import picture as pic
from agent.control.anchor import Anchor
from agent.control.clock import BoxClock
from agent.control.lanes import LaneWorker
from agent.control.reconcile import Picture
from agent.control.runtime import Runtime
from agent.control.spine import Spine
from agent.control.trend import Trend
from agent.core import box
from agent.picture.build import MAX_PRESSES, Extras, PathFigures, picture
from agent.picture.devices import DeviceFigures
from agent.picture.guard import Guard, guard
from agent.preview import explain
from hardware.site import Site
from hardware.ways import sync_names


class View:
    """Builds the picture on request."""

    def __init__(
        self,
        site: Site,
        runtime: Runtime,
        clock: BoxClock,
        outputs: Picture,
        spine: Spine,
        lanes: Mapping[str, LaneWorker],
        anchor: Anchor,
    ) -> None:
        self._site = site
        self._runtime = runtime
        self._clock = clock
        self._outputs = outputs
        self._spine = spine
        self._lanes = lanes
        self._anchor = anchor
        self.devices: Callable[[], Mapping[str, DeviceFigures]] = dict
        self.orders: Callable[[], pic.Orders] = pic.Orders
        self.receipts: Mapping[str, float] = {}  # path → when it last told of an alarm that is there
        self.given_up: Mapping[str, int] = {}  # path → alarm messages it has given up
        self.machine = pic.Machine()
        self.trend = Trend()

    def picture(self) -> pic.Picture:
        now = self._clock.now()
        state = self._runtime.state
        return picture(state, now, box.desired(state, now), self._site, self._extras())

    def guard(self) -> Guard:
        """What only the guard's side may see."""
        return guard(self._runtime.state, self._clock.now())

    def explain(self, card: str, reader: str, at_ms: int) -> dict[str, Any]:
        """Why this card would be let through or refused, now or then; nothing of it happens."""
        try:
            found = explain.on_the_box(self._runtime.state, self._clock.now(), card, reader, at_ms)
        except explain.Misasked as error:
            return {"op": "done", "ok": False, "why": str(error)}
        return {"op": "explain", "answer": found}

    def _extras(self) -> Extras:
        names = [f"lock:{door.id}" for door in self._site.door]
        names += [f"lamp:{lamp}" for lamp in ("sent", "received", "coming", "fault")] + ["siren"]
        presses = reversed(self._runtime.latencies.presses[-MAX_PRESSES:])
        return Extras(
            turn_ms=self._runtime.turn_ms,
            read_back={name: self._outputs.actual(name) for name in names},
            lights={lane: worker.light for lane, worker in self._lanes.items()},
            journal=self._journal(),
            paths=self._paths(),
            presses=tuple(pic.Press(ref=press.ref, hops=press.hops) for press in presses),
            hops=self._runtime.latencies.percentiles(),
            devices=self.devices(),
            machine=self.machine,
            orders=self.orders(),
            bollards=self.trend.figures(),
        )

    def _paths(self) -> dict[str, PathFigures]:
        """Paths that take the whole journal have a backlog; the others tell of alarms alone."""
        whole, backlog = frozenset(sync_names(self._site)), self._spine.backlog()
        return {
            path: PathFigures(
                backlog=backlog if path in whole else None,
                last_receipt_at=self._spine.synced_at if path in whole else self.receipts.get(path),
                given_up=self.given_up.get(path, 0),
            )
            for path in {*whole, *self.receipts, *self.given_up}
        }

    def _journal(self) -> pic.JournalPart:
        anchor, figures = self._anchor, self._spine.figures()
        if anchor.at_s is None:
            return figures
        at = round(anchor.at_s * 1000)
        return structs.replace(figures, anchored_epoch=anchor.epoch, anchored_size=anchor.size, anchored=at)
