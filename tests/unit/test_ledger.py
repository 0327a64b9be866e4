"""The ledger's entries and what is found in them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from checkop import ledger
from checkop.errors import CheckopError
from checkop.ledger import Entry

# What an AMI's name may hold (CreateImage).
AMI_NAME = "abcXYZ019()[] ./-'@_"


def entry(release: str, image: str, **changes: object) -> Entry:
    base = Entry(release, "rollout", image, "arn:aws:iam::1:user/ana", "ana@host", "2026-01-01T00:00:00+00:00")
    return replace(base, **{"result": "succeeded", **changes})


def test_an_entry_is_read_back_as_it_was_written():
    made = entry("0007", "ami-7", template_version=8, timings={"replacing": 12.5}, refresh="r", first=True)
    assert ledger.from_json(made.to_json()) == made
    assert "of_release" not in json.loads(made.to_json())


@example(reason="\U0001f600" * 3000, name="x" * 128)
@given(reason=st.text(max_size=6000), name=st.text(alphabet=AMI_NAME, max_size=128))
def test_an_entry_never_exceeds_a_parameter(reason, name):
    made = entry("0007", "ami-7", reason=reason, returning=reason, image_name=name)
    assert len(made.to_json().encode()) <= 4096


def test_an_entry_that_cannot_fit_is_refused():
    with pytest.raises(CheckopError, match="SSM allows 4096"):
        entry("0007", "ami-7", who="x" * 5000).to_json()


def test_fields_of_a_newer_version_are_left_out_and_rubbish_is_refused():
    data = json.loads(entry("0007", "ami-7").to_json()) | {"colour": "blue"}
    assert ledger.from_json(json.dumps(data)).image == "ami-7"
    for text in ("{}", "[]", "nothing"):
        with pytest.raises(CheckopError, match="cannot be read"):
            ledger.from_json(text)


@pytest.mark.parametrize(("text", "number"), [("7", 7), ("0007", 7), ("release 12", 12)])
def test_releases_are_found_as_people_write_them(text, number):
    assert ledger.number(text) == number


@pytest.mark.parametrize("text", ["", "0", "10000", "ami-1", "-1"])
def test_what_is_no_release_is_refused(text):
    with pytest.raises(CheckopError, match="is no release"):
        ledger.number(text)


def test_unknown_release_is_refused_with_those_there_are():
    with pytest.raises(CheckopError, match=r"Release 0009 is not in the ledger\. It knows: 0002, 0001"):
        ledger.find([entry("0001", "a"), entry("0002", "b")], "9")


def test_last_good_is_the_newest_success_with_another_image():
    entries = [
        entry("0001", "a"),
        entry("0002", "b"),
        entry("0003", "c", result="rolled_back"),
        entry("0004", "b"),
    ]
    good = ledger.last_good(entries)
    assert good is not None
    assert good.release == "0001"


def test_what_was_rolled_back_from_is_no_way_back():
    entries = [
        entry("0001", "a"),
        entry("0002", "b"),
        entry("0003", "c"),
        entry("0004", "b", operation="rollback", previous_image="c"),
    ]
    good = ledger.last_good(entries)
    assert good is not None
    assert good.image == "a"
    assert ledger.last_good(entries[:1]) is None
    assert ledger.last_good([]) is None


def test_the_next_release_follows_the_highest():
    assert ledger.next_release([]) == "0001"
    assert ledger.next_release([entry("0009", "a"), entry("0002", "b")]) == "0010"
