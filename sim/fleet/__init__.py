"""The reference receiver of a fleet: boxes from a broker, their records into Redis, one writer for each box.

`python -m sim.fleet --broker 127.0.0.1:1883 --redis redis://127.0.0.1:6379 --workers 2`. `docs/fleet.md` tells why.
"""
