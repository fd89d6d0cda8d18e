"""A network switch over TAP devices. It forwards frames between its ports, and breaks each direction between two ports as it
is told: cut, delayed, with losses. It is a process of its own, so that a busy harness delays no frame.

It reads one JSON object a line from its standard input, and answers each with a line:
{"open": "n1", "number": 1}                     creates the TAP device n1. Frames for the MAC address that ends with 1 go there
{"from": 1, "to": 2, "cut": true}               sets the rule of one direction; "delay", "jitter": s; "loss": 0 to 1
{"heal": true}                                  removes all rules
{"seed": 7}                                     seeds the losses and the jitter
"""
import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
# Longer than the largest frame: the devices' MTU is in network.py.
LARGEST = 65536


class Switch:
    def __init__(self) -> None:
        self.random = random.Random(0)
        self.ports: dict[int, int] = {}                     # number → descriptor
        self.numbers: dict[int, int] = {}                   # descriptor → number
        self.rules: dict[tuple[int, int], dict] = {}
        self.delayed: list[tuple[float, int, int, bytes]] = []
        self.latest: dict[tuple[int, int], float] = {}      # a delayed frame does not overtake another
        self.sequence = 0
        self.poll = select.epoll()

    def open(self, name: str, number: int) -> None:
        if number in self.ports:
            self.close(self.ports[number])
        port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(port, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
        self.ports[number], self.numbers[port] = port, number
        self.poll.register(port, select.EPOLLIN)

    def close(self, port: int) -> None:
        del self.ports[self.numbers.pop(port)]
        self.poll.unregister(port)
        os.close(port)

    def take(self, port: int) -> None:
        """Forwards the frames that wait at a port."""
        for _ in range(64):
            try:
                frame = os.read(port, LARGEST)
            except BlockingIOError:
                return
            except OSError:
                # The device is down or gone: its network namespace has ended.
                self.poll.modify(port, 0)
                return
            source = self.numbers[port]
            if frame[0] & 1:
                targets = [number for number in self.ports if number != source]
            else:
                targets = [frame[5]]
            for target in targets:
                self.forward(source, target, frame)

    def forward(self, source: int, target: int, frame: bytes) -> None:
        rule = self.rules.get((source, target))
        if rule is None:
            self.give(target, frame)
            return
        if rule.get("cut") or self.random.random() < rule.get("loss", 0):
            return
        delay = rule.get("delay", 0) + self.random.uniform(0, rule.get("jitter", 0))
        if delay <= 0:
            self.give(target, frame)
            return
        due = max(time.monotonic() + delay, self.latest.get((source, target), 0))
        self.latest[source, target] = due
        self.sequence += 1
        heapq.heappush(self.delayed, (due, self.sequence, target, frame))

    def give(self, target: int, frame: bytes) -> None:
        if target in self.ports:
            try:
                os.write(self.ports[target], frame)
            except OSError:
                pass        # a full queue or a dead device loses frames, as in any network

    def obey(self, line: bytes) -> None:
        order = json.loads(line)
        if "open" in order:
            self.open(order["open"], order["number"])
        elif "from" in order:
            self.rules[order["from"], order["to"]] = order
        elif "heal" in order:
            self.rules.clear()
        elif "seed" in order:
            self.random.seed(order["seed"])
        print("done", flush=True)

    def run(self) -> None:
        self.poll.register(0, select.EPOLLIN)
        orders = b""
        while True:
            wait = max(0.0, self.delayed[0][0] - time.monotonic()) if self.delayed else -1
            for port, _ in self.poll.poll(wait):
                if port != 0:
                    if port in self.numbers:
                        self.take(port)
                    continue
                text = os.read(0, LARGEST)
                if not text:
                    return
                *lines, orders = (orders + text).split(b"\n")
                for line in lines:
                    self.obey(line)
            while self.delayed and self.delayed[0][0] <= time.monotonic():
                _, _, target, frame = heapq.heappop(self.delayed)
                self.give(target, frame)


if __name__ == "__main__":
    sys.exit(Switch().run())
