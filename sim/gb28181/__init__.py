"""A police platform that speaks GB/T 28181: `python -m sim.gb28181`."""
