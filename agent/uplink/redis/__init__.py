"""The journal and the alarms as streams in the district's Redis; redis-py is loaded only where it is used."""
