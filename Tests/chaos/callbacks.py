"""A backend that receives Twilio's callbacks itself. It only calls otp.record_status."""
import asyncio
import urllib.parse

from cluster import WEB
from sql import Sql


class Backend:
    @classmethod
    async def start(cls, stage):
        self = cls()
        self._stage, self._sql = stage, None
        self.received = self.known = 0
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/twilio/status"
        stage.others.append(self)
        return self

    async def _serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(int(line.split(":")[1]) for line in head.split("\r\n")
                              if line.lower().startswith("content-length:"))
                form = urllib.parse.parse_qs((await reader.readexactly(length)).decode())
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(head.split(" ", 2)[1]).query)
                await self._record(form, query)
                writer.write(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def _record(self, form, query):
        self.received += 1
        if self._sql is None:
            self._sql = await Sql.connect(self._stage.cluster.port, user="chaos_web", options=WEB)
        values = [form["MessageSid"][0], form["MessageStatus"][0], form.get("ErrorCode", [None])[0],
                  next(iter(value[0] for value in query.values()), None)]
        quoted = ["NULL" if value is None else "'" + value.replace("'", "''") + "'" for value in values]
        if await self._sql.value(f"SELECT otp.record_status({quoted[0]}, {quoted[1]}, {quoted[2]}::int, {quoted[3]})") == "t":
            self.known += 1

    def close(self):
        self._server.close()
        if self._sql:
            self._sql.close()
