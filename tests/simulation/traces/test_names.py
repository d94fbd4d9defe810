"""Whatever a trace calls its services, they get names that a configuration allows."""

from hypothesis import given
from hypothesis import strategies as st

from config.addresses import SERVICE_NAME
from simulation.traces.names import by_text, label, shortened, unique


@given(st.lists(st.text(max_size=80)))
def test_names_are_allowed_and_each_its_own(texts: list[str]) -> None:
    names = unique(texts)
    assert len(set(names)) == len(texts)
    assert all(SERVICE_NAME.fullmatch(name) for name in names)


@given(st.lists(st.sampled_from(["a.b", "a-b", "A b", "a-b-2", "c" * 70, "c" * 63])))
def test_one_text_has_one_name_and_two_have_two(texts: list[str]) -> None:
    name = by_text()
    named = {text: name(text) for text in texts}
    assert [name(text) for text in texts] == [named[text] for text in texts]
    assert len(set(named.values())) == len(named)


@given(st.lists(st.text("ab", max_size=9)))
def test_shortened_hashes_stay_different(hashes: list[str]) -> None:
    short = shortened(hashes)
    assert len({short(each) for each in hashes}) == len(set(hashes))


def test_names_tell_where_they_come_from() -> None:
    assert label("Shop.Example.COM") == "shop-example-com"
    assert label("...") == "unnamed"
    assert unique(["a.b", "a-b", "a b"]) == ["a-b", "a-b-2", "a-b-3"]
    assert shortened(["abcdefgh", "abcdxfgh"])("abcdefgh") == "abcdef"
