"""Reports of drills: made from the journal, signed with its key, shown and verified by command."""
