"""The server's boards: met, lost and found again, used by one writer at a time, stopped at once."""
