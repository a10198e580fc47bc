"""What holds for all tests: random examples are the same in every run, and nothing is timed.

By night they are other ones each time, and more: `make test-night`. One that then fails becomes an
`@example` of its test.
"""

import signal

from hypothesis import settings

settings.register_profile("starlab", derandomize=True, deadline=None)
settings.register_profile("night", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("starlab")

# Whoever starts the tests in the background may have them ignore Ctrl-C, and all that they start
# would do so too. With a handler, programs begin with the system's own.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
