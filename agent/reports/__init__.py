"""The month for the five rules, told from the journal alone: `menwei report` and the page `/reports`."""
