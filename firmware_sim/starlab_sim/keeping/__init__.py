"""What outlives the process of an emulated board, and how it is checked."""
