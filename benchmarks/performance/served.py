"""Measure clients of a slow server: python -m benchmarks.performance.served.

Threads that share a client, threads with a client each, an asynchronous client, and the
backend, with the same requests in flight, interleaved. Ratios within a round are what
counts: the machine may be shared.
"""

import argparse
import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import httpx

from benchmarks.performance.serving import serving
from pytest_awsbench.models.listing import card
from pytest_awsbench.models.served import ServedModel, ServedSpec
from pytest_awsbench.records import Decoding, Message, Prompt


PROMPT: Prompt = (
    Message("system", "You answer by one AWS CLI command. " * 24),
    Message("user", "List all buckets of the account."),
)
DECODING = Decoding()
Measured = tuple[float, float]
"""Seconds, and seconds of the client's processor."""
Client = Callable[[ServedModel, int], Measured]


def backend(model: ServedModel, count: int) -> Measured:
    """Ask as the plugin does."""
    return _timed(lambda: model.generate([PROMPT] * count, DECODING))


def shared(model: ServedModel, count: int) -> Measured:
    """Ask from threads that share one client."""
    size = model.spec.concurrency
    limits = httpx.Limits(max_connections=size, max_keepalive_connections=size)
    with httpx.Client(timeout=60, limits=limits) as client:
        return _timed(lambda: _threads(model, [client] * size, count))


def each(model: ServedModel, count: int) -> Measured:
    """Ask from threads with a client each."""
    clients = [
        httpx.Client(timeout=60, verify=False)  # noqa: S501 - there is no TLS
        for _ in range(model.spec.concurrency)
    ]
    measured = _timed(lambda: _threads(model, clients, count))
    for client in clients:
        client.close()
    return measured


def asynchronous(model: ServedModel, count: int) -> Measured:
    """Ask from one event loop with one client."""
    return _timed(lambda: asyncio.run(_loop(model, count)))


CLIENTS: dict[str, Client] = {
    "backend": backend,
    "threads, own clients": each,
    "threads, one client": shared,
    "asyncio, one client": asynchronous,
}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition(":")[0])
    parser.add_argument("--delay", type=float, nargs="+", default=[0.02, 0.2])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.6, help="of a perfect round")
    parser.add_argument("--faults", type=float, default=0.0, help="share of 500s")
    options = parser.parse_args()
    print(f"{'delay':>6} {'flying':>6}  {'client':22} {'req/s':>6} {'ratio':>6} CPU ms")
    for delay in options.delay:
        with serving(delay, faults=options.faults) as url:
            for size in options.concurrency:
                # More than a client can do on few cores would only take longer.
                count = int(min(size / delay, 1000) * options.seconds)
                for line in measure(url, size, max(count, 2 * size), options.rounds):
                    print(f"{delay:6g} {size:6d}  {line}", flush=True)


def measure(url: str, size: int, count: int, rounds: int) -> Iterator[str]:
    """Measure all clients in turn, several times, and yield their lines."""
    spec = ServedSpec(base_urls=(url,), model="small", concurrency=size)
    model = ServedModel(spec, card("small", spec, None))
    found: dict[str, list[Measured]] = {name: [] for name in CLIENTS}
    for _ in range(rounds):
        for name, client in CLIENTS.items():
            found[name].append(client(model, count))
    print(*model.notes, sep="\n", end="\n" if model.notes else "", file=sys.stderr)
    model.close()
    for name, times in found.items():
        against = median(
            t[0] / b[0] for b, t in zip(found["backend"], times, strict=True)
        )
        rate = count / median(t[0] for t in times)
        busy = median(t[1] for t in times) / count * 1000
        yield f"{name:22} {rate:6.0f} {1 / against:6.2f} {busy:6.2f}"


def _timed(run: Callable[[], object]) -> Measured:
    """Run and measure."""
    wall, busy = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - busy


def _threads(model: ServedModel, clients: list[httpx.Client], count: int) -> None:
    """Ask from a thread per client, with nothing around it."""
    todo = iter(range(count))
    lock = threading.Lock()
    url, body = _request(model)

    def work(client: httpx.Client) -> None:
        while True:
            with lock:
                if next(todo, None) is None:
                    return
            client.post(url, json=body).json()

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def _loop(model: ServedModel, count: int) -> None:
    """Ask from as many tasks as there may be requests in flight."""
    size = model.spec.concurrency
    limits = httpx.Limits(max_connections=size, max_keepalive_connections=size)
    todo = iter(range(count))
    url, body = _request(model)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:

        async def work() -> None:
            for _ in todo:
                (await client.post(url, json=body)).json()

        await asyncio.gather(*(work() for _ in range(size)))


def _request(model: ServedModel) -> tuple[str, dict[str, Any]]:
    """Return what every client sends."""
    url = model.spec.base_urls[0] + "/chat/completions"
    return url, model.body(PROMPT, DECODING)


if __name__ == "__main__":
    main()
