"""A PostgreSQL client as small as the harness needs: the simple protocol over TCP, trusted, everything as text."""
import asyncio
import struct


class SqlError(Exception):
    def __init__(self, fields):
        self.sqlstate = fields.get("C", "")
        super().__init__(f"{self.sqlstate}: {fields.get('M', '')} {fields.get('D', '')}".strip())


class Sql:
    """One connection. `await Sql.connect(port)`, then `await sql("SELECT …")`: the rows of the last statement that returned rows.
    `notices` has the warnings of all statements."""

    @classmethod
    async def connect(cls, port, user="postgres", database="otp", options="", seconds=10, host="127.0.0.1"):
        """`host`: an address, or the folder of the server's Unix socket."""
        self = cls()
        self._lock = asyncio.Lock()
        self.notices = []
        opening = (asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}") if host.startswith("/")
                   else asyncio.open_connection(host, port))
        self._reader, self._writer = await asyncio.wait_for(opening, seconds)
        fields = {"user": user, "database": database, "options": options, "client_encoding": "UTF8",
                  "application_name": "chaos"}
        body = struct.pack("!i", 196608)
        body += b"".join(f"{k}\0{v}\0".encode() for k, v in fields.items()) + b"\0"
        self._writer.write(struct.pack("!i", len(body) + 4) + body)
        await asyncio.wait_for(self._answer(), seconds)
        return self

    async def __call__(self, query):
        async with self._lock:
            body = query.encode() + b"\0"
            self._writer.write(b"Q" + struct.pack("!i", len(body) + 4) + body)
            return await self._answer()

    async def value(self, query):
        return (await self(query))[0][0]

    async def _answer(self):
        rows, error = [], None
        while True:
            kind, length = struct.unpack("!ci", await self._reader.readexactly(5))
            body = await self._reader.readexactly(length - 4)
            if kind == b"T":
                rows = []
            elif kind == b"D":
                rows.append(self._row(body))
            elif kind == b"E":
                error = SqlError({f[:1].decode(): f[1:].decode() for f in body.split(b"\0") if f})
            elif kind == b"N":
                self.notices.append(body.replace(b"\0", b" ").decode(errors="replace"))
            elif kind == b"Z":
                if error:
                    raise error
                return rows
            elif kind == b"R" and body[:4] != b"\0\0\0\0":
                raise SqlError({"M": "the server wants a password"})
            if kind == b"E" and error.sqlstate[:2] in ("57", "28", "3D", "08"):
                raise error

    @staticmethod
    def _row(body):
        values, at = [], 2
        for _ in range(struct.unpack_from("!h", body)[0]):
            (length,) = struct.unpack_from("!i", body, at)
            at += 4
            if length < 0:
                values.append(None)
            else:
                values.append(body[at : at + length].decode())
                at += length
        return tuple(values)

    def close(self):
        self._writer.close()
