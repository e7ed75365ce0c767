"""The alarm path to a video and alarm platform by GB/T 28181."""
