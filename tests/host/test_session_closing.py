"""A session that is closed by many at once, or under a call: documented errors, and an end."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

from tests.host.link_bench import LONG, NotingBoard

from starlab_host.errors import LinkError, OutcomeUnknown
from starlab_host.links import MemoryLink
from starlab_host.session.session import Session
from starlab_spec.wire import transactions as tr

THREADS = 6


def opened(board: NotingBoard) -> Session:
    link = MemoryLink(board, clock=time.monotonic)
    return Session.open(link, client_name="test", rng=random.Random(1))


def test_closing_twice_and_from_many_threads_is_closing() -> None:
    session = opened(NotingBoard())
    with ThreadPoolExecutor(THREADS) as pool:
        for closing in [pool.submit(session.close) for _ in range(THREADS)]:
            closing.result(20)
    session.close()
    assert session.is_closed


def test_who_works_while_others_close_is_told_with_documented_errors() -> None:
    for _ in range(10):
        board = NotingBoard()
        session = opened(board)

        def work(session: Session = session) -> BaseException:
            while True:
                try:
                    session.execute([tr.start(1)])
                    session.status()
                    session.abort()
                except BaseException as error:
                    return error

        with ThreadPoolExecutor(THREADS + 2) as pool:
            working = [pool.submit(work) for _ in range(THREADS)]
            while not board.executed:
                time.sleep(0)
            closing = [pool.submit(session.close) for _ in range(2)]
            ends = [future.result(20) for future in working]
            for future in closing:
                future.result(20)
        assert all(isinstance(end, LinkError | OutcomeUnknown) for end in ends), ends


def test_a_long_command_ends_when_its_session_is_closed() -> None:
    board = NotingBoard()
    session = opened(board)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(session.execute, [tr.start(LONG)])
        assert board.running.wait(10)
        session.close()
        assert isinstance(running.exception(20), OutcomeUnknown)
