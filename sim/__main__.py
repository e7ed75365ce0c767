"""`python -m sim --site FILE`: the simulator as a process of its own."""

from __future__ import annotations

import sys

from sim.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
