"""Background for the box: facts to be recorded, over control's own socket, at a steady rate.

`python -m bench.load SOCKET RATE` until ended. Prints its real rate once a second.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

GROUP = 60


def main() -> int:
    path, rate = sys.argv[1], int(sys.argv[2])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.connect(path)
        threading.Thread(target=_swallow, args=(peer,), daemon=True).start()
        data = {"text": "x" * 60}
        note = {"op": "note", "kind": "bench.background", "subject": "bench", "actor": "bench", "data": data}
        lines = (json.dumps(note) + "\n").encode() * GROUP
        due = told = time.monotonic()
        sent = 0
        while True:
            peer.sendall(lines)
            sent += GROUP
            due += GROUP / rate
            now = time.monotonic()
            if now - told >= 1.0:
                print(json.dumps({"rate": round(sent / (now - told))}), flush=True)
                sent, told = 0, now
            time.sleep(max(0.0, due - now))


def _swallow(peer: socket.socket) -> None:
    while peer.recv(1 << 16):
        continue


if __name__ == "__main__":
    raise SystemExit(main())
