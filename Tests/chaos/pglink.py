"""Between otpd and PostgreSQL: follows the protocol (version 3, no TLS) far enough to know each statement by its name.

Steps, per group of messages that ends with a Sync (a transaction of its own):
  NAME:asked      the statement has arrived, and nothing is passed on
  NAME:executed   all but its Sync is passed on: the server has executed it and not committed it
  NAME:answered   the server has committed and answered, and nothing is passed on
  NAME:told       the answer is passed on
"""
import struct

from link import Link, Severed


class PgLink(Link):
    kind = "postgres"

    def __init__(self, target, name):
        super().__init__(target, name)
        self.registered = []    # the numbers of its workers

    async def upstream(self, connection):
        buffer = bytearray()

        async def need(count):
            while len(buffer) < count:
                buffer.extend(await self.read(connection, connection.client))

        connection.pending = []
        # The first packet has no type.
        await need(4)
        (length,) = struct.unpack_from("!i", buffer)
        await need(length)
        await self.write(connection, connection.server, bytes(buffer[:length]))
        del buffer[:length]
        group, name = bytearray(), None
        while True:
            await need(5)
            kind, length = chr(buffer[0]), struct.unpack_from("!i", buffer, 1)[0]
            await need(length + 1)
            frame = bytes(buffer[: length + 1])
            del buffer[: length + 1]
            if kind == "P":
                name = name or "prepare " + frame[5 : frame.index(0, 5)].decode()
            elif kind == "B":
                start = frame.index(0, 5) + 1
                # The claim after a slow one has another name, and is a claim too.
                name = frame[start : frame.index(0, start)].decode().removesuffix("_from_mark")
            if kind == "Q":
                connection.pending.append("simple")
                await self.write(connection, connection.server, frame)
            elif kind == "S":
                name = name or "sync"
                await self.reach(f"{name}:asked", connection=connection)
                await self.write(connection, connection.server, bytes(group))
                await self.reach(f"{name}:executed", connection=connection)
                connection.pending.append(name)
                await self.write(connection, connection.server, frame)
                group, name = bytearray(), None
            elif kind in "PBDECHF" or group:
                group.extend(frame)
            else:
                await self.write(connection, connection.server, frame)

    async def downstream(self, connection):
        buffer, group, rows, failed = bytearray(), bytearray(), 0, False
        started = False
        while True:
            buffer.extend(await self.read(connection, connection.server))
            while len(buffer) >= 5:
                if not started and buffer[0:1] in (b"N", b"S") and len(buffer) == 1:
                    break
                length = struct.unpack_from("!i", buffer, 1)[0] + 1
                if len(buffer) < length:
                    break
                frame = bytes(buffer[:length])
                del buffer[:length]
                kind = chr(frame[0])
                group.extend(frame)
                rows += kind == "D"
                failed = failed or kind == "E"
                if kind != "Z":
                    if not started or not connection.pending:
                        await self.write(connection, connection.client, bytes(group))
                        group.clear()
                    continue
                if not started:
                    started = True
                    await self.write(connection, connection.client, bytes(group))
                else:
                    if not connection.pending:
                        raise Severed()
                    name = connection.pending.pop(0)
                    if name == "otpd_register" and rows == 1:
                        row = group.index(b"D")
                        self.registered.append(struct.unpack_from("!q", group, row + 11)[0])
                    await self.reach(f"{name}:answered", rows=rows, failed=failed, connection=connection)
                    await self.write(connection, connection.client, bytes(group))
                    await self.reach(f"{name}:told", rows=rows, failed=failed, connection=connection)
                group, rows, failed = bytearray(), 0, False
