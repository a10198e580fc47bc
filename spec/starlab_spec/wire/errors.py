"""What can be wrong with bytes that claim to be of the wire protocol. Never about a lost frame.

WireError                  (a SpecError, hence a ValueError)
├── FrameError             not a frame: too short, wrong magic, length or CRC
│   ├── DamagedFrame       its CRC is wrong
│   └── UnknownVersion     a well-formed frame of a version that is not spoken here
├── PayloadError           a sound frame whose payload is not what its type says
└── TransactionError       a command or reply whose transactions cannot be read
"""

from starlab_spec.errors import SpecError


class WireError(SpecError):
    """Root of everything that is wrong with received bytes."""


class FrameError(WireError):
    """The bytes are no frame of this protocol: drop and count them."""


class DamagedFrame(FrameError):
    """The CRC does not match: something on the way altered the frame."""


class UnknownVersion(FrameError):
    """A well-formed frame of another version.

    Attributes:
        version: The version byte of the frame.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"frame of version {version >> 4}.{version & 15}; 1.0 is spoken here")


class PayloadError(WireError):
    """The payload of a frame does not have the layout of the frame's type."""


class TransactionError(WireError):
    """The transactions of a command, or the results of a reply, cannot be read."""
