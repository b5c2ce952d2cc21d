"""The pure ring: values and decisions. No socket, no SQL, no clock, no event loop."""
