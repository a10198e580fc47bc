"""The REST API of starlab: boards with STELLAR chips over HTTP. Emulates nothing, renders nothing.

An application is made by :func:`create_app` of :class:`ServerSettings`; ``python -m starlab_api``
serves it. Names are imported when they are asked for, so that the program can say first how its
start may be interrupted.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlab_api.app import create_app
    from starlab_api.settings import EmulatorSettings, ServerSettings

__all__ = ["EmulatorSettings", "ServerSettings", "create_app"]


def __getattr__(name: str) -> Any:
    """A public name, out of the module that has it."""
    if name == "create_app":
        from starlab_api import app

        return app.create_app
    if name in __all__:
        from starlab_api import settings

        return getattr(settings, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
