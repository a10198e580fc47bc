"""All boards of the server, by their ids. Speaks to none of them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from starlab_api.boards.discovering import Discovery
from starlab_api.boards.slot import BoardSlot
from starlab_api.problems import NotFound
from starlab_api.settings import ServerSettings
from starlab_host import CalibrationStore, Journal


class Boards:
    """All boards of the server, by their position.

    Raises:
        JournalError: Another server keeps its journals in the same folder.
    """

    def __init__(self, urls: Sequence[str], settings: ServerSettings) -> None:
        self._slots: list[BoardSlot] = []
        self.discovery = Discovery()
        """Looks for boards, these and others."""
        data = settings.data
        calibrations = CalibrationStore(None if data is None else data / "calibrations")
        try:
            for number, url in enumerate(urls):
                # the embedded emulator listens elsewhere at each start
                name = _file_name(url) if settings.boards else "emulator"
                journal = None if settings.data is None else _journal(settings.data, name)
                slot = BoardSlot(number, url, settings, journal, calibrations, name=name)
                self._slots.append(slot)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[BoardSlot]:
        """The boards, by rising number."""
        return iter(self._slots)

    def __getitem__(self, board_id: str) -> BoardSlot:
        """The board of an id.

        Raises:
            NotFound: There is none.
        """
        for slot in self._slots:
            if slot.answers_to(board_id):
                return slot
        raise NotFound("board", board_id, [slot.id for slot in self._slots])

    def close(self) -> None:
        """Close every board."""
        self.discovery.close()
        for slot in self._slots:
            slot.close()


def _journal(data: Path, name: str) -> Journal:
    folder = data / "journals"
    folder.mkdir(exist_ok=True)
    return Journal(folder / f"{name}.sqlite")


def _file_name(url: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", url)
