"""What holds for all tests: random examples are the same in every run, and nothing is timed."""

from hypothesis import settings

settings.register_profile("starlab", derandomize=True, deadline=None)
settings.load_profile("starlab")
