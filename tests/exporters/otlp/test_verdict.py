"""What becomes of a sending that failed is read from what OpenTelemetry's exporters log."""

from __future__ import annotations

import logging

import grpc
import pytest

from tierce_exporters.otlp.verdict import ErrorKeeper, Verdict

HTTP = ("Failed to export %s batch code: %s, reason: %s", "spans")
GRPC = ("Failed to export %s to %s, error code: %s, error details: %s", "traces", "127.0.0.1:4317")


@pytest.fixture
def keeper() -> ErrorKeeper:
    return ErrorKeeper()


def log(keeper: ErrorKeeper, text: str, *values: object) -> None:
    record = logging.LogRecord("opentelemetry", logging.ERROR, "", 0, text, values, None)
    keeper.handle(record)


def test_what_has_arrived_has(keeper: ErrorKeeper) -> None:
    log(keeper, *HTTP, 500, "before")
    assert keeper.verdict(has_arrived=True) is Verdict.ARRIVED


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500])
def test_what_http_refuses_is_not_sent_again(keeper: ErrorKeeper, status: int) -> None:
    log(keeper, *HTTP, status, "no")
    assert keeper.verdict(has_arrived=False) is Verdict.REFUSED
    assert keeper.why == f"Failed to export spans batch code: {status}, reason: no"


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_what_http_may_take_later_is_sent_again(keeper: ErrorKeeper, status: int) -> None:
    log(keeper, *HTTP, status, "later")
    assert keeper.verdict(has_arrived=False) is Verdict.FAILED


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "UNAUTHENTICATED", "UNIMPLEMENTED"])
def test_what_grpc_refuses_is_not_sent_again(keeper: ErrorKeeper, code: str) -> None:
    log(keeper, *GRPC, grpc.StatusCode[code], "no")
    assert keeper.verdict(has_arrived=False) is Verdict.REFUSED


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"])
def test_what_grpc_may_take_later_is_sent_again(keeper: ErrorKeeper, code: str) -> None:
    log(keeper, *GRPC, grpc.StatusCode[code], "later")
    assert keeper.verdict(has_arrived=False) is Verdict.FAILED


def test_one_sending_s_error_is_not_the_next_one_s(keeper: ErrorKeeper) -> None:
    log(keeper, *HTTP, 400, "no")
    keeper.forget()
    assert (keeper.verdict(has_arrived=False), keeper.why) == (Verdict.FAILED, "")


def test_a_try_that_is_repeated_is_no_error_and_its_cause_is_told_with_the_end(
    keeper: ErrorKeeper,
) -> None:
    logger = logging.getLogger("exporters-test-verdict")
    logger.addHandler(keeper)
    logger.warning("Transient error %s encountered", ConnectionRefusedError("refused"))
    assert keeper.why == ""
    logger.error("Failed to export %s batch due to timeout.", "spans")
    assert keeper.why == "Failed to export spans batch due to timeout. (refused)"
    assert keeper.verdict(has_arrived=False) is Verdict.FAILED
