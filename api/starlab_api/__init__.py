"""The REST API of starlab: boards with STELLAR chips over HTTP. Emulates nothing, renders nothing.

An application is made by :func:`create_app` of :class:`ServerSettings`; ``python -m starlab_api``
serves it.
"""

from starlab_api.app import create_app
from starlab_api.settings import EmulatorSettings, ServerSettings

__all__ = ["EmulatorSettings", "ServerSettings", "create_app"]
