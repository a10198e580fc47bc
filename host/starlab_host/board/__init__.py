"""A board as a host sees it: registers, memory, supplies, and what it may be told."""
