"""`python -m starlab_sim`: the emulated board as a program. Has no options of its own.

Where Ctrl-C meets the imports, it ends the process at once, and without a word.
"""

import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it to its end; returns the exit code."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from starlab_sim.program import main as run

    signal.signal(signal.SIGINT, before)
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
