"""How eagerly the embedded emulator is started again, and what stopping it means."""

from pathlib import Path
from typing import Any

import pytest

import starlab_api.boards.embedded_emulator
from starlab_api.boards.embedded_emulator import EmbeddedEmulator, EmulatorFailed, pause_s
from starlab_api.settings import EmulatorSettings


def test_the_first_start_is_at_once_and_the_pauses_double_up_to_a_minute() -> None:
    assert [pause_s(failures) for failures in range(1, 10)] == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert pause_s(100_000) == 60


def test_one_that_never_ran_is_not_started_again(tmp_path: Path) -> None:
    log = tmp_path / "emulator.log"
    with pytest.raises(EmulatorFailed, match=f"ended with exit code 2; see {log}") as found:
        EmbeddedEmulator(EmulatorSettings(device="unobtainium"), log=log)
    assert found.value.was_usage
    assert "unobtainium" in log.read_text()


def test_one_that_was_stopped_stays_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    emulator = EmbeddedEmulator(EmulatorSettings(), log=tmp_path / "emulator.log")
    emulator.stop()
    emulator.stop()
    assert caplog.records == []


def test_one_that_could_not_be_started_again_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    emulator = EmbeddedEmulator(EmulatorSettings(), log=tmp_path / "emulator.log")
    launch, failures = (
        starlab_api.boards.embedded_emulator._launch,
        [OSError("cannot allocate memory")],
    )

    def try_to(*how: Any) -> Any:
        if failures:
            raise failures.pop()
        return launch(*how)

    monkeypatch.setattr(starlab_api.boards.embedded_emulator, "_launch", try_to)
    first = emulator._process
    first.kill()
    while emulator._process is first:
        assert emulator._keeper.is_alive()
    emulator.stop()
    assert "the embedded emulator could not be started" in caplog.messages
