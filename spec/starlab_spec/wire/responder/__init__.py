"""The board's role: commands in, each executed once, and their replies kept."""
