"""Between otpd and the simulator's mail server: follows SMTP without TLS.

Steps of an e-mail:
  smtp:ehlo, smtp:mail, smtp:rcpt, smtp:data   the command has arrived, and it is not passed on
  smtp:content    half of the content is passed on
  smtp:dot        all of the content is passed on, without the line with the dot
  smtp:sent       the dot is passed on
  smtp:answered   the reply to the dot has arrived, and it is not passed on
  smtp:told       that reply is passed on
"""
from link import Link, Severed

END = b"\r\n.\r\n"


class MailLink(Link):
    kind = "mail"

    async def upstream(self, connection):
        buffer = bytearray()

        async def until(end):
            while end not in buffer:
                buffer.extend(await self.read(connection, connection.client))
            place = buffer.index(end) + len(end)
            data = bytes(buffer[:place])
            del buffer[:place]
            return data

        while True:
            line = await until(b"\r\n")
            verb = line.split()[0].split(b":")[0].lower().decode(errors="replace") if line.split() else ""
            context = {"connection": connection}
            await self.reach(f"smtp:{verb}", **context)
            connection.pending.append(verb)
            await self.write(connection, connection.server, line)
            if verb != "data":
                continue
            # otpd waits for the 354 before the content. A refused DATA is followed by another command.
            if not buffer:
                buffer.extend(await self.read(connection, connection.client))
            if buffer.upper().startswith((b"RSET", b"QUIT", b"MAIL FROM")):
                continue
            content = await until(END)
            text, half = content[:-3], len(content) // 2
            await self.write(connection, connection.server, text[:half])
            await self.reach("smtp:content", **context)
            await self.write(connection, connection.server, text[half:])
            await self.reach("smtp:dot", **context)
            connection.pending.append("dot")
            await self.write(connection, connection.server, content[-3:])
            await self.reach("smtp:sent", **context)

    async def downstream(self, connection):
        # The server speaks first, and this direction begins first.
        connection.pending = ["greeting"]
        buffer, reply = bytearray(), bytearray()
        while True:
            buffer.extend(await self.read(connection, connection.server))
            while b"\r\n" in buffer:
                place = buffer.index(b"\r\n") + 2
                line = bytes(buffer[:place])
                del buffer[:place]
                reply.extend(line)
                if line[3:4] == b"-":
                    continue
                if not connection.pending:
                    # The server says goodbye by itself.
                    await self.write(connection, connection.client, bytes(reply))
                    raise Severed()
                command = connection.pending.pop(0)
                if command == "dot":
                    await self.reach("smtp:answered", connection=connection)
                await self.write(connection, connection.client, bytes(reply))
                if command == "dot":
                    await self.reach("smtp:told", connection=connection)
                reply.clear()
