"""Identifiers that are derived: the same each time, and never the same for different things."""

from itertools import product
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.values import book_id, derive_order_id
from tests.domain.support import deterministic

name = st.text("ab1:._@-", min_size=1, max_size=6)


def test_an_order_gets_the_same_id_each_time_it_is_asked() -> None:
    first = derive_order_id("ann", "BTC-USD", "my first")
    assert first == derive_order_id("ann", "BTC-USD", "my first")
    assert first.version == 5


def test_these_ids_are_stored_and_never_change() -> None:
    """Orders are found again by them, also by a later release."""
    assert derive_order_id("ann", "BTC-USD", "my first") == UUID(
        "f2d6d9e7-6146-5804-854c-1b0c224a86d2"
    )
    assert book_id("BTC-USD") == UUID("0a211613-7416-592c-9d5b-06eadd238efe")


def test_parts_that_run_together_give_different_ids() -> None:
    triples = [
        ("a:b", "c", "d"),
        ("a", "b:c", "d"),
        ("a", "b", "c:d"),
        ("a:b:c", "d", ""),
        ("", "a:b:c", "d"),
        ("a", "1:b", "1:c"),
        ("a:1:b", "1:c", ""),
        ("a:1", "b:1", "c"),
        ("ab", "c", "d"),
        ("a", "bc", "d"),
        ("a", "b", "cd"),
        ("1:a", "b", "c"),
    ]
    assert len({derive_order_id(*triple) for triple in triples}) == len(triples)


def test_each_part_counts_and_so_does_its_case() -> None:
    triples = list(product(["ann", "Ann"], ["BTC", "btc"], ["x", "X"]))
    assert len({derive_order_id(*triple) for triple in triples}) == len(triples)
    assert derive_order_id("a", "b", "c") != derive_order_id("c", "b", "a")


@given(st.tuples(name, name, name), st.tuples(name, name, name))
@settings(deterministic, max_examples=500)
def test_ids_are_equal_only_where_all_parts_are(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (derive_order_id(*one) == derive_order_id(*other)) == (one == other)


@given(name, st.data())
@settings(deterministic, max_examples=300)
def test_one_text_cut_in_different_places_gives_different_ids(
    text: str, data: st.DataObject
) -> None:
    text = f"{text}:{text}"
    cut = st.tuples(*[st.integers(0, len(text))] * 2).map(sorted)
    (i, j), (k, m) = data.draw(cut), data.draw(cut)
    one, other = (text[:i], text[i:j], text[j:]), (text[:k], text[k:m], text[m:])
    assert (derive_order_id(*one) == derive_order_id(*other)) == (one == other)


def test_books_and_orders_share_no_ids() -> None:
    assert book_id("BTC-USD") != book_id("btc-usd")
    assert book_id("1:a:1:b:1:c") != derive_order_id("a", "b", "c")
