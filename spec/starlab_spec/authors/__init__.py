"""The protocol of the chip authors' own board: requests and replies over TCP. Opens no socket.

Facts: register map, "The authors' board speaks TCP" [C]. What a reply's header holds is not
published: here it repeats the first bytes of the request [O].
"""

from starlab_spec.authors.parser import OutOfStep, RequestParser
from starlab_spec.authors.requests import (
    CHUNK_BYTES,
    HEADER_BYTES,
    REPLY_BYTES_MAX,
    TCP_PORT,
    TCP_READ_MAX,
    Op,
    Request,
    get_register,
    interrupt_length,
    read_memory,
    reply,
    reply_word,
    set_register,
    set_supply,
    user_space,
    write_memory,
)

__all__ = [
    "CHUNK_BYTES",
    "HEADER_BYTES",
    "REPLY_BYTES_MAX",
    "TCP_PORT",
    "TCP_READ_MAX",
    "Op",
    "OutOfStep",
    "Request",
    "RequestParser",
    "get_register",
    "interrupt_length",
    "read_memory",
    "reply",
    "reply_word",
    "set_register",
    "set_supply",
    "user_space",
    "write_memory",
]
