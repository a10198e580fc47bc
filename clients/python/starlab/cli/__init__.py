"""The command line ``starlab``."""
