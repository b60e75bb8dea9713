"""What a session was told to trust is what it trusts."""

from __future__ import annotations

import pytest

from tierce_exporters.otlp.session import Session


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_its_certificates_go_before_those_of_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(name, "environment.pem")
    with Session() as session:

        def trusted() -> object:
            return session.merge_environment_settings("", {}, None, None, None)["verify"]

        # Where nothing else was said, the machine's say holds.
        assert trusted() == "environment.pem"
        session.verify = "ours.pem"
        assert trusted() == "ours.pem"
