"""Where the chip sits: which one it is, and how another one is put in."""
