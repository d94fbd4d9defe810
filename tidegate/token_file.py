"""The admin token, read again at each reload: so it is changed without a restart.

Never loosened on the way: a file that cannot be used, or is no longer named, leaves the former
token in force.
"""

import logging
from pathlib import Path

from admin.access import TokenError, read_token
from admin.app import AdminServer
from cluster.events import Events
from config.settings import Admin


class TokenFile:
    def __init__(self, admin: AdminServer, events: Events) -> None:
        self._admin = admin
        self._events = events

    def look(self, settings: Admin) -> None:
        if settings.token_file is None:
            if self._admin.has_token:
                words = (
                    "admin.token_file is gone from the file; its token is asked for until a restart"
                )
                self._events.emit("admin-token", words, level=logging.WARNING)
            return
        try:
            changed = self._admin.use_token(read_token(Path(settings.token_file)))
        except TokenError as error:
            words = f"{error}; the former token stays in force"
            self._events.emit("admin-token", words, level=logging.ERROR)
            return
        if changed:
            self._events.emit("admin-token", "the admin API asks for another token from now on")
