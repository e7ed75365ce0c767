"""The uplink role: what the gate has written goes to the district, alarms first, until the district has it.

`agent.uplink.role.run(site)` is the role; `docs/asyncapi.yaml` describes what it says and hears.
"""
