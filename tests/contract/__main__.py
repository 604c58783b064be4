"""Replay recorded exchanges with a real Ollama against any server: ``python -m tests.contract --base URL``.

Classes of differences: A clients break (status, media type, missing key, wrong type, stream or error shape, framing);
B visible (texts of errors, values, additional keys, generated text); C cosmetic (key order, charset, number of
chunks). Exit status 0: no A and no B.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

from tests.contract.keys import ORDER
from tests.contract.replay import GOLDEN, choose, loosen, read_golden, replay
from tests.contract.report import lines, table


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description="replay recorded exchanges")
    parser.add_argument("--base", help="http://host:port of the server to judge")
    parser.add_argument("--golden", type=Path, default=GOLDEN / "default.jsonl", help="recorded exchanges")
    for role in ("chat", "plain", "embed"):
        parser.add_argument("--" + role, help=f"name of the {role} model there (default: as recorded)")
    parser.add_argument("--only", action="append", default=[], metavar="PREFIX", help="cases whose id begins so")
    parser.add_argument("--skip", action="append", default=[], metavar="PREFIX", help="not those")
    parser.add_argument("--text", choices=("same", "loose"), default="same", help="loose: other words will do")
    parser.add_argument("--no-load", action="store_true", help="leave out what loads and unloads models")
    parser.add_argument("--only-load", action="store_true", help="nothing but that")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write differences and answers to a file")
    parser.add_argument("--all", action="store_true", help="every difference, not the first three of a case")
    parser.add_argument("--cosmetic", action="store_true", help="class C, too")
    parser.add_argument("--show", metavar="CASE", help="print a recorded case and stop")
    parser.add_argument(
        "--at-once", type=int, default=1, metavar="N", help="N cases at a time, and what differs once more by itself"
    )
    parser.add_argument("--timeout", type=float, default=180, help="seconds for one request")
    args = parser.parse_args()

    header, cases = read_golden(args.golden)
    if args.show:
        print(json.dumps([c for c in cases if c["id"] == args.show], indent=1, ensure_ascii=False))
        return 0
    if not args.base:
        parser.error("--base is needed")
    load = False if args.no_load else True if args.only_load else None
    cases = choose(cases, only=args.only, skip=args.skip, load=load)
    if args.text == "loose":
        cases = [loosen(case) for case in cases]
    models = {role: name for role in header["models"] if (name := getattr(args, role.lower()))}

    def progress(number: int, case: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{number}/{len(cases)} {case:50}", end="", file=sys.stderr, flush=True)

    began = time.monotonic()
    results = asyncio.run(
        replay(
            args.base,
            header,
            cases,
            models=models,
            seconds=args.timeout,
            at_once=args.at_once,
            progress=progress,
        )
    )
    if sys.stderr.isatty():
        print("\r" + " " * 70 + "\r", end="", file=sys.stderr)
    spent = time.monotonic() - began
    for line in lines(results, ORDER if args.cosmetic else "AB", None if args.all else 3):
        print(line)
    print(table(results))
    print(f"{len(results)} cases of {args.golden.name}, recorded from {header['version']}, {spent:.0f} s")
    if args.json:
        args.json.write_text(json.dumps(results, ensure_ascii=False, indent=1))
    return 1 if any(r["worst"] in ("A", "B") for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
