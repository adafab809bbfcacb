"""What `python -m torch.distributed.run` does with a rendered command, without torch: N processes with their variables.

A process that ends badly takes the others with it; a signal is passed on.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

TRAINER = Path(__file__).with_name("stub_trainer.py")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nnodes", type=int, default=1)
    parser.add_argument("--node-rank", type=int, default=0)
    parser.add_argument("--nproc-per-node", type=int, required=True)
    parser.add_argument("--master-addr", default="127.0.0.1")
    parser.add_argument("--master-port", type=int, default=0)
    parser.add_argument("--standalone", action="store_true")
    for ignored in ("--max-restarts", "--monitor-interval", "--shutdown-timeout", "--signals-to-handle"):
        parser.add_argument(ignored, required=True)
    parser.add_argument("-m", dest="module", required=True)
    parser.add_argument("run")
    given = parser.parse_args()
    assert given.module == "cohort_cli.training", given.module
    assert os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] == "1"
    port = given.master_port
    if given.standalone:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
    workers = []

    def passed_on(number: int, frame: object) -> None:
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, passed_on)
    for local in range(given.nproc_per_node):
        place = {
            "RANK": str(given.node_rank * given.nproc_per_node + local),
            "LOCAL_RANK": str(local),
            "WORLD_SIZE": str(given.nnodes * given.nproc_per_node),
            "MASTER_ADDR": given.master_addr,
            "MASTER_PORT": str(port),
        }
        workers.append(
            subprocess.Popen([sys.executable, str(TRAINER), given.run], env={**os.environ, **place})
        )
    while True:
        codes = [worker.poll() for worker in workers]
        if all(code is not None for code in codes):
            return 1 if any(codes) else 0
        if any(codes):
            time.sleep(1.0)  # the others find out by themselves, as with gloo
            passed_on(signal.SIGTERM, None)
            for worker in workers:
                worker.wait(90)
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
