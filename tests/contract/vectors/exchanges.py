"""Vectors of whole exchanges, seen from the board: what comes in, what it executes and sends."""

from collections.abc import Callable
from typing import Final

from tests.contract.vectors import wire_bytes as wb
from tests.contract.vectors.frames import Vector
from tests.contract.vectors.script import (
    ABORT,
    BOOT,
    DONE,
    PULSE,
    SESSIONS,
    STOPPED,
    Script,
    reply,
    says,
    sends,
)

FORM = wb.item(wb.OPCODES["START"], data=wb.words(1 << 17))


def exchange_vectors() -> list[Vector]:
    """All of them."""
    scripts = []
    for write in _EXCHANGES:
        name, _, about = (write.__doc__ or "").partition(": ")
        script = Script(name, about)
        write(script)
        scripts.append(script.vector)
    return scripts


def one_command(s: Script) -> None:
    """One command: executed once, answered with its results, its frame acknowledged."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.completes(1, reply(1, "OK", lacks=["REPLAYED", "BUSY"], sequence=0, acknowledged=1))


def lost_reply(s: Script) -> None:
    """Lost reply: the same frame again is answered from the cache, and not executed again."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.completes(1, reply(1, "OK", lacks=["REPLAYED"]))
    s.receives(s.command(1, flags=wb.LAST | wb.ACK_NOW), reply(1, "OK", flags=["REPLAYED"]))
    s.receives(s.command(1, flags=wb.LAST | wb.ACK_NOW), reply(1, "OK", flags=["REPLAYED"]))


def new_frame_old_command(s: Script) -> None:
    """Old command in a new frame: the message id counts, not the sequence number."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.completes(1, reply(1, "OK"))
    s.receives(s.command(1, sequence=1, acknowledged=1), reply(1, "OK", flags=["REPLAYED"]))
    s.receives(s.command(2, sequence=2, acknowledged=1), begins=[2])


def duplicate_while_executing(s: Script) -> None:
    """Duplicate while executing: IN_PROGRESS at once, the reply when it is done."""
    s.opens()
    s.receives(s.command(1), sends("ACK"), begins=[1])
    s.receives(s.command(1), reply(1, "IN_PROGRESS"))
    s.receives(
        s.frame("STATUS_REQUEST", sequence=1),
        says("STATUS", next_message_id=1, executing_message_id=1, state="EXECUTING"),
    )
    s.completes(1, reply(1, "OK", lacks=["REPLAYED"]))


def reordered(s: Script) -> None:
    """Reordered: commands are held and executed in the order of their message ids."""
    s.opens()
    s.receives(s.command(3), says("ACK", cumulative=0, bitmap="40" + 30 * "0"))
    s.receives(s.command(2), says("ACK", cumulative=0, bitmap="c0" + 30 * "0"))
    s.receives(s.command(1), says("ACK", cumulative=3, bitmap=32 * "0"), begins=[1])
    s.completes(1, reply(1, "OK", sequence=0), begins=[2])
    s.completes(2, reply(2, "OK", sequence=1), begins=[3])
    s.completes(3, reply(3, "OK", sequence=2))


def another_command_under_an_id(s: Script) -> None:
    """ID_REUSED: another request under a used message id is not executed; the session ends."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.completes(1, reply(1, "OK"))
    s.receives(
        s.command(1, FORM, sequence=1, acknowledged=1),
        reply(1, "ID_REUSED"),
        sends("RESET"),
        safe=True,
    )
    s.receives(s.command(2, sequence=2, acknowledged=2), says("NAK", status="ID_REUSED"))


def another_command_under_an_executing_id(s: Script) -> None:
    """ID_REUSED while executing: what executes is told to stop, and the session ends."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.receives(
        s.command(1, FORM, sequence=1),
        reply(1, "ID_REUSED"),
        sends("RESET"),
        aborts=True,
        safe=True,
    )
    s.completes(1, results=STOPPED)


def too_old(s: Script) -> None:
    """TOO_OLD: an id below the cache is never executed again; four windows of replies are kept."""
    s.opens(window=1)
    for number in range(1, 6):
        s.receives(s.command(number, acknowledged=number - 1), begins=[number])
        s.completes(number, reply(number, "OK", sequence=number - 1))
    s.receives(s.command(1, acknowledged=5), reply(1, "TOO_OLD"))
    s.receives(s.command(2, acknowledged=6), reply(2, "OK", flags=["REPLAYED"]))


def full_cache(s: Script) -> None:
    """Full cache: no reply is forgotten before the host has it; until then nothing new begins."""
    s.opens(window=4)
    for number in range(1, 17):
        s.receives(s.command(number), begins=[number])
        answer = [reply(number, "OK", sequence=number - 1)] if number <= 4 else []
        s.completes(number, *answer, may_send=["REPLY"])
    s.receives(s.command(17), may_send=["REPLY"])
    s.receives(s.command(1), sends("REPLY", "REPLAYED", message=1, sequence=0), may_send=["REPLY"])
    s.receives(s.frame("ACK", wb.ack(4), sequence=17, acknowledged=4), may_send=["REPLY"])
    s.receives(s.command(17, acknowledged=4), may_send=["REPLY"], begins=[17])


def loss_both_ways(s: Script) -> None:
    """Loss both ways: the reply is sent again after a timeout, until the host acknowledges it."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.completes(1, reply(1, "OK", sequence=0))
    s.waits(1.5, reply(1, "OK", sequence=0))
    s.receives(s.frame("ACK", wb.ack(1), sequence=1, acknowledged=1))
    s.receives(s.command(2, acknowledged=1), begins=[2])
    s.completes(2, reply(2, "OK", sequence=1))


def fragments(s: Script) -> None:
    """Fragments: executed when whole, whatever their order; a reply may have fragments, too."""
    content = bytes(range(200))
    whole = wb.item(wb.OPCODES["WRITE_MEM"], address=0x100, data=content)
    parts = [whole[at : at + 100] for at in range(0, len(whole), 100)]
    s.opens(payload=100)

    def part(index: int) -> bytes:
        return s.frame(
            "COMMAND",
            parts[index],
            flags=wb.LAST if index == 2 else 0,
            sequence=index,
            message=1,
            fragment=index,
            fragments=3,
        )

    s.receives(part(2), sends("ACK"))
    s.receives(part(0))
    s.receives(part(2), sends("ACK"))
    s.receives(part(1), begins=[1])
    s.completes(1, reply(1, "OK"), results=wb.item(wb.OPCODES["WRITE_MEM"], address=0x100))
    read = wb.item(wb.OPCODES["READ_MEM"], address=0x100, data=wb.words(200))
    s.receives(s.command(2, read, sequence=3, acknowledged=1), begins=[2])
    s.completes(
        2,
        sends("REPLY", lacks=["LAST"], message=2, sequence=1, fragment=0, fragments=3),
        sends("REPLY", lacks=["LAST"], message=2, sequence=2, fragment=1, fragments=3),
        sends("REPLY", "LAST", message=2, sequence=3, fragment=2, fragments=3),
        results=wb.item(wb.OPCODES["READ_MEM"], address=0x100, data=content),
    )


def aborted(s: Script) -> None:
    """ABORT: stops what executes, and what was sent before it and has not begun never begins."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.receives(s.command(2))
    s.receives(s.command(3, ABORT), aborts=True)
    s.completes(1, reply(1, "ABORTED"), reply(2, "ABORTED"), results=STOPPED, begins=[3])
    s.completes(3, reply(3, "OK"), results=wb.item(wb.OPCODES["ABORT"]))
    s.receives(s.command(4, acknowledged=3), begins=[4])


def abort_overtakes(s: Script) -> None:
    """ABORT that overtakes: it acts at once, though a command before it has not arrived."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.receives(s.command(3, ABORT), aborts=True)
    s.completes(1, reply(1, "ABORTED"), results=STOPPED)
    s.receives(s.command(2), reply(2, "ABORTED"), begins=[3])
    s.completes(3, reply(3, "OK"), results=wb.item(wb.OPCODES["ABORT"]))


def restarted(s: Script) -> None:
    """Restart: a command of before the restart is refused, and the new boot id says why."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.restarts(BOOT + 1)
    s.receives(s.command(1), sends("NAK", boot=BOOT + 1))
    s.receives(s.command(2), sends("NAK", boot=BOOT + 1))
    s.receives(s.frame("STATUS_REQUEST"), sends("NAK", boot=BOOT + 1))


def same_session_other_boot(s: Script) -> None:
    """Same session id after a restart: the boot id alone tells that a command is of before."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.completes(1, reply(1, "OK"))
    s.restarts(BOOT + 1)
    s.receives(
        wb.frame("HELLO", wb.hello(), message=0xABBB),
        says("HELLO_ACK", session_id=SESSIONS[0], boot_id=BOOT + 1, next_message_id=1),
    )
    s.receives(s.command(1), sends("NAK", boot=BOOT + 1))
    s.receives(s.command(1, boot=BOOT + 1), begins=[1])


def resumed(s: Script) -> None:
    """Resumed: a host that lost its memory learns what was executed, and gets the reply again."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.completes(1, reply(1, "OK"))
    s.receives(
        wb.frame("HELLO", wb.hello(resume=s.session), sequence=5000, message=0xABBC),
        says("HELLO_ACK", session_id=s.session, boot_id=BOOT, next_message_id=2),
    )
    s.receives(s.command(1, sequence=5000), reply(1, "OK", flags=["REPLAYED"]))
    s.receives(s.command(2, sequence=5001), begins=[2])


def resumed_while_executing(s: Script) -> None:
    """Resumed while executing: what a host has forgotten is answered only if it asks for it."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.receives(
        wb.frame("HELLO", wb.hello(resume=s.session), sequence=5000, message=0xABBC),
        says("HELLO_ACK", session_id=s.session, boot_id=BOOT, next_message_id=1),
    )
    s.completes(1)
    s.receives(s.command(1, sequence=5000), reply(1, "OK", flags=["REPLAYED"]))
    s.receives(s.command(2, sequence=5001), begins=[2])


def late_after_a_resumption(s: Script) -> None:
    """Late after a resumption: commands sent before it, and not begun, are dropped."""
    s.opens()
    s.receives(s.command(2))
    s.receives(
        wb.frame("HELLO", wb.hello(resume=s.session), sequence=5000, message=0xABBC),
        says("HELLO_ACK", session_id=s.session, boot_id=BOOT, next_message_id=1),
    )
    s.receives(s.command(1))
    s.receives(s.command(1, FORM, sequence=5000), begins=[1])
    s.completes(1, reply(1, "OK", lacks=["REPLAYED"]))


def fenced(s: Script) -> None:
    """Fenced: an older lease is refused, a newer one closes the session and stops its command."""
    s.opens(epoch=5)
    s.receives(
        wb.frame("HELLO", wb.hello(epoch=4, name=b"late"), message=1),
        says("NAK", status="FENCED"),
        host="B",
    )
    s.receives(s.command(1), begins=[1])
    s.receives(
        wb.frame("HELLO", wb.hello(epoch=6, name=b"new"), message=2),
        sends("RESET", session=SESSIONS[0]),
        says("HELLO_ACK", session_id=SESSIONS[1], next_message_id=1),
        host="B",
        aborts=True,
        safe=True,
    )
    s.completes(1, results=STOPPED)
    s.receives(s.command(2), says("NAK", status="FENCED"))
    s.receives(s.frame("COMMAND", PULSE, session=SESSIONS[1], message=1), host="B", begins=[1])


def refused_terms(s: Script) -> None:
    """Refused terms: a version that the board does not speak, in HELLO and in a frame."""
    s.receives(
        wb.frame("HELLO", wb.hello(oldest=0x20, newest=0x21), message=1),
        says("NAK", status="UNSUPPORTED"),
    )
    s.receives(
        wb.sealed(wb.header(wb.TYPES["STATUS_REQUEST"], 0, version=0x20, message=2)),
        says("NAK", status="UNSUPPORTED"),
    )
    s.receives(
        wb.frame("HELLO", wb.hello(window=1000, payload=9000), message=3),
        says("HELLO_ACK", session_id=SESSIONS[0], window=128, payload_bytes=1408),
    )


def discovered(s: Script) -> None:
    """Discovered: a board without a session tells who it is; repeated HELLOs open one session."""
    s.receives(wb.frame("DISCOVER", message=9), sends("ANNOUNCE", session=0, boot=BOOT))
    hello = wb.frame("HELLO", wb.hello(name=b"host"), message=10)
    s.receives(hello, says("HELLO_ACK", session_id=SESSIONS[0]))
    s.receives(hello, says("HELLO_ACK", session_id=SESSIONS[0]))
    s.receives(wb.frame("DISCOVER", message=11), sends("ANNOUNCE", session=0), host="B")


def probed(s: Script) -> None:
    """Probed: jumbo frames are granted to the host whose probe of that size was answered."""
    wish = wb.hello(payload=8896, features=1)
    s.receives(
        wb.frame("HELLO", wish, message=1),
        says("HELLO_ACK", session_id=SESSIONS[0], payload_bytes=1408, features=0),
    )
    s.receives(wb.frame("DISCOVER", bytes(8896), message=2), says("ANNOUNCE", length=8896))
    s.receives(
        wb.frame("HELLO", wish, message=3),
        says("HELLO_ACK", session_id=SESSIONS[1], payload_bytes=8896, features=1),
        may_send=["RESET"],
        safe=True,
    )


def silent(s: Script) -> None:
    """Silent: after three seconds without a frame of its session the board goes to SAFE, once."""
    s.opens()
    s.receives(s.command(1), begins=[1])
    s.completes(1, reply(1, "OK", sequence=0))
    s.receives(s.frame("ACK", wb.ack(1), sequence=1, acknowledged=1))
    s.waits(2.9)
    s.receives(s.frame("STATUS_REQUEST", sequence=1, acknowledged=1), sends("STATUS"))
    s.waits(2.9)
    s.waits(0.2, safe=True)
    s.waits(10.0)
    s.receives(s.command(2, acknowledged=1), begins=[2])


def never_safe(s: Script) -> None:
    """Never SAFE: with features bit 1 silence is no reason for it; BYE is one all the same."""
    s.opens(features=2)
    s.waits(60.0)
    s.receives(s.frame("BYE"), sends("BYE"), safe=True)


def closed(s: Script) -> None:
    """Closed: BYE is answered, the board goes to SAFE, and later frames are refused."""
    s.opens()
    s.receives(s.frame("BYE"), sends("BYE"), safe=True)
    s.receives(s.command(1), sends("NAK", session=SESSIONS[0]))


def damaged(s: Script) -> None:
    """Damaged: what is no frame, or of no meaning, is dropped without an answer."""
    s.opens()
    good = s.command(1)
    s.receives(good[:-1] + bytes([good[-1] ^ 1]))
    s.receives(good[:-1])
    s.receives(b"")
    s.receives(s.frame("ACK", b"short"))
    s.receives(wb.sealed(wb.header(7, 0, session=s.session, boot=BOOT)))
    s.receives(s.command(1, DONE[:8]), reply(1, "BAD_REQUEST"))
    s.receives(s.command(2, acknowledged=1), begins=[2])


_EXCHANGES: Final[tuple[Callable[[Script], None], ...]] = (
    one_command,
    lost_reply,
    new_frame_old_command,
    duplicate_while_executing,
    reordered,
    another_command_under_an_id,
    another_command_under_an_executing_id,
    too_old,
    full_cache,
    loss_both_ways,
    fragments,
    aborted,
    abort_overtakes,
    restarted,
    same_session_other_boot,
    resumed,
    resumed_while_executing,
    late_after_a_resumption,
    fenced,
    refused_terms,
    discovered,
    probed,
    silent,
    never_safe,
    closed,
    damaged,
)
