"""Who may ask, and how much: before any route is reached."""
