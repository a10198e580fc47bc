"""Requests and replies that hold arrays: JSON, `.npy` and `.npz` to one form and back."""
