"""The protocol: what it accepts, and what its digest covers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from metabench.runs.protocol import Protocol
from metabench.runs.suite import first_error

OTHER = {
    "version": 2,
    "way": 6,
    "shot": 2,
    "query": "rest",
    "episodes": 601,
    "draws": 11,
    "support": "balanced",
    "group_disjoint": True,
    "budget": 0,
    "seconds": 1.5,
    "val_episodes": 99,
    "selections": 9,
    "patience": 1,
    "metric": "auroc",
    "engine": 10**6,
}


def test_every_setting_but_the_name_changes_the_digest():
    plain = Protocol(name="a")
    assert set(OTHER) == set(Protocol.model_fields) - {"name"}
    digests = {Protocol(name="a", **{key: value}).digest for key, value in OTHER.items()}
    assert len(digests) == len(OTHER)
    assert plain.digest not in digests
    assert Protocol(name="b").digest == plain.digest


@given(st.fixed_dictionaries({}, optional={key: st.just(value) for key, value in OTHER.items()}))
def test_equal_settings_have_equal_digests(settings):
    assert Protocol(name="a", **settings).digest == Protocol(name="b", **settings).digest
    assert Protocol.model_validate_json(
        Protocol(name="a", **settings).model_dump_json()
    ).digest == (Protocol(name="c", **settings).digest)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"way": 0}, "way = 0: way must be at least 2"),
        ({"way": "five"}, "'five' is neither a number nor a range such as '5-50'"),
        ({"way": "50-5", "shot": "uneven"}, "'50-5' is neither"),
        ({"way": "1-5", "shot": "uneven"}, "'1-5' is neither"),
        ({"way": "5-50"}, "way '5-50' does not go with shot 1"),
        ({"shot": "uneven"}, "way 5 does not go with shot 'uneven'"),
        ({"shot": 0}, "shot = 0: shot must be at least 1"),
        ({"shot": "few"}, "'few' is neither a number nor 'uneven'"),
        ({"query": 0}, "query = 0: input should be greater than or equal to 1"),
        ({"episodes": 0}, "episodes = 0: input should be greater than or equal to 1"),
        ({"budget": -1}, "budget = -1: input should be greater than or equal to 0"),
        ({"seconds": float("nan")}, "seconds = nan: input should be"),
        ({"seconds": 0}, "seconds = 0: input should be greater than 0"),
    ],
)
def test_what_cannot_be_is_refused_with_the_value(settings, said):
    with pytest.raises(ValidationError) as error:
        Protocol(name="a", **settings)
    message = first_error(error.value)
    assert said in message
    assert "\n" not in message


def test_the_shape_of_an_episode():
    fixed = Protocol(name="a", way=7, shot=3, query=4).sampling
    assert (fixed.way, fixed.shot, fixed.query, fixed.uneven) == (7, 3, 4, False)
    uneven = Protocol(name="a", way="5-50", shot="uneven").sampling
    assert (uneven.least_way, uneven.most_way, uneven.uneven) == (5, 50, True)
