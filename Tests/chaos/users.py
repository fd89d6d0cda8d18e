"""Many users at once: each request is a transaction of its own, on one of a pool of sessions. What they saw is measured."""
import asyncio
import collections
import statistics
import time

from cluster import WEB
from load import Load
from sql import Sql, SqlError

SESSIONS = 24   # of the backend's pool
WAIT = 15       # seconds that a user waits for a session, and then for the answer


class Users(Load):
    def __init__(self, ports, life=60):
        super().__init__(ports, life)
        self.times = {}         # verification → (asked, committed), as seconds since the epoch
        self.refusals = collections.Counter()
        self._pool = asyncio.LifoQueue()
        for _ in range(SESSIONS):
            self._pool.put_nowait(None)
        self._under_way = set()

    async def _commit(self, query):
        """One user. A session that failed is replaced by a new one, at the next request that gets its place."""
        asked = time.time()
        try:
            sql = await asyncio.wait_for(self._pool.get(), WAIT)
        except asyncio.TimeoutError:
            return self._refuse("no free session")
        rows, reason = [], None
        try:
            if sql is None:
                sql = await Sql.connect(self.ports[0], user="chaos_web", options=WEB, seconds=5)
            rows = await asyncio.wait_for(sql(query), WAIT)
        except asyncio.TimeoutError:
            reason = "no answer"
        except SqlError as failure:
            reason = str(failure).split(" ", 1)[0].rstrip(":")
        except (OSError, asyncio.IncompleteReadError):
            reason = "no connection"
            await asyncio.sleep(0.05)
        if reason:
            if sql:
                sql.close()
            sql = None
        self._pool.put_nowait(sql)
        if reason:
            return self._refuse(reason)
        now = time.time()
        for verification, _ in rows:
            self.committed[int(verification)] = now
            self.times[int(verification)] = (asked, now)
            # By this clock, whatever the database's clock says.
            self.last_expiry = max(self.last_expiry, now + self.life)
        return [int(row[0]) for row in rows]

    def _refuse(self, reason):
        self.refused += 1
        self.refusals[reason] += 1
        return []

    async def flow(self, per_second, seconds=None):
        """A steady stream of users, a third of them by otp.request. They come at their times, whether others are served or not."""
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), 0
        while not self._stopped and (seconds is None or loop.time() - began < seconds):
            while sent < int((loop.time() - began) * per_second):
                sent += 1
                user = asyncio.ensure_future(self.request() if sent % 3 == 0 else self.insert(1))
                self._under_way.add(user)
                user.add_done_callback(self._under_way.discard)
            await asyncio.sleep(0.02)
        await asyncio.gather(*self._under_way)

    def close(self):
        while not self._pool.empty():
            if sql := self._pool.get_nowait():
                sql.close()


class Seen:
    """What users saw of an attack: (seconds from commit to arrival, seconds from request to commit) of each of them."""

    def __init__(self, began, ended):
        self.began, self.ended = began, ended
        self.before, self.during, self.after, self.commits = [], [], [], []
        self.jobs = self.missing = self.refused = 0
        self.refusals = self.said = collections.Counter()

    def count(self, times, arrivals):
        """`times`: verification → (asked, committed). `arrivals`: verification → when its message arrived."""
        for verification, (asked, committed) in times.items():
            self.jobs += 1
            if verification not in arrivals:
                self.missing += 1
                continue
            # The message may arrive before the backend's own answer.
            wait = max(0.0, arrivals[verification] - committed)
            if committed < self.began:
                self.before.append(wait)
            elif asked > self.ended:
                self.after.append(wait)
            else:
                self.during.append(wait)
                self.commits.append(committed - asked)


def seconds(value):
    return f"{value * 1000:.0f} ms" if value < 10 else f"{value:.1f} s"


def share(values, part):
    """The value below which that part of the values is, in words."""
    if not values:
        return "–"
    return seconds(values[0] if len(values) == 1 else statistics.quantiles(values, n=100, method="inclusive")[part - 1])
