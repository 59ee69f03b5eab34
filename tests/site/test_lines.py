"""Each key and element of a TOML file is found on the line where it is written."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.site.lines import line_index, line_of

TEXT = '''# a comment with [brackets] and = signs
[site]
name = "x" # [not.a.table]
a.b = 3
[[policy.rules]]
name = """
multi "x" ]
[no.table]
"""
list = [
  1, # one
  [2, 3.5],
  { x = 1, y.z = "a]" },
]
[[policy.rules]]
when = 1979-05-27 07:32:00
"q k" = 'lit'
[policy.rules.sub]
x = 1
'''

EXPECTED = {
    ("site",): 2,
    ("site", "name"): 3,
    ("site", "a", "b"): 4,
    ("policy", "rules", 0): 5,
    ("policy", "rules", 0, "name"): 6,
    ("policy", "rules", 0, "list"): 10,
    ("policy", "rules", 0, "list", 0): 11,
    ("policy", "rules", 0, "list", 1, 1): 12,
    ("policy", "rules", 0, "list", 2, "y", "z"): 13,
    ("policy", "rules", 1): 15,
    ("policy", "rules", 1, "when"): 16,
    ("policy", "rules", 1, "q k"): 17,
    ("policy", "rules", 1, "sub", "x"): 19,
}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_every_key_is_found_on_its_line(ending) -> None:
    lines = line_index(TEXT.replace("\n", ending))
    assert {path: lines[path] for path in EXPECTED} == EXPECTED
    assert not any("no" in path for path in lines)


def test_what_is_not_written_is_on_the_line_of_what_is_around_it() -> None:
    lines = line_index(TEXT)
    assert line_of(lines, ("policy", "rules", 1, "missing")) == 15
    assert line_of(lines, ("nothing",)) == 1


names = st.text("abc", min_size=1, max_size=3)
values = st.recursive(
    st.sampled_from(["1", "2.5", '"a # ] }"', "'lit = ['", "true", '"""\n[x]\n"""']),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[\n" + ",\n".join(items) + "\n]"),
    max_leaves=5,
)


@given(st.lists(st.tuples(names, st.dictionaries(names, values, max_size=3)), max_size=4, unique_by=lambda table: table[0]))
def test_the_index_has_every_path_that_the_file_has(tables) -> None:
    text = "\n".join(f"[{name}]\n" + "\n".join(f"{key} = {value}" for key, value in keys.items()) for name, keys in tables)
    lines = line_index(text)
    rows = text.splitlines()
    for name, table in tomllib.loads(text).items():
        assert rows[lines[(name,)] - 1] == f"[{name}]"
        for key, value in table.items():
            assert rows[lines[(name, key)] - 1].startswith(f"{key} = ")
            assert all((name, key, number) in lines for number in range(len(value) if isinstance(value, list) else 0))
