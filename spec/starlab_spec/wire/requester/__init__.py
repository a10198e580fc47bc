"""The host's role: commands out, replies in, each executed once or named."""
