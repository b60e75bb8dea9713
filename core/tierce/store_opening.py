"""A store that is being opened, and will be ready later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from tierce.store_contexts import StoreOpenContext

S = TypeVar("S")

#: Gets the store, or why there is none.
Settled = Callable[[S | None, BaseException | None], None]


class Opening(Generic[S]):
    """What `Store.open` returns in place of a store that will be ready later: one whose pool is
    being imported, or whose disk is far away. Its replica runs meanwhile, says so to whoever asks,
    and serves as soon as it is settled; its volume goes on with the others.

    Args:
        reason: What is waited for, for operators: "the pool tank is being imported".
        give_up: Called if the replica ends before it is settled. What is opened all the same is
            closed.

    Thread: data thread.
    Blocking: no.
    Failure: the replica's process ends, told by name.
    Since: contract 2.
    """

    def __init__(self, reason: str, give_up: Callable[[], None] = lambda: None) -> None:
        self.reason = reason
        self._give_up = give_up
        self._answer: tuple[S | None, BaseException | None] | None = None
        self._settled: Settled[S] | None = None

    @classmethod
    def aside(cls, context: StoreOpenContext, reason: str, work: Callable[[], S]) -> Opening[S]:
        """Let `work` open the store on a thread of its own, where it may wait as long as it has to.
        That it still does keeps no replica from ending.

        Args:
            context: What the store is opened with.
            reason: What is waited for, for operators.
            work: Returns the open store, or raises what `Store.open` raises.
        """
        opening, lane = cls(reason), context.reactor.lane()

        def done(store: S | None, error: BaseException | None) -> None:
            lane.close()
            opening.settle(store, error)

        lane.offload(work, done)
        return opening

    def settle(self, store: S | None, error: BaseException | None = None) -> None:
        """Say how it has ended, once.

        Args:
            store: The open store; None if there is none.
            error: What `Store.open` would have raised.

        Failure: it raises nothing; that it is settled twice ends the replica's process.
        """
        if self._answer is not None:
            raise ValueError("a store's opening is settled once")
        self._answer = (store, error)
        if self._settled is not None:
            self._settled(store, error)

    def wait(self, settled: Settled[S]) -> None:
        """Have `settled` called with the store, or with why there is none: now if that is known.
        The replicator's to call, once."""
        self._settled = settled
        if self._answer is not None:
            settled(*self._answer)

    def end(self, ended: Callable[[S | None], None]) -> None:
        """Wait no more. The replicator's to call.

        Args:
            ended: Called once nothing is being opened any more, which may be never: with what was
                opened all the same, to be closed, or None. Now if it is settled.
        """
        if self._answer is not None:
            # What was handed over is no more its own.
            ended(None if self._settled is not None else self._answer[0])
            return
        self._settled = lambda store, _error: ended(store)
        self._give_up()
