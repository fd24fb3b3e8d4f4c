"""Replies of workers that fit the protocol, and those that do not."""

from __future__ import annotations

import json

import pytest

from bench.measure import answers
from bench.measure.answers import Failure, NoAnswer

DEEP = b"[" * 900 + b"]" * 900


def failed(**changes):
    return json.dumps({"id": 7, "failed": {"status": "wrong", "reason": "it is off"} | changes}).encode()


def test_matching_answer_is_returned():
    assert answers.answer_in(b'{"id": 7, "ok": {"seconds": [1.5]}}', 7) == {"ok": {"seconds": [1.5]}}
    assert answers.answer_in(failed(error=0.5, tolerance=0.1), 7) == {"failed": Failure("wrong", "it is off", 0.5, 0.1)}
    assert answers.answer_in(failed(error=None), 7) == {"failed": Failure("wrong", "it is off")}


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"hello",
        b"\xff\x00",
        b"null",
        b"7",
        b"[1]",
        b'"text"',
        b"{}",
        b'{"id": 7}',
        b'{"ok": {}}',
        b'{"id": 8, "ok": {}}',
        b'{"id": 7.0, "ok": {}}',
        b'{"id": "7", "ok": {}}',
        b'{"id": null, "ok": {}}',
        b'{"id": ' + DEEP + b', "ok": {}}',
        b'{"id": ' + b"7" * 5000 + b', "ok": {}}',
        b'{"id": 7, "ok": {}, "failed": {}}',
        b'{"id": 7, "ok": {}} {"id": 7, "ok": {}}',
        b'{"id": 7, "other": {}}',
        b'{"id": 7, "ok": [1]}',
        b'{"id": 7, "ok": null}',
        b'{"id": 7, "failed": "yes"}',
        b'{"id": 7, "failed": {}}',
        b'{"id": 7, "failed": {"status": "wrong", "reason": ' + DEEP + b"}}",
        failed(status="ok"),
        failed(status="not_run"),
        failed(status="timeout"),
        failed(status=["wrong"]),
        failed(status=None),
        failed(reason=None),
        failed(reason=["a", "b"]),
        failed(error="much"),
        failed(error=True),
        failed(error=[1.0]),
        failed(tolerance={}),
        failed(seconds=[1e-12]),
        failed(self=1),
    ],
)
def test_unfit_reply_is_refused_in_few_words(reply):
    with pytest.raises(NoAnswer) as caught:
        answers.answer_in(reply, 7)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


def test_true_does_not_answer_request_1():
    with pytest.raises(NoAnswer):
        answers.answer_in(b'{"id": true, "ok": {}}', 1)


@pytest.mark.parametrize("figure", [b"9" * 400, b"NaN", b"1e999"])
def test_large_figures_of_a_failure_can_be_shown(figure):
    reply = b'{"id": 7, "failed": {"status": "wrong", "reason": "it is off", "error": %b}}' % figure
    assert f"{answers.answer_in(reply, 7)['failed'].error:.3g}" in ("inf", "nan")


def test_reason_of_a_failure_can_be_encoded():
    answers.answer_in(failed(reason="odd \udcff\ud800"), 7)["failed"].reason.encode()
