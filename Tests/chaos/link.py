"""A TCP path that the tests can break: the common part of the proxies for PostgreSQL and for HTTP.

A link has one listening port, which stays the same while the process behind it is replaced. A link reads bytes only when
it needs them. A frozen link therefore leaves the bytes in the sender's kernel, as a broken network would. They stay
unacknowledged as soon as the (small) receive buffer is full.
"""
import asyncio
import socket
import struct
import time

# A window this small makes a long text stick in the sender's kernel: it has not left, and must not leave later.
SMALL_BUFFER = 1024


class Severed(Exception):
    """This connection has ended, normally or by the harness."""


class Trap:
    """Catches one flow at a step, and holds it until it is let go."""

    def __init__(self, step, match):
        self.step, self.match = step, match
        self.context = None
        self._caught = asyncio.Event()
        self._released = asyncio.Event()

    async def caught(self, seconds=20):
        """The context of what was caught. If no flow reaches the step, the run fails."""
        try:
            await asyncio.wait_for(self._caught.wait(), seconds)
        except asyncio.TimeoutError:
            self._released.set()
            raise Missed(f"nothing came by {self.step} within {seconds} s") from None
        return self.context

    @property
    def is_sprung(self):
        return self._caught.is_set()

    def release(self):
        self._released.set()

    async def hold(self, context):
        self.context = context
        self._caught.set()
        await self._released.wait()


class Missed(Exception):
    """The attack of a scenario did not happen."""


class Connection:
    """Both sockets of one proxied connection."""

    def __init__(self, link, client):
        self.link, self.client, self.server = link, client, None
        self.opened_at = time.monotonic()
        self.is_swallowed = False
        self.tasks = []

    def close(self, reset=False):
        for task in self.tasks:
            task.cancel()
        # Only after the loop has forgotten their descriptors, which the next socket may get.
        asyncio.get_running_loop().call_soon(self._close, reset)

    def _close(self, reset):
        for side in (self.client, self.server):
            if side is not None and side.fileno() >= 0:
                if reset:
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.close()


class Link:
    """Listens on `port` and leads to `target` (host, port)."""

    kind = "link"

    def __init__(self, target, name):
        self.target, self.name = target, name
        self.port = None
        self.connections = set()
        self.traps = []
        self.reached = {}       # how many flows reached each step
        self.trouble = []       # mistakes of the harness itself
        self._listener = None
        self._is_listening = False
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._swallows = False
        self._bytes_per_second = None
        self._narrow = False
        self._fillers = []

    # Subclasses provide these two coroutines per connection.
    async def upstream(self, connection):
        raise NotImplementedError

    async def downstream(self, connection):
        raise NotImplementedError

    async def open(self, narrow=False):
        """Starts to listen. `narrow`: with the smallest possible receive window."""
        self._narrow = narrow
        self._listen()
        return self

    def _listen(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._narrow:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        listener.bind(("127.0.0.1", self.port or 0))
        listener.listen(256)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._is_listening = True
        # Not sock_accept, because Python 3.11 accepts one more connection after its cancellation and reports an exception.
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener):
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, client)
        connection.is_swallowed = self._swallows
        self.connections.add(connection)
        connection.tasks.append(asyncio.ensure_future(self._serve(connection)))

    async def _serve(self, connection):
        reset = False
        try:
            if not connection.is_swallowed:
                connection.server = socket.socket()
                connection.server.setblocking(False)
                connection.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await asyncio.get_running_loop().sock_connect(connection.server, self.target)
                down = asyncio.ensure_future(self.downstream(connection))
                connection.tasks.append(down)
                up = asyncio.ensure_future(self.upstream(connection))
                connection.tasks.append(up)
                # One direction's end is the connection's: neither libpq nor libcurl half-closes.
                done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    failure = task.exception()
                    if failure is not None and not isinstance(failure, (Severed, OSError)):
                        self.trouble.append(f"{self.name}: {failure!r}")
                    reset = reset or isinstance(failure, OSError)
            if connection.is_swallowed:
                await asyncio.Event().wait()
        except OSError:
            reset = True
        except asyncio.CancelledError:
            return
        self.connections.discard(connection)
        connection.tasks = [t for t in connection.tasks if t is not asyncio.current_task()]
        connection.close(reset=reset)

    # Reading and writing, with the present fault of the path.

    async def read(self, connection, side):
        loop = asyncio.get_running_loop()
        while True:
            await self._thawed.wait()
            data = await loop.sock_recv(side, 1 if self._bytes_per_second else 65536)
            if connection.is_swallowed:
                if not data:
                    await asyncio.Event().wait()
                continue
            if not data:
                raise Severed()
            if self._bytes_per_second:
                await asyncio.sleep(1 / self._bytes_per_second)
            return data

    async def write(self, connection, side, data):
        await self._thawed.wait()
        if not connection.is_swallowed and data:
            await asyncio.get_running_loop().sock_sendall(side, data)

    async def reach(self, step, **context):
        """A flow has reached this step. It is held if a trap waits there."""
        self.reached[step] = self.reached.get(step, 0) + 1
        for trap in self.traps:
            if trap.step == step and not trap.is_sprung and (trap.match is None or trap.match(context)):
                self.traps.remove(trap)
                await trap.hold(context)
                return

    # The attacks of the scenarios.

    def trap(self, step, match=None):
        trap = Trap(step, match)
        self.traps.append(trap)
        return trap

    def cut(self, reset=True):
        """Ends all connections, by RST or by FIN, and drops held bytes. Returns how many."""
        count = len(self.connections)
        for connection in list(self.connections):
            connection.close(reset=reset)
        self.connections.clear()
        return count

    def refuse(self):
        """Stops listening. Existing connections stay."""
        if self._is_listening:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._is_listening = False

    async def hide(self):
        """New connections hang, as behind a firewall that drops packets. Existing connections stay."""
        self.refuse()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(0)
        self._fillers = [socket.socket() for _ in range(2)]
        for filler in self._fillers:
            # A queue of one connection that is never accepted: the kernel answers no further SYN.
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))

    def freeze(self):
        """Reads and writes nothing on existing connections. They continue after `heal`."""
        self._thawed.clear()

    def swallow(self):
        """Half-open: acknowledges and drops everything, never sends anything on these connections. Returns how many."""
        self._swallows = True
        for connection in self.connections:
            connection.is_swallowed = True
        return len(self.connections)

    def slow(self, bytes_per_second):
        self._bytes_per_second = bytes_per_second

    def heal(self):
        """New connections work, and frozen ones continue. Swallowed ones are reset, as by a host that has forgotten them."""
        self._bytes_per_second = None
        self._swallows = False
        for connection in list(self.connections):
            if connection.is_swallowed:
                connection.close(reset=True)
                self.connections.discard(connection)
        self._thawed.set()
        if not self._is_listening:
            for hidden in [self._listener, *self._fillers]:
                hidden.close()
            self._fillers = []
            self._listen()

    def close(self):
        self.refuse()
        for trap in self.traps:
            trap.release()
        self.cut()
