"""A school's policy on its way to the gate: the files an office edits, the signed bundle, the box's store, the
names."""
