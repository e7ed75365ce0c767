"""The live self-test: `menwei doctor`."""
