"""A board that speaks only the authors' protocol, driven by the published block alone.

`AuthorsSession` takes the same commands as a session with a board of ours. What such a command asks
of our extension block is done here, on the host, by the published operations: row by row and sample
by sample.
"""

from starlab_host.authors.session import AuthorsSession, identity_of

__all__ = ["AuthorsSession", "identity_of"]
