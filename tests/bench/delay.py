"""A proxy that delays what passes, each way by half of the round trip, and does not limit how much passes.

Run as `delay.py PORT SECONDS`: it forwards to that port of this machine, prints its own, and ends when its standard input does.
"""

import asyncio
import contextlib
import os
import sys

CHUNK = 256 * 1024


async def one_way(reader, writer, delay):
    """Forwards one direction: what arrives is sent after the delay, whatever arrives meanwhile."""
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()

    async def send():
        while True:
            at, chunk = await queue.get()
            await asyncio.sleep(max(0, at - loop.time()))
            if not chunk:
                break
            writer.write(chunk)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    sending = asyncio.create_task(send())
    chunk = b"-"
    while chunk:
        try:
            chunk = await reader.read(CHUNK)
        except OSError:
            chunk = b""
        await queue.put((loop.time() + delay, chunk))
    with contextlib.suppress(OSError):
        await sending
    return writer


async def serve(port, round_trip):
    async def connected(reader, writer):
        # A connection is there after a round trip.
        await asyncio.sleep(round_trip)
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(one_way(reader, to_writer, round_trip / 2), one_way(to_reader, writer, round_trip / 2))
        for one in (writer, to_writer):
            one.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    # Connections that are still open end with the process.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
