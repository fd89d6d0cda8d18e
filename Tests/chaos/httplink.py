"""Between otpd and the simulator: follows HTTP/1.1 requests and answers with a Content-Length.

Steps of a request, KIND being post (a message or a call is created), update (one is changed), fetch (one is read) or list:
  KIND:begun      the whole request has arrived, and nothing is passed on
  KIND:half       its head and half of its body are passed on
  KIND:sent       all of it is passed on
  KIND:answered   the whole answer has arrived, and nothing is passed on
  KIND:told       the answer is passed on
"""
import asyncio
import collections
import socket
import struct
import time
import urllib.parse

from link import Link, Severed


class HttpLink(Link):
    kind = "twilio"

    def __init__(self, target, name):
        super().__init__(target, name)
        self.replays = 0        # the harness itself repeats so many POSTs, and the count must find them
        self.echoes = 0         # so many answers are given twice
        self.callbacks_asked = 0  # POSTs that carried a StatusCallback
        self.ages = []          # the ages of the connections that carried POSTs, in seconds
        self.handed_over = collections.defaultdict(list)    # (channel, number) → when a POST's last byte had left otpd

    async def upstream(self, connection):
        connection.pending = []
        buffer = bytearray()
        while True:
            head, body = await message(lambda: self.read(connection, connection.client), buffer)
            kind, number, channel = describe(head, body)
            if kind == "post":
                self.ages.append(time.monotonic() - connection.opened_at)
                self.callbacks_asked += b"StatusCallback=" in body
                self.handed_over[channel, number].append(last_received(connection.client))
            context = {"number": number, "channel": channel, "connection": connection, "body": len(body)}
            await self.reach(f"{kind}:begun", **context)
            half = len(body) // 2
            connection.pending.append((kind, context))
            await self.write(connection, connection.server, head + body[:half])
            await self.reach(f"{kind}:half", **context)
            await self.write(connection, connection.server, body[half:])
            if kind == "post" and self.replays > 0:
                self.replays -= 1
                await self.replay(head + body)
            await self.reach(f"{kind}:sent", **context)

    async def downstream(self, connection):
        buffer = bytearray()
        while True:
            head = body = b""
            try:
                head, body = await message(lambda: self.read(connection, connection.server), buffer)
                status = int(head.split(b" ", 2)[1])
            except (Severed, ValueError):
                # Half an answer, no answer, or no HTTP is passed on unchanged.
                await self.write(connection, connection.client, head + body + bytes(buffer))
                raise Severed() from None
            kind, context = connection.pending.pop(0)
            await self.reach(f"{kind}:answered", status=status, **context)
            await self.write(connection, connection.client, head + body)
            if kind == "post" and self.echoes > 0:
                self.echoes -= 1
                self.reached["echo"] = self.reached.get("echo", 0) + 1
                await self.write(connection, connection.client, head + body)
            await self.reach(f"{kind}:told", status=status, **context)

    async def replay(self, request):
        reader, writer = await asyncio.open_connection(*self.target)
        writer.write(request)
        await reader.readuntil(b"\r\n\r\n")
        writer.close()


def last_received(client):
    """When the kernel received the socket's last byte. On a busy machine, this process reads it much later."""
    # The thirteenth number of tcp_info, tcpi_last_data_recv: the milliseconds since then (linux/tcp.h).
    ago, = struct.unpack_from("I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 52)
    return time.time() - ago / 1000


async def message(read, buffer):
    """One message off the buffer: its head, with the empty line, and its body."""
    while b"\r\n\r\n" not in buffer:
        if len(buffer) >= 5 and not buffer.startswith((b"HTTP/", b"POST ", b"GET ", b"DELET")):
            raise ValueError("not HTTP")
        buffer.extend(await read())
    end = buffer.index(b"\r\n\r\n") + 4
    head = bytes(buffer[:end])
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(buffer) < end + length:
        buffer.extend(await read())
    body = bytes(buffer[end : end + length])
    del buffer[: end + length]
    return head, body


def describe(head, body):
    """The kind of a request, its phone number and its channel."""
    method, target = head.split(b" ", 2)[:2]
    is_list = b"/Messages.json" in target or b"/Calls.json" in target
    if method == b"POST" and is_list:
        number = urllib.parse.parse_qs(body.decode()).get("To", [None])[0]
        channel = "call" if b"/Calls.json" in target else "whatsapp" if (number or "").startswith("whatsapp:") else "sms"
        return "post", number, channel
    return ("update" if method == b"POST" else "list" if is_list else "fetch"), None, None
