"""Sessions with a board: commands, their replies, and whoever waits for them."""
