"""The core of "exactly once" as a model: all that can happen next, in any world. Sends nothing.

The network may deliver what it was ever given at any time, in any order, any number of times, or
never; host and board may crash. A handshake is one step: one that is lost has not happened. Each
rule of the protocol can be switched off, to see what it is for.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from tests.spec.model.world import (
    Board,
    Cached,
    Command,
    Confirm,
    Event,
    Executed,
    Happening,
    Host,
    Refusal,
    Reply,
    Sent,
    Status,
    Verdict,
    World,
)


class Rule(Enum):
    """A rule of the protocol, and who keeps it."""

    REPLY_CACHE = "board: a repeated command is answered from the cache"
    CONFIRMED_EVICTION = "board: a reply is evicted only once the host has confirmed it"
    TOO_OLD = "board: an id below the cache is never executed again"
    IN_PROGRESS = "board: what is executing is not begun again"
    IN_ORDER = "board: ids are executed in order"
    REQUEST_CRC = "board: another request under a known id is refused"
    SESSION_ID = "board: commands of another session are refused"
    BOOT_ID = "board: commands of before a restart are refused"
    FENCE = "board: commands of before a resumption are dropped"
    ASKED_ANEW = "board: what was begun before a resumption is answered only when asked for again"
    NEVER_RESEND = "host: what was in flight when the board restarted is not sent again"
    ASK_AGAIN = "host: after a resumption it asks again instead of counting message ids"


ALL_RULES = frozenset(Rule)

Step = tuple[Event, World]


@dataclass(frozen=True)
class Protocol:
    """What can happen, within bounds."""

    rules: frozenset[Rule] = ALL_RULES
    commands: int = 2
    window: int = 2
    """Commands outstanding at most."""
    cache: int = 1
    """Replies that the board's cache holds."""
    sessions: int = 2
    host_crashes: int = 1
    board_crashes: int = 1

    def steps(self, world: World) -> Iterator[Step]:
        """Everything that can happen next, and what becomes of the world."""
        yield from self._host_acts(world)
        yield from self._board_acts(world)
        yield from self._arrivals(world)
        yield from self._crashes(world)

    def _arrivals(self, world: World) -> Iterator[Step]:
        for message in world.network:
            match message:
                case Command(place, life, _, _, confirmed):
                    heard = _board_learns(world, Confirm(place, life, confirmed))
                    after = self._board_receives(heard, message)
                case Confirm():
                    after = _board_learns(world, message)
                case Reply():
                    after = _host_receives(world, message)
                case Refusal():
                    after = self._host_is_refused(world, message)
            if after != world:
                yield message, after

    # ---- host

    def _host_acts(self, world: World) -> Iterator[Step]:
        host = world.host
        if host.place is None:
            if world.sessions < self.sessions:
                yield Happening.OPENS, _opened(world)
            return
        if len(world.verdicts) < self.commands and len(host.outstanding) < self.window:
            yield Happening.SENDS, _sent(world)
        if host.outstanding:
            yield Happening.GIVES_UP, _session_lost(world)

    def _host_is_refused(self, world: World, refusal: Refusal) -> World:
        host = world.host
        if host.place is None or refusal.place != host.place:
            return world
        if refusal.boot == host.place.boot or Rule.NEVER_RESEND in self.rules:
            return _session_lost(world)
        if world.sessions >= self.sessions:
            return world
        fresh = _opened(world)
        again = tuple(Sent(id_, sent.command) for id_, sent in enumerate(host.outstanding, 1))
        sends = fresh.host._replace(next_id=len(again) + 1, outstanding=again)
        return _transmitted(fresh._replace(host=sends), again)

    # ---- board

    def _board_receives(self, world: World, message: Command) -> World:
        board, rules = world.board, self.rules
        here = board.is_open
        here &= message.place.boot == board.boot or Rule.BOOT_ID not in rules
        here &= message.place.session == board.session or Rule.SESSION_ID not in rules
        if not here:
            return _with(world, Refusal(message.place, board.boot))
        if message.life < board.life and Rule.FENCE in rules:
            return world
        asked = Sent(message.id, message.command)
        known = _known(board).get(asked.id)
        if known is not None and known != asked.command and Rule.REQUEST_CRC in rules:
            ended = Board(board.boot, board.session)
            return _with(
                world, Reply(board.place, board.life, asked.id, Status.ID_REUSED), board=ended
            )
        if board.executing is not None and asked.id == board.executing.id:
            if Rule.IN_PROGRESS in rules:
                return world._replace(board=board._replace(asked=True))
            return _begun(world, asked)
        if any(reply.id == asked.id for reply in board.cache):
            return _with(world, Reply(board.place, board.life, asked.id, Status.OK))
        if asked.id < board.next_id:
            if Rule.TOO_OLD in rules:
                return _with(world, Reply(board.place, board.life, asked.id, Status.TOO_OLD))
            return _begun(world, asked)
        if Rule.IN_ORDER not in rules:
            return _begun(world, asked) if board.executing is None else world
        busy = asked.id == board.next_id and self._room(board) is None
        if known is not None or busy:
            return world
        return world._replace(board=board._replace(held=board.held | {asked}))

    def _board_acts(self, world: World) -> Iterator[Step]:
        board = world.board
        if board.executing is not None:
            yield Happening.COMPLETES, self._completed(world, board.executing)
            return
        for sent in board.held:
            if sent.id == board.next_id and self._room(board) is not None:
                rest = board._replace(held=board.held - {sent})
                yield Happening.BEGINS, _begun(world._replace(board=rest), sent)

    def _completed(self, world: World, sent: Sent) -> World:
        board = world.board
        cache = self._room(board) or ()
        if Rule.REPLY_CACHE in self.rules:
            cache = (*cache, Cached(*sent, confirmed=False))
        done = board._replace(executing=None, next_id=max(board.next_id, sent.id + 1), cache=cache)
        if board.asked or Rule.ASKED_ANEW not in self.rules:
            return _with(world, Reply(board.place, board.life, sent.id, Status.OK), board=done)
        return world._replace(board=done)

    def _room(self, board: Board) -> tuple[Cached, ...] | None:
        """The cache with room for one more reply; None if nothing in it may go."""
        cache = board.cache
        if len(cache) < self.cache:
            return cache
        for index, reply in enumerate(cache):
            if reply.confirmed or Rule.CONFIRMED_EVICTION not in self.rules:
                return cache[:index] + cache[index + 1 :]
        return None

    # ---- crashes

    def _crashes(self, world: World) -> Iterator[Step]:
        host, board = world.host, world.board
        if world.board_crashes < self.board_crashes:
            yield (
                Happening.RESTARTS,
                world._replace(board=Board(board.boot + 1), board_crashes=world.board_crashes + 1),
            )
        if world.host_crashes < self.host_crashes and host.place is not None:
            crashed = world._replace(host_crashes=world.host_crashes + 1)
            yield Happening.ANEW, _session_lost(crashed)
            if board.is_open and host.place == board.place:
                yield Happening.RESUMES, self._resumed(crashed, host)
                blind = host._replace(outstanding=())
                yield Happening.RESUMES_BLINDLY, self._resumed(_session_lost(crashed), blind)

    def _resumed(self, world: World, host: Host) -> World:
        """The host takes up its session again, with what it knows to be outstanding.

        What the board has begun it asks for again; what it has not begun never will be.
        """
        board = world.board
        upcoming = board.next_id if board.executing is None else board.executing.id + 1
        begun = tuple(sent for sent in host.outstanding if sent.id < upcoming)
        verdicts = {sent.command: Verdict.REFUSED for sent in host.outstanding if sent not in begun}
        if Rule.ASK_AGAIN not in self.rules:
            verdicts |= {sent.command: Verdict.DONE for sent in begun}
            begun = ()
        again = Host(
            host.place,
            host.life + 1,
            next_id=upcoming if host.outstanding else board.next_id,
            outstanding=begun,
            first_id=min([board.next_id, *(sent.id for sent in begun)]),
        )
        resumed = world._replace(
            host=again,
            board=board._replace(life=again.life, held=frozenset(), asked=False),
            verdicts=_decided(world.verdicts, verdicts),
        )
        return _transmitted(resumed, begun)


def _with(world: World, message: Reply | Refusal, board: Board | None = None) -> World:
    """The world after the board has sent something."""
    return world._replace(network=world.network | {message}, board=board or world.board)


def _known(board: Board) -> Mapping[int, int]:
    """Which command came first under each id that the board knows."""
    known = {reply.id: reply.command for reply in board.cache} | dict(board.held)
    return known if board.executing is None else known | dict([board.executing])


def _begun(world: World, sent: Sent) -> World:
    board = world.board
    return world._replace(
        board=board._replace(executing=sent, asked=True),
        executed=(*world.executed, Executed(board.place, *sent)),
    )


def _board_learns(world: World, confirm: Confirm) -> World:
    board = world.board
    if not board.is_open or (confirm.place, confirm.life) != (board.place, board.life):
        return world
    cache = tuple(
        reply._replace(confirmed=reply.confirmed or reply.id <= confirm.id) for reply in board.cache
    )
    return world._replace(board=board._replace(cache=cache))


def _opened(world: World) -> World:
    fresh = Board(world.board.boot, world.board.session + 1, is_open=True)
    return world._replace(host=Host(fresh.place), board=fresh, sessions=world.sessions + 1)


def _sent(world: World) -> World:
    host, command = world.host, len(world.verdicts)
    sent = Sent(host.next_id, command)
    outstanding = (*host.outstanding, sent)
    return _transmitted(
        world._replace(
            host=host._replace(next_id=host.next_id + 1, outstanding=outstanding),
            verdicts=(*world.verdicts, None),
        ),
        [sent],
    )


def _transmitted(world: World, commands: Iterable[Sent]) -> World:
    """The world after the host has sent some commands."""
    host = world.host
    if host.place is None:
        return world
    frames = {Command(host.place, host.life, *sent, host.confirmed) for sent in commands}
    return world._replace(network=world.network | frames)


def _host_receives(world: World, reply: Reply) -> World:
    host = world.host
    command = dict(host.outstanding).get(reply.id)
    if host.place is None or command is None:
        return world
    if (reply.place, reply.life) != (host.place, host.life):
        return world
    verdict = Verdict.DONE if reply.status is Status.OK else Verdict.REFUSED
    told = world._replace(verdicts=_decided(world.verdicts, {command: verdict}))
    if reply.status is Status.ID_REUSED:
        return _session_lost(told)
    outstanding = tuple(sent for sent in host.outstanding if sent.id != reply.id)
    wiser = host._replace(outstanding=outstanding, has=host.has | {reply.id})
    confirm = Confirm(host.place, host.life, wiser.confirmed)
    return told._replace(host=wiser, network=world.network | {confirm})


def _session_lost(world: World) -> World:
    """The host has lost its session: what was outstanding may or may not be executed."""
    unknown = {sent.command: Verdict.UNKNOWN for sent in world.host.outstanding}
    return world._replace(host=Host(), verdicts=_decided(world.verdicts, unknown))


def _decided(
    verdicts: tuple[Verdict | None, ...], news: Mapping[int, Verdict]
) -> tuple[Verdict | None, ...]:
    return tuple(verdict or news.get(command) for command, verdict in enumerate(verdicts))
