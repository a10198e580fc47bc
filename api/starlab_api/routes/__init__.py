"""Routes, a module for each noun. Each hands its call to a board and words the reply."""
