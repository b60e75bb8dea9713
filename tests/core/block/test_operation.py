"""Requests, and what is made of them."""

from __future__ import annotations

from tierce import NO_FLAGS, Flag, Op, Request
from tierce.block.operation import FLAGS_OF


def test_a_request_has_no_flags_and_no_trace_unless_it_is_given_some() -> None:
    plain = Request(Op.WRITE, 0, 512, memoryview(bytes(512)))
    assert plain.flags is NO_FLAGS
    assert plain.trace is None


def test_what_is_derived_keeps_flags_and_trace_and_leaves_the_tag() -> None:
    trace, buffer = object(), memoryview(bytes(1024))
    whole = Request(Op.WRITE, 0, 1024, buffer, Flag.FUA, "tag", trace)
    part = whole.derive(Op.WRITE, 512, 512, buffer[512:])
    assert (part.op, part.offset, part.length) == (Op.WRITE, 512, 512)
    assert part.buffer == buffer[512:]
    assert (part.flags, part.trace, part.tag, part.status) == (Flag.FUA, trace, None, None)


def test_what_is_derived_may_have_other_flags() -> None:
    whole = Request(Op.WRITE, 0, 512, memoryview(bytes(512)), Flag.FUA, trace="t")
    flush = whole.derive(Op.FLUSH, 0, 0, flags=NO_FLAGS)
    assert (flush.flags, flush.trace) == (NO_FLAGS, "t")


def test_every_operation_says_which_flags_it_may_carry() -> None:
    assert set(FLAGS_OF) == set(Op)
