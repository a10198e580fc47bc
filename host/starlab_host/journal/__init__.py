"""Commands that are written down before they are sent, and what became of them."""
