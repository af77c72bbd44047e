"""Ranges by prefix are what sorting and filtering would give, whatever was added and discarded before."""

from hypothesis import given
from hypothesis import strategies as st

from moorage.store.keys import OrderedKeys

KEYS = st.text("ab/\U0010ffff", max_size=4)


@given(st.lists(KEYS, unique=True), st.lists(st.tuples(KEYS, KEYS)))
def test_a_range_is_what_filtering_gives(first, steps):
    keys, model = OrderedKeys(first), set(first)
    for toggled, prefix in steps:
        if toggled in model:
            keys.discard(toggled)
        else:
            keys.add(toggled)
        model ^= {toggled}
        if toggled < prefix:  # not after each step, so that several settle together
            assert keys.starting_with(prefix) == sorted(key for key in model if key.startswith(prefix))
    assert keys.starting_with("") == sorted(model)
