"""The board's state machine in lock-step with the model's board, on random walks of the model.

Whatever the modelled network, host and crashes do to the board is done to the machine, as frames;
after every event both must have begun the same commands and sent the same replies and refusals.
"""

import random
import zlib
from typing import Any

import pytest
from tests.spec.model.protocol import Protocol
from tests.spec.model.world import (
    FAILURES,
    Board,
    Command,
    Confirm,
    Event,
    Happening,
    Place,
    Refusal,
    Reply,
    Status,
    World,
)

from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import Acknowledgement, Frame, FrameFlag, FrameType, Hello
from starlab_spec.wire.responder.execution import EnterSafe, Execution
from starlab_spec.wire.responder.responder import Responder

BOOT = 0x600D0000
WINDOW = 2
LIFE_FRAMES = 1000
"""A resumed session goes on with frame numbers so far away."""
HOST = "host"


class SessionIds(random.Random):
    """Gives 1, 2, ... after every boot: session ids of before a restart come again."""

    def __init__(self) -> None:
        super().__init__(0)
        self._last = 0

    def randrange(self, *_: Any) -> int:
        self._last += 1
        return self._last


class Machine:
    """The state machine under test, and all that it has done."""

    faults = 0
    is_safe = False
    lifetime_pulses = 0

    def __init__(self, cache: int) -> None:
        self._cache = cache
        self._nonce = 0
        self._now = 0.0
        self._next_of_life: dict[tuple[Place, int], tuple[int, int]] = {}
        self._life = 0
        self._reply_frames: dict[tuple[Place, int, int], int] = {}
        self.begun: list[tuple[Place, int, int]] = []
        self.said: set[tuple[Any, ...]] = set()
        self.running: Execution | None = None
        self.boot_id = BOOT
        self.responder: Responder[str] = Responder(self, rng=SessionIds())

    def identity(self) -> dict[str, Any]:
        return {}

    # ---- what the model's events are in frames

    def follow(self, event: Event, after: World) -> None:
        """Do to the machine what the event did to the model's board."""
        self._now += 1.0
        self._life = after.board.life
        match event:
            case Happening.OPENS:
                self._greet(after, resume=0)
            case Happening.RESUMES | Happening.RESUMES_BLINDLY:
                assert after.host.place is not None
                self._greet(after, resume=after.host.place.session)
            case Happening.RESTARTS:
                self.boot_id += 1
                self.running = None
                self.responder = Responder(self, rng=SessionIds())
            case Happening.BEGINS:
                self._take_work()
            case Happening.COMPLETES:
                self._complete(tr.Status.OK)
            case Command():
                self._command(event)
            case Confirm():
                self._confirm(event)
            case _:
                return  # of no concern to the board
        if after.board.executing is None and self.running is not None:
            self._complete(tr.Status.ABORTED)  # of a session that is over
        self._listen()

    def _greet(self, after: World, resume: int) -> None:
        host = after.host
        assert host.place is not None
        first = host.life * LIFE_FRAMES
        first_id = min([host.next_id, *(sent.id for sent in host.outstanding)])
        self._next_of_life[host.place, host.life] = (first, first_id)
        self._nonce += 1
        hello = codec.encode_hello(Hello(window=WINDOW, resume_session=resume))
        self._receive(Frame(FrameType.HELLO, 0, sequence=first, message=self._nonce, payload=hello))
        session = self.responder._holder
        assert session is not None
        session.session._cache.capacity = self._cache

    def _command(self, command: Command) -> None:
        place = command.place
        first, first_id = self._next_of_life[place, command.life]
        payload = tr.encode_transactions([tr.start(1 << command.command)])
        self._receive(
            Frame(
                FrameType.COMMAND,
                FrameFlag.LAST,
                place.session,
                BOOT + place.boot,
                sequence=first + command.id - first_id,
                acknowledged=self._acknowledgement(place, command.life, command.confirmed),
                message=command.id,
                payload=payload,
            )
        )

    def _confirm(self, confirm: Confirm) -> None:
        place = confirm.place
        upto = self._acknowledgement(place, confirm.life, confirm.id)
        self._receive(
            Frame(
                FrameType.ACK,
                0,
                place.session,
                BOOT + place.boot,
                acknowledged=upto,
                payload=codec.encode_ack(Acknowledgement(upto)),
            )
        )

    def _acknowledgement(self, place: Place, life: int, confirmed: int) -> int:
        """What a host acknowledges that has the replies up to an id: all frames up to that one."""
        return self._reply_frames.get((place, life, confirmed), -1) + 1

    def _receive(self, frame: Frame) -> None:
        self.responder.receive(codec.encode_frame(frame), HOST, self._now)

    # ---- what the machine does

    def _take_work(self) -> None:
        work = self.responder.take_work()
        while isinstance(work, EnterSafe):
            work = self.responder.take_work()
        assert work is not None
        self.running = work
        place = Place(self.boot_id - BOOT, work.session_id)
        operation = int.from_bytes(work.transactions[0].data, "big")
        self.begun.append((place, work.message_id, operation.bit_length() - 1))

    def _complete(self, status: tr.Status) -> None:
        assert self.running is not None
        work, self.running = self.running, None
        results = [tr.Result(tr.Opcode.START, status)]
        self.responder.complete(work, results, self._now)

    def _listen(self) -> None:
        for _, datagram in self.responder.datagrams(self._now):
            frame = codec.decode_frame(datagram)
            place = Place(frame.boot - BOOT, frame.session)
            if frame.type == FrameType.NAK:
                self.said.add(("refusal", frame.session, place.boot))
            elif frame.type == FrameType.REPLY:
                status = tr.Status(tr.decode_results(frame.payload)[0].status)
                if status.value in {status.value for status in Status}:
                    self.said.add(("reply", place, frame.message, status.name))
                if status is tr.Status.OK:
                    self._reply_frames.setdefault(
                        (place, self._life, frame.message), frame.sequence
                    )


def said(world: World) -> set[tuple[Any, ...]]:
    """All that the model's board has sent."""
    sent: set[tuple[Any, ...]] = set()
    for message in world.network:
        if isinstance(message, Reply):
            sent.add(("reply", message.place, message.id, message.status.name))
        elif isinstance(message, Refusal):
            sent.add(("refusal", message.place.session, message.boot))
    return sent


def state_of(board: Board) -> tuple[int, int] | None:
    """What a STATUS would say; None without a session."""
    return (board.next_id, board.executing.id if board.executing else 0) if board.is_open else None


def machine_state(machine: Machine) -> tuple[int, int] | None:
    holder = machine.responder._holder
    if holder is None:
        return None
    return holder.session.next_message, holder.session.executing_message


@pytest.mark.parametrize("cache", [1, 2, 8])
def test_the_machine_does_what_the_model_does(cache: int) -> None:
    protocol = Protocol(
        commands=5, window=WINDOW, cache=cache, sessions=3, host_crashes=2, board_crashes=1
    )
    seen = set[str]()
    for walk in range(200):
        rng = random.Random(zlib.crc32(f"{cache} {walk}".encode()))
        world, machine, story = World(), Machine(cache), []
        for _ in range(40):
            steps = list(protocol.steps(world))
            if not steps:
                break
            fine = [step for step in steps if step[0] not in FAILURES]
            event, world = rng.choice(fine if fine and rng.random() < 0.9 else steps)
            story.append(str(event))
            machine.follow(event, world)
            assert machine.begun == [tuple(executed) for executed in world.executed], story
            assert machine_state(machine) == state_of(world.board), story
            assert machine.said == said(world), story
        seen.update(story)
    assert {happening.value for happening in Happening} <= seen
