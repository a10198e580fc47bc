"""The exchange vectors, run against the board's side of the protocol."""

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from tests.contract.vectors.files import FOLDER

from starlab_spec.wire import codec
from starlab_spec.wire.frames import Frame, FrameFlag, FrameType
from starlab_spec.wire.responder.execution import EnterSafe, Execution
from starlab_spec.wire.responder.responder import Responder
from starlab_spec.wire.transactions import Status, decode_results

VECTORS = json.loads((FOLDER / "exchanges.json").read_text(encoding="utf-8"))
UNASKED = {FrameType.ACK, FrameType.EVENT}


class GivenIds(random.Random):
    """Gives the session ids of a vector; else random."""

    def __init__(self, session_ids: list[int]) -> None:
        super().__init__(1)
        self._given = iter(session_ids)

    def randrange(self, *_: Any) -> int:
        return next(self._given)


class Board:
    """What the vector says of the board, and the state machine under test."""

    faults = 0
    is_safe = False

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self.lifetime_pulses: int = given["lifetime_pulses"]
        self.running: dict[int, Execution] = {}
        self._seen: set[tuple[int, int, int, int]] = set()
        self.restart(given["boot_id"])

    def identity(self) -> dict[str, Any]:
        return dict(self._given["identity"])

    def restart(self, boot_id: int) -> None:
        self.boot_id = boot_id
        self.running.clear()
        self.responder: Responder[str] = Responder(self, rng=GivenIds(self._given["session_ids"]))

    def run(self, step: dict[str, Any]) -> None:
        """One step: cause, then effects."""
        now = step["at_s"]
        sent = self._expire_until(now)
        if "receive" in step:
            self.responder.receive(bytes.fromhex(step["receive"]), step["host"], now)
        elif "complete" in step:
            results = decode_results(bytes.fromhex(step["results"]))
            self.responder.complete(self.running.pop(step["complete"]), results, now)
        elif "restart" in step:
            self.restart(step["restart"])
        before = {number: execution.aborted for number, execution in self.running.items()}
        begun, safe = self._take_work()
        sent += self._sent(now)
        self._check_sent(sent, step["sends"], step.get("may_send", ()))
        assert begun == step["begins"]
        assert safe == step["safe"]
        assert any(before.values()) == step["aborts"]

    def _expire_until(self, now: float) -> list[Frame]:
        """Let the timers run, but for the last instant; what that makes the board send."""
        sent = []
        while (due := self.responder.deadline()) is not None and due <= now:
            self.responder.expire(due)
            sent += self._sent(due)
        return sent

    def _sent(self, now: float) -> list[Frame]:
        return [codec.decode_frame(datagram) for _, datagram in self.responder.datagrams(now)]

    def _take_work(self) -> tuple[list[int], bool]:
        begun, safe = [], False
        while (work := self.responder.take_work()) is not None:
            if isinstance(work, EnterSafe):
                safe = True
            else:
                begun.append(work.message_id)
                self.running[work.message_id] = work
        return begun, safe

    def _check_sent(
        self, sent: list[Frame], expected: list[dict[str, Any]], may_send: Sequence[str]
    ) -> None:
        unasked = UNASKED | {FrameType[name] for name in may_send}
        missing = list(expected)
        for frame in sent:
            key = (frame.type, frame.session, frame.sequence, frame.message)
            if missing and matches(frame, missing[0]):
                missing.pop(0)
            else:
                assert frame.type in unasked or key in self._seen, frame
            self._seen.add(key)
        assert missing == [], sent


def matches(frame: Frame, expected: dict[str, Any]) -> bool:
    """Whether a frame is what a vector asks for."""
    flags = FrameFlag(frame.flags)
    return (
        frame.type == FrameType[expected["type"]]
        and all(getattr(frame, name) == value for name, value in expected["header"].items())
        and all(FrameFlag[name] in flags for name in expected.get("flags_set", ()))
        and all(FrameFlag[name] not in flags for name in expected.get("flags_clear", ()))
        and expected.get("payload", {}).items() <= payload(frame).items()
    )


def payload(frame: Frame) -> dict[str, Any]:
    """Fields of a payload that vectors ask for, by name."""
    if frame.type == FrameType.REPLY and frame.fragments == 1:
        results = decode_results(frame.payload)
        return {"statuses": [Status(result.status).name for result in results]}
    if frame.type == FrameType.HELLO_ACK:
        answer = codec.decode_hello_ack(frame.payload)
        return {
            "session_id": answer.session_id,
            "boot_id": answer.boot_id,
            "window": answer.window,
            "payload_bytes": answer.payload_bytes,
            "features": answer.features,
            "next_message_id": answer.next_message_id,
        }
    if frame.type == FrameType.ANNOUNCE:
        return {"length": len(frame.payload)}
    if frame.type == FrameType.ACK:
        ack = codec.decode_ack(frame.payload)
        return {"cumulative": ack.cumulative, "bitmap": f"{ack.bitmap:032x}"}
    if frame.type == FrameType.STATUS:
        status = codec.decode_status(frame.payload)
        return {
            "next_message_id": status.next_message_id,
            "executing_message_id": status.executing_message_id,
            "state": status.state.name,
        }
    if frame.type == FrameType.NAK:
        return {"status": Status(codec.decode_nak(frame.payload).status).name}
    return {}


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_a_board_does_as_the_exchange_says(vector: dict[str, Any]) -> None:
    board = Board(vector["board"])
    for step in vector["steps"]:
        board.run(step)
