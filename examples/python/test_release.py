"""``release.py`` against a ProGet of each test's own: the fixture ``proget``, which comes with deployserver.

Its feeds are named in ``pytest.ini``.
"""

import sys

import pytest
from release import NotRecorded, ProGet, main

DEPLOYMENT = {
    "FeedName": "internal",
    "PackageName": "Newtonsoft.Json",
    "Version": "12.0.3",
    "Target": "web-01",
    "Application": "release.py",
    "Description": "to web-01",
}


@pytest.fixture
def waits():
    """The seconds that were waited for, without waiting."""
    return []


@pytest.fixture
def client(proget, waits):
    return ProGet(proget.url, proget.add_key(feed="internal", name="ci"), waits.append)


def test_records_what_was_deployed(proget, client):
    client.record(DEPLOYMENT)
    proget.assert_deployed(package="Newtonsoft.Json", version="12.0.3", target="web-01", user="ci", times=1)


def test_says_why_a_record_was_refused(proget, client):
    client.key = "wrong"
    with pytest.raises(NotRecorded, match="403: The API key is not valid"):
        client.record(DEPLOYMENT)
    assert len(proget.requests) == 1, "it is no use to try again"


def test_says_what_is_wrong_with_a_record(client):
    with pytest.raises(NotRecorded, match="400: Version must not be blank"):
        client.record({**DEPLOYMENT, "Version": ""})


def test_comes_back_when_it_is_told_to(proget, client, waits):
    proget.add_fault("answer", status=503, retry_after=7, first=2)
    client.record(DEPLOYMENT)
    assert waits == [7, 7]
    proget.assert_deployed(package="Newtonsoft.Json", times=1)


def test_gives_up_after_three_attempts(proget, client, waits):
    proget.add_fault("answer", status=429, retry_after=60)
    with pytest.raises(NotRecorded, match=r"429: .*\(tried 3 times\)"):
        client.record(DEPLOYMENT)
    assert waits == [60, 60]
    proget.assert_not_deployed()


def test_tries_again_when_the_connection_breaks(proget, client):
    proget.add_fault("reset", first=1)
    client.record(DEPLOYMENT)
    proget.assert_deployed(package="Newtonsoft.Json", times=1)


@pytest.mark.parametrize("loss", ["reset", "close", "hang", "cut", "garbage"])
def test_an_answer_that_is_lost_makes_no_second_record(proget, client, loss):
    client.timeout = 0.5
    proget.add_fault(loss, when="stored", method="POST", first=1)
    client.record(DEPLOYMENT)
    proget.assert_deployed(package="Newtonsoft.Json", times=1)


def test_a_record_that_cannot_be_asked_for_is_rather_sent_twice(proget, client):
    proget.add_fault("answer", status=404, method="GET", path="/api/deployments")
    proget.add_fault("reset", when="stored", first=1)
    client.record(DEPLOYMENT)
    first, second = proget.deployments
    assert first.date == second.date, "so that the history can be cleaned up"


def test_says_when_the_key_has_expired(proget, client):
    proget.clock.freeze("2030-12-30T23:00:00Z")
    client.key = proget.add_key(feed="internal", expires="2030-12-31")
    client.record(DEPLOYMENT)
    proget.clock.advance(3600)
    with pytest.raises(NotRecorded, match=r"403: .*expired"):
        client.record(DEPLOYMENT)


def test_the_command_line(proget, client, monkeypatch):
    monkeypatch.setenv("PROGET_URL", proget.url)
    monkeypatch.setenv("PROGET_API_KEY", client.key)
    monkeypatch.setenv("PROGET_FEED", "internal")
    monkeypatch.setattr(sys, "argv", ["release.py", "Newtonsoft.Json", "12.0.3", "web-01"])
    main()
    proget.assert_deployed(package="Newtonsoft.Json", version="12.0.3", target="web-01", application="release.py")

    proget.revoke_key(client.key)
    with pytest.raises(SystemExit, match="is deployed to web-01, but not recorded: ProGet answered 403"):
        main()
