"""Requests codes as a backend does. Each job has its own number and verification, so that everything can be counted."""
import asyncio

from cluster import WEB
from sql import Sql, SqlError


class Load:
    def __init__(self, ports, life=60):
        self.ports, self.life = ports, life
        self.committed = {}     # verification → when its commit was confirmed
        self.mails = False      # each verification has an e-mail address, too
        self.trouble = []       # failures that must not happen
        self.refused = 0        # failed connection attempts and commits, which promise nothing
        self.last_expiry = 0.0
        self._next = 0
        self._stopped = False
        self._sql = None
        self._port = 0

    async def _session(self):
        """Connects to the first server that accepts writes."""
        if self._sql is None:
            for _ in range(len(self.ports)):
                sql = await Sql.connect(self.ports[self._port], user="chaos_web", options=WEB, seconds=5)
                if await sql.value("SELECT pg_is_in_recovery()") == "f":
                    self._sql = sql
                    break
                sql.close()
                self._port = (self._port + 1) % len(self.ports)
        return self._sql

    def _numbers(self, count):
        first, self._next = self._next, self._next + count
        return first, self._next - 1

    async def insert(self, count, purpose="phone_verification", locale="en", life=None):
        """`count` jobs in one transaction."""
        first, last = self._numbers(count)
        return await self._commit(f"""
            WITH v AS (
                INSERT INTO otp.verifications (subject, phone_number, expires_at, purpose, locale, code, email)
                SELECT 'chaos:' || n, '+96650' || lpad(n::text, 7, '0'),
                    clock_timestamp() + interval '{life or self.life} s', '{purpose}', '{locale}',
                    'Zq' || substr(md5(n || random()::text), 1, 8), {"'chaos' || n || '@example.com'" if self.mails else 'NULL'}
                FROM generate_series({first}, {last}) n RETURNING id, expires_at
            ), j AS (
                INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v RETURNING verification_id
            )
            SELECT v.id, extract(epoch FROM v.expires_at) FROM v JOIN j ON j.verification_id = v.id""")

    async def request(self):
        """One job by otp.request."""
        number, _ = self._numbers(1)
        return await self._commit(f"""
            SELECT verification_id, extract(epoch FROM expires_at)
            FROM otp.request('chaos:{number}', '050{number:07}', ttl => interval '{self.life} s')""")

    async def _commit(self, query):
        try:
            sql = await self._session()
            if sql is None:
                raise OSError("no server takes writes")
            rows = await asyncio.wait_for(sql(query), 15)
        except (OSError, SqlError, asyncio.IncompleteReadError, asyncio.TimeoutError) as failure:
            self.refused += 1
            if self._sql:
                self._sql.close()
            self._sql = None
            self._port = (self._port + 1) % len(self.ports)
            if isinstance(failure, SqlError) and failure.sqlstate.startswith("OT"):
                raise
            await asyncio.sleep(0.05)
            return []
        now = asyncio.get_running_loop().time()
        for verification, expiry in rows:
            self.committed[int(verification)] = now
            self.last_expiry = max(self.last_expiry, float(expiry))
        return [int(row[0]) for row in rows]

    async def until(self, done, every=0.1, batch=6, seconds=30, **options):
        """Sends batches at intervals, until `done()`."""
        end = asyncio.get_running_loop().time() + seconds
        while not done() and asyncio.get_running_loop().time() < end:
            if batch == 1 and not options:
                await self.request()
            else:
                await self.insert(batch, **options)
            await asyncio.sleep(every)

    async def flow(self, per_second, seconds=None):
        """A steady stream, some of it by otp.request, for the given time or until `stop`."""
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), 0
        while not self._stopped and (seconds is None or loop.time() - began < seconds):
            due = int((loop.time() - began) * per_second) - sent
            if due > 0:
                if due % 3 == 0:
                    await self.request()
                    sent += 1
                else:
                    await self.insert(due)
                    sent += due
            await asyncio.sleep(0.05)

    def stop(self):
        """Ends the stream."""
        self._stopped = True

    def close(self):
        if self._sql:
            self._sql.close()
