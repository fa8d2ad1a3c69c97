"""Run the embedded environment: python -m pytest_awsbench.envs.server.

Prints one line of JSON with its URL when it is ready for the first reset.
"""

import argparse
import json
import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_awsbench.envs.catalog import builtin_tasks, load_tasks
from pytest_awsbench.envs.server.pool import Pool


EXAMPLE = """
Play it from a test run:

    pytest --awsbench-model=sft -m env --awsbench-env-url={url}

or from a training loop:

    from openenv.core.generic_client import GenericEnvClient
    with GenericEnvClient(base_url="{url}").sync() as env:
        env.reset()
        env.step({{"command": "aws s3 ls"}})

Stop it with Ctrl-C.
"""
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def parser() -> argparse.ArgumentParser:
    """Return the flags of the server."""
    found = argparse.ArgumentParser(
        prog="awsbench env", description="serve the embedded AWS environment"
    )
    add = found.add_argument
    add("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    add("--port", type=int, default=8000, help="0 takes a free one")
    add("--sessions", type=int, default=64, help="most sessions at once")
    add("--workers", type=int, help="worker processes (default: one per core)")
    add("--seed", type=int, default=42, help="of what is drawn")
    add("--chaos", action="store_true", help="break things while an agent works")
    add("--grading", choices=("sound", "reference"), default="sound")
    add("--tasks", type=Path, help="task file or folder (default: the built-in ones)")
    add("--token", help="needed where the host is not the loopback")
    add("--with-parent", action="store_true", help="end when the input ends")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped."""
    options = parser().parse_args(arguments)
    token = options.token or os.environ.get("AWSBENCH_ENV_TOKEN")
    if options.host not in LOOPBACK and not token:
        sys.stderr.write(
            f"awsbench env: --host={options.host} can be reached by others: give"
            " --token, or set AWSBENCH_ENV_TOKEN\n"
        )
        return 2
    try:
        listener = _listening(options.host, options.port)
    except OSError as error:
        sys.stderr.write(
            f"awsbench env: cannot listen on {options.host}:{options.port} ({error});"
            " give another --port, or --port=0 for a free one\n"
        )
        return 2
    return _serve(options, listener, token)


def _serve(
    options: argparse.Namespace, listener: socket.socket, token: str | None
) -> int:
    """Serve on a socket that listens."""
    pool = Pool(options.workers)
    # Workers load the emulator while this process loads the server.
    warming = threading.Thread(target=pool.start)
    warming.start()
    try:
        server = _server(options, pool, token)
        if options.with_parent:
            orphaned = threading.Thread(target=_until_orphaned, args=(server,))
            orphaned.daemon = True
            orphaned.start()
        warming.join()
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        ready = {"url": f"http://{shown}:{port}", "pid": os.getpid()}
        sys.stdout.write(json.dumps(ready) + "\n")
        if not options.with_parent:
            sys.stdout.write(EXAMPLE.format(url=ready["url"]))
        sys.stdout.flush()
        server.run(sockets=[listener])
    finally:
        warming.join()
        pool.close()
    return 0


def _server(options: argparse.Namespace, pool: Pool, token: str | None) -> Any:  # noqa: ANN401 - of uvicorn
    """Return the server; its libraries take a second to load."""
    import uvicorn

    from pytest_awsbench.envs.server.app import make_app
    from pytest_awsbench.envs.server.episode import Rules

    rules = Rules(
        tasks=load_tasks(options.tasks) if options.tasks else builtin_tasks(),
        seed=options.seed,
        grading=options.grading,
        chaos=options.chaos,
    )
    return uvicorn.Server(
        uvicorn.Config(
            make_app(pool.open, rules, options.sessions, token),
            log_level="warning",
            ws="websockets-sansio",
            ws_max_size=16 << 20,
            timeout_graceful_shutdown=1,
        )
    )


def _listening(host: str, port: int) -> socket.socket:
    """Take a port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


def _until_orphaned(server: Any) -> None:  # noqa: ANN401 - of uvicorn
    """Stop the server when the process that started it is gone."""
    while sys.stdin.read(1):
        pass
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
