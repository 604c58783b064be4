"""A child on an errand for the tests: it does what its order says, in good and in bad ways."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

from vllama.errand.program import ReportStage, carry_out
from vllama.errors import PullFailed


def work(order: Any, report: ReportStage) -> Any:
    report("pid", os.getpid(), 0)
    match order:
        case {"count": int(count)}:
            for number in range(count):
                print("a library says something")
                report("counting", number + 1, count)
            return {"counted": count}
        case {"threads": int(count)}:
            threads = [threading.Thread(target=report, args=(str(n) * 10_000, n, n)) for n in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        case {"refuse": str(cause)}:
            raise PullFailed(cause, hint="try again", where="/var/lib/x", code="pull_gated")
        case {"crash": str(words)}:
            raise ValueError(words)
        case "secret":
            return os.environ["HF_TOKEN"]
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(600)
        case "ignore":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            report("deaf", 1, 1)
            time.sleep(600)
        case "fork":  # what it started keeps its pipes open
            if not (child := os.fork()):
                time.sleep(600)
            report("forked", child, 0)
            os._exit(4)
    return None


def rudely(how: str) -> None:
    """Without the protocol's own side."""
    match how:
        case "garbage":
            os.write(1, b"\x00\xff not ours\n{}\n[1, 2]\n" + b'{"stage": 1}\n{"result": "yet it ends well"}\n')
        case "huge":
            os.write(1, b"x" * 60_000)
            time.sleep(600)
        case "half":
            os.write(1, b'{"result": ')
        case "close":
            os.close(1)
            sys.stderr.write("it goes on without a word\n")
            sys.stderr.flush()
            time.sleep(600)
        case "password":
            sys.stderr.write("can't reach https://me:s3cret@hub/x\n")


if __name__ == "__main__":
    if how := os.environ.get("RUDE"):
        rudely(how)
    else:
        carry_out(work)
