"""The pages of reference say what the code says."""

import pytest

from tests.docs.pages import AGAIN, MANUAL, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_reference_is_what_the_code_says(name: str) -> None:
    assert (MANUAL / name).read_text() == PAGES[name](), AGAIN
