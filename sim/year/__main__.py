"""`python -m sim.year --seed 7 --days 365`: play a school year, judge every step, print the summary. 0: all held."""

from __future__ import annotations

import argparse
import sys

from sim.year.run import PUPILS, play, told


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sim.year")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--pupils", type=int, default=PUPILS)
    arguments = parser.parse_args()
    if arguments.days < 1 or arguments.pupils < 0:
        print("days is at least 1, pupils at least 0", file=sys.stderr)
        return 2
    year = play(arguments.seed, arguments.days, arguments.pupils)
    print(told(year))
    return 1 if year.broken else 0


if __name__ == "__main__":
    sys.exit(main())
