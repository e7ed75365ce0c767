"""A school year in virtual time: the simulated world played against the pure core, every step judged."""
