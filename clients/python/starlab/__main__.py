"""``python -m starlab``: the command line without its console script."""

from starlab.cli import main

main()
