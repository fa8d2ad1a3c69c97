"""A slow server of chat completions, as little as one can be, in its own process."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def serving(
    delay: float,
    *,
    faults: float = 0.0,
    resets: float = 0.0,
    names: Sequence[str] = ("small",),
) -> Iterator[str]:
    """Serve until the end of the block; the value is the base URL.

    Args:
        delay: seconds that every completion takes, however many are in flight.
        faults: share of requests that get a 500.
        resets: share of connections that are broken instead of an answer.
        names: models that are listed.

    ``/busy`` tells the seconds in which a completion was in flight, and their number.

    """
    told = [str(x) for x in (delay, faults, resets)] + [json.dumps([*names])]
    command = [sys.executable, "-c", SERVER, *told]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.kill()


REPLY = json.dumps({
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "small",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "aws s3 ls"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 250, "completion_tokens": 5, "total_tokens": 255},
})
#: As little as a server can do, so that the clients are what is measured.
SERVER = f"""
import asyncio, json, random, sys, time

delay, faults, resets = map(float, sys.argv[1:4])
rows = [{{"id": name, "object": "model"}} for name in json.loads(sys.argv[4])]
reply = {REPLY!r}.encode()
flying = since = busy = count = 0

def response(status, body):
    head = f"HTTP/1.1 {{status}} X\\r\\nContent-Type: application/json\\r\\n"
    return f"{{head}}Content-Length: {{len(body)}}\\r\\n\\r\\n".encode() + body

def page(head):
    path = head.split(b" ")[1]
    if path == b"/v1/models":
        return response(200, json.dumps({{"data": rows}}).encode())
    if path == b"/busy":
        return response(200, json.dumps({{"seconds": busy, "count": count}}).encode())
    return response(404, b"{{}}")

async def completed():
    global flying, since, busy, count
    if not flying:
        since = time.perf_counter()
    flying, count = flying + 1, count + 1
    await asyncio.sleep(delay)
    flying -= 1
    if not flying:
        busy += time.perf_counter() - since

async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            if head.startswith(b"GET"):
                writer.write(page(head))
                await writer.drain()
                continue
            lines = head.lower().split(b"\\r\\n")
            size = next(x for x in lines if x.startswith(b"content-length:"))
            await reader.readexactly(int(size.split(b":")[1]))
            await completed()
            draw = random.random()
            if draw < resets:
                writer.transport.abort()
                return
            writer.write(response(500 if draw < resets + faults else 200, reply))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
