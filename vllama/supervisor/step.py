"""The life of every engine as one pure function: ``step(state, event) -> (state, actions)``.

``absent → planning → starting → warming → ready → stopping → absent``; a crash leads through ``backoff`` to the
next start, or to ``broken`` when it can't succeed or the breaker opens. ``failing`` is an engine that died or hangs
and whose processes are being killed; ``draining`` is one that finishes its last answers at shutdown. Where vLLM can
sleep, an engine whose memory another one needs goes ``ready → dozing → asleep`` and comes back by ``waking``.
``supervisor/design.md`` explains the ideas.

The decisions, with the labels that they have in the code. In each group the first one that fits applies.

A request wants a model (``leases``):
  L1  The service is shutting down: refuse.
  L2  The engine has no room for the model's adapter: handle it as C1-C5 do, then continue with L3.
  L3  The engine is ready and takes new requests: grant.
  L4  It is broken, and the cool-off is not over: refuse with its cause. Changed files end the cool-off.
  L5  It is broken, and the cool-off is over: try once more. If the files are the same, one more crash opens the
      breaker again.
  L6  Too many requests wait: refuse.
  L7  Wait. A resting engine joins the queue.
A request ends (``leases``):
  L8  It was waiting: drop it. If no other request wants the engine and its load has not begun, it leaves the queue. A
      load that has begun continues, because clients that give up often come back.
  L9  It was the last lease of a ready engine: see ``moves.rest``. The last lease of a draining engine: stop.
An unload is wanted (``orders``):
  U1  The engine is busy: stop it after its answers.
  U2  It is idle or asleep: stop it gently.
  U3  It is loading for no request: drop the plan, or kill the process (vLLM ignores SIGTERM while it starts).
  U4  Requests wait for it: serve them first, then stop it.
  U5  It is falling asleep: stop it when it sleeps. It is stopping: don't start it again.
The engine's settings have changed (``orders``):
  C1  It is busy: finish its answers, take no new ones, then start it as configured now.
  C2  It is idle or asleep: stop it gently.
  C3  It is loading: kill it.
  C4  It is falling asleep: stop it when it sleeps.
  C5  It has no process: forget its setbacks, and start it at once if it is wanted.
The service shuts down (``orders``):
  Q1  Refuse all waiting requests. Drain busy engines, stop idle ones, kill loading ones.
  Q2  The second order to shut down: kill what is left.
Time has passed (here):
  T1  A pause after a crash is over: join the queue.
  T2  An idle engine's ``keep_alive`` is over: stop it gently.
  T3  A draining engine's ``drain_timeout`` is over: stop it.
A plan or a wake-up has its answer (``life``):
  P1  There is a plan: spawn.
  P2  There is no plan, but another engine was loading or the answer is out of date: try again, as the queue's head.
  P3  It can't be started at all: refuse all waiting requests.
  P4  It lacks memory: it is the head of the queue, and ``room`` decides.
The process lives (``life``):
  P5  It listens: ask for a first token. The token came: grant all waiting requests.
  P6  It sleeps: stop it if U5 or C4 said so, wake it up if requests wait.
  P7  It hangs: kill it. It died: wait until all its processes are gone. Then X1-X7 decide.
The process is gone (``life``):
  X1  We stopped it, or the service shuts down: absent. Load it again if requests wait or an order says so.
  X2  The cause lies outside the engine (a full disk): not a crash. Refuse all waiting requests; try again if it was
      ready before.
  X3  It ran out of memory, and smaller plans are left: plan again at once, as the head of the queue.
  X4  It can't succeed, or has crashed too often: broken. Refuse all waiting requests.
  X5  It has failed to start too often in a row: refuse all waiting requests.
  X6  It is not wanted: absent.
  X7  Pause, then load it again.
Then ``room`` decides which engine loads next (R1-R10), and ``compilation`` what to do in idle time.

Invariants (tests/unit/supervisor/test_step.py checks them in long random histories): every waiter is answered exactly
once. A lease counts until it is returned. Only a hang or a shutdown's deadline stops a leased engine. At most
``policy.parallel_starts`` engines load at a time, and at most one of them is being planned or woken. A plan that found
no room while another engine loads is no reason to refuse.
"""

from __future__ import annotations

from dataclasses import replace

from vllama.supervisor.actions import Action
from vllama.supervisor.compilation import give_up_compiling, lived, tend
from vllama.supervisor.events import (
    Closing,
    CompilationEnded,
    CompilationProgressed,
    Event,
    LeaseReturned,
    LeaseWanted,
    PolicyChanged,
    Reconfigured,
    Ticked,
    UnloadWanted,
)
from vllama.supervisor.leases import lease_returned, lease_wanted
from vllama.supervisor.life import went_on
from vllama.supervisor.moves import enqueue, put, stop
from vllama.supervisor.orders import closing, reconfigured, unload_wanted
from vllama.supervisor.room import start_next
from vllama.supervisor.states import State, expiry


def step(state: State, event: Event) -> tuple[State, list[Action]]:
    """What the world looks like after ``event``, and what is to be done about it."""
    actions: list[Action] = []
    match event:
        case LeaseWanted():
            state = lease_wanted(state, event, actions)
        case LeaseReturned():
            state = lease_returned(state, event, actions)
        case UnloadWanted():
            state = give_up_compiling(unload_wanted(state, event, actions), event.key)
        case Reconfigured():
            state = reconfigured(state, event, actions)
        case CompilationProgressed() | CompilationEnded():
            state = lived(state, event)
        case PolicyChanged():
            state = replace(state, policy=event.policy)
        case Ticked():
            state = _ticked(state, event.now, actions)
        case Closing():
            state = closing(state, event.now, actions)
        case _:
            engine = state.engines.get(event.key)
            if engine is None or engine.run != event.run:
                return state, []
            state = went_on(state, engine, event, actions)
    return tend(start_next(state, event.now, actions), event.now, actions), actions


def _ticked(state: State, now: float, actions: list[Action]) -> State:
    """T1 to T3."""
    for engine in tuple(state.engines.values()):
        match engine.phase:
            case "backoff" if now >= engine.retry_at:  # T1
                state = enqueue(state, engine, now)
            case "ready" | "asleep" if (at := expiry(engine)) is not None and now >= at:  # T2
                state = put(state, stop(engine, now, actions, gentle=True))
            case "draining" if now >= engine.drain_until:  # T3
                state = put(state, stop(engine, now, actions, gentle=True))
            case _:
                pass
    return state
