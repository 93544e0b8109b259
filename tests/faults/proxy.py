"""A proxy on loopback that can delay, hold back, refuse and reset: a network that breaks."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[], Awaitable[Streams]]


def unix_socket(path: str) -> Dial:
    """Return how to reach a server behind a unix socket."""
    return lambda: asyncio.open_unix_connection(path)


def tcp(host: str, port: int) -> Dial:
    """Return how to reach a server behind a port."""
    return lambda: asyncio.open_connection(host, port)


class Proxy:
    """A port that passes bytes to a server as its mode says.

    Attributes:
        mode: `pass`, `hold` (nothing arrives and nobody is told) or `refuse`.
        delay_seconds: how late bytes arrive.
    """

    def __init__(self, dial: Dial) -> None:
        self.mode: Literal["pass", "hold", "refuse"] = "pass"
        self.delay_seconds = 0.0
        self.port = 0
        self._dial = dial
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()
        self._started.wait(10)

    def reset(self) -> None:
        """Break every open connection."""
        self._loop.call_soon_threadsafe(self._abort_all)

    def close(self) -> None:
        """Break everything and end."""
        self.reset()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    def _abort_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await self._dial()
        except OSError:
            writer.transport.abort()
            return
        both = {writer, there_writer}
        self._writers |= both
        try:
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        finally:
            self._writers -= both
            for one in both:
                one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                while self.mode == "hold":  # noqa: ASYNC110  (set by another thread)
                    await asyncio.sleep(0.05)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@contextlib.contextmanager
def proxied(dial: Dial) -> Iterator[Proxy]:
    """Run a proxy for the length of the block."""
    proxy = Proxy(dial)
    try:
        yield proxy
    finally:
        proxy.close()
