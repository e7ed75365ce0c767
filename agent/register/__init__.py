"""What the gatehouse writes down of people who do not belong to the school: encrypted, erasable, not in the journal."""
