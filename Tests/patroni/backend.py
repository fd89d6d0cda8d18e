"""The load: a backend that requests codes by otp.request. Half of its sessions find the primary as a multi-host URL with
target_session_attrs=read-write does. The other half learn of a promotion at once, so that there is work for otpd at the new
primary, even while an old one still takes connections. A code counts as acknowledged once its commit has returned without a
warning."""
import asyncio
import random
import time

from cluster import WEB
from network import address
from node import NUMBERS
from sql import Sql, SqlError

SESSIONS = 6
# Some codes die during a failover, and the others outlive even an unknown outcome: a lease, a grace and two lookups.
LIVES = (60, 170)


class Backend:
    def __init__(self, rate: float, seed: random.Random):
        self.rate, self.random = rate, seed
        self.acknowledged: dict[int, str] = {}      # verification → its number
        self.times: list[float] = []                # of each acknowledgement
        self.refused = 0                            # requests that failed, or of which the outcome is not known
        self.full = 0                               # requests refused because a disk is full
        self.trouble: list[str] = []                # failures that no failover explains
        self.last_expiry = 0.0
        self._next = self._issued = 0
        self._leader: int | None = None             # the newest primary, as an index of NUMBERS
        self._led: dict[int, Sql] = {}              # the connections of the sessions that follow it
        self._began = time.monotonic()
        self._stopped = False
        self._sessions = [asyncio.ensure_future(self._session(first)) for first in range(SESSIONS)]

    def lead(self, number: int) -> None:
        """A server has become the primary."""
        self._leader = NUMBERS.index(number)
        for sql in self._led.values():
            sql.close()

    async def _connect(self, host: int) -> Sql:
        sql = await Sql.connect(5432, user="chaos_web", options=WEB, seconds=2, host=address(NUMBERS[host % 3]))
        try:
            if await asyncio.wait_for(sql.value("SHOW transaction_read_only"), 2) == "on":
                raise OSError("a standby")
        except BaseException:
            sql.close()
            raise
        return sql

    async def _session(self, host: int) -> None:
        sql, follows, name = None, host % 2 == 0, host
        while not self._stopped:
            # Requests that nobody could make during an outage are not made up for.
            due = int((time.monotonic() - self._began) * self.rate)
            self._issued = max(self._issued, due - SESSIONS)
            if sql is not None and self._issued >= due:
                await asyncio.sleep(0.02)
                continue
            number, made = None, False
            try:
                if sql is None:
                    sql = await self._connect(self._leader if follows and self._leader is not None else host)
                    if follows:
                        self._led[name] = sql
                    continue
                self._issued += 1
                self._next += 1
                number = f"+96650{self._next:07}"
                life = self.random.choice(LIVES)
                made = True
                rows = await asyncio.wait_for(sql(
                    f"SELECT verification_id, extract(epoch FROM expires_at) FROM otp.request('chaos:{self._next}', "
                    f"'{number}', ttl => interval '{life} s')"), 15)
                if sql.notices:
                    # "canceling wait for synchronous replication": committed here, and perhaps nowhere else.
                    raise OSError(sql.notices[0])
                self.acknowledged[int(rows[0][0])] = number
                self.times.append(time.time())
                self.last_expiry = max(self.last_expiry, time.time() + life)
            except (OSError, SqlError, asyncio.IncompleteReadError, asyncio.TimeoutError) as failure:
                if isinstance(failure, SqlError) and failure.sqlstate[:2] not in ("57", "08", "25", "53", "58", "XX"):
                    self.trouble.append(str(failure))
                self.refused += made
                self.full += isinstance(failure, SqlError) and failure.sqlstate == "53100"
                if made:
                    self.last_expiry = max(self.last_expiry, time.time() + max(LIVES))
                if sql is not None:
                    sql.close()
                self._led.pop(name, None)
                sql, host = None, host + 1
                await asyncio.sleep(0.1)
        if sql is not None:
            sql.close()

    async def stop(self) -> None:
        """Ends the load, after the requests under way."""
        self._stopped = True
        await asyncio.gather(*self._sessions)

    def close(self) -> None:
        for session in self._sessions:
            session.cancel()
