"""The chip on a board: reading, pulsing, forming, programming, learning."""
