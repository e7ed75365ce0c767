"""The alarm path to a receiving centre by SIA DC-09."""
