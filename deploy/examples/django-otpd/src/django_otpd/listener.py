"""Waits for news of verifications: one connection and one thread per process, for any number of waiting requests."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections

log = logging.getLogger(__name__)


class News(threading.Event):
    """Set when something happened to a verification, and whenever the listener may have missed that."""

    def wait(self, timeout: float | None = None) -> bool:
        came = super().wait(timeout)
        self.clear()
        return came


class EventListener:
    """Listens to otpd's notifications. `using` must not go through PgBouncer, which does not support LISTEN.

    A notification is only a hint, and may be lost with the connection. So look at the state after you began to watch,
    and again after each wait.
    """

    def __init__(self, using: str = DEFAULT_DB_ALIAS) -> None:
        self.using = using
        self._lock = threading.Lock()
        self._watching: defaultdict[int, set[News]] = defaultdict(set)
        self._process: int | None = None

    @contextmanager
    def watch(self, verification_id: int) -> Iterator[News]:
        """News of one verification, for as long as the block lasts."""
        news = News()
        with self._lock:
            self._watching[verification_id].add(news)
            if self._process != os.getpid():  # a server forks after it has loaded the program, and threads stay behind
                self._process = os.getpid()
                threading.Thread(target=self._run, name="otpd-events", daemon=True).start()
        try:
            yield news
        finally:
            with self._lock:
                self._watching[verification_id].discard(news)
                if not self._watching[verification_id]:
                    del self._watching[verification_id]

    def _run(self) -> None:
        while True:
            try:
                params = connections[self.using].get_connection_params()
                with psycopg.connect(**params, autocommit=True) as connection:
                    connection.execute("LISTEN otp_events")
                    self._wake(None)
                    for notification in connection.notifies():
                        self._wake([int(word) for word in notification.payload.split()])
            except psycopg.Error as error:
                log.warning("cannot listen to otpd's events, next try in a second: %s", type(error).__name__)
            self._wake(None)
            time.sleep(1)

    def _wake(self, verification_ids: list[int] | None) -> None:
        with self._lock:
            for verification_id in list(self._watching) if verification_ids is None else verification_ids:
                for news in self._watching.get(verification_id, ()):
                    news.set()
