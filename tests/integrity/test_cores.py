"""The pure cores: keys, attributes, selection, merge, folding; properties rather than examples where there are any."""

from __future__ import annotations

import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.integrity import attributes as at
from gatepost.integrity.compare import Change, ChangeKind, OrderError, differences, merge, overlaid
from gatepost.integrity.entry import Entry, Stat, below, child_of, key_of, parents_of, path_of, shown
from gatepost.integrity.fold import changed_parents, folded
from gatepost.integrity.mounts import parse_mounts
from gatepost.integrity.policy import Policy, Rule
from gatepost.integrity.selection import Selector

NAMES = st.binary(min_size=1, max_size=6).filter(lambda n: b"/" not in n and b"\0" not in n and n not in (b".", b".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda parts: b"/" + b"/".join(parts))
DIRECTORY, FILE = 0o040755, 0o100644


def entry(path: bytes | str, mode: int = FILE, **more: object) -> Entry:
    stat = Stat(mode, 0, 0, 1, 1, 1, 1, 1, 1)
    known = {k: v for k, v in more.items() if k in Stat.__struct_fields__}
    return Entry(key_of(path), msgspec.structs.replace(stat, **known), **{k: v for k, v in more.items() if k not in known})  # type: ignore[arg-type]


# Keys


@given(PATHS)
def test_a_key_gives_its_path_back(path: bytes) -> None:
    assert path_of(key_of(path)) == path


@given(st.lists(PATHS, unique=True))
def test_keys_sort_a_tree_so_that_what_is_below_a_directory_is_one_range(paths: list[bytes]) -> None:
    keys = sorted(map(key_of, paths))
    for top in keys:
        inside = [below(key, top) for key in keys]
        assert inside == sorted(inside[: inside.index(True)]) + [True] * sum(inside) + [False] * (
            len(inside) - inside.index(True) - sum(inside)
        )


@given(PATHS)
def test_parents_lead_to_the_root(path: bytes) -> None:
    parents = parents_of(key_of(path))

    assert parents[-1] == b""
    assert all(below(key_of(path), parent) for parent in parents)


@given(st.binary(max_size=40))
def test_a_shown_path_never_breaks_a_line_or_a_terminal(path: bytes) -> None:
    assert shown(path).isprintable()


def test_a_shown_path_keeps_different_names_apart() -> None:
    assert shown(b"a\\n") != shown(b"a\n")
    assert shown(b"\xff") == "\\xff"


# Attributes


@given(st.integers(min_value=1, max_value=(1 << len(at.ATTRIBUTES)) - 1))
def test_an_expression_reads_back_as_the_same_mask(bits: int) -> None:
    assert at.parse(at.expression(bits)) == bits


def test_words_add_and_take_away() -> None:
    assert at.parse("ReadOnly - ctime + blocks") == (at.GROUPS["ReadOnly"] & ~at.CTIME) | at.BLOCKS


@pytest.mark.parametrize("text", ["", "Readonly", "ReadOnly+", "ReadOnly,ctime", "+p", "ReadOnly-nothing"])
def test_a_word_that_nobody_knows_is_an_error(text: str) -> None:
    with pytest.raises(at.AttributeWordError):
        at.parse(text)


# Selection


def _rule(path: str, **more: object) -> Rule:
    return Rule(path, key_of(path), at.GROUPS["ReadOnly"], **more)  # type: ignore[arg-type]


def _chosen(rules: list[Rule], path: str) -> str | None:
    rule = Selector(Policy(tuple(rules))).lookup(key_of(path))
    return rule.name if rule else None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/etc", "/etc"), ("/etc/passwd", "/etc"), ("/etc/ssh", "/etc/ssh"), ("/etc/ssh/x/y", "/etc/ssh"), ("/etcetera", None), ("/", None),
        ("/etc/ssl", None), ("/etc/ssl/x", None), ("/etc/ssl/private/key", "/etc/ssl/private"), ("/flat", "/flat"), ("/flat/a", "/flat"), ("/flat/a/b", None),
        ("/only", "/only"), ("/only/a", None),
    ],
)  # fmt: skip
def test_the_most_specific_path_wins_and_stop_points_stop(path: str, name: str | None) -> None:
    rules = [
        _rule("/etc"),
        _rule("/etc/ssh"),
        _rule("/etc/ssl", skip=True),
        _rule("/etc/ssl/private"),
        _rule("/flat", depth=1),
        _rule("/only", depth=0),
    ]

    assert _chosen(rules, path) == name


def test_a_pattern_narrows_a_rule_and_the_rest_falls_to_the_rule_above() -> None:
    logs = Rule("gz", key_of("/var/log"), at.TYPE, pattern=r"\.gz$")
    rules = [_rule("/var"), logs]

    assert _chosen(rules, "/var/log/a.gz") == "gz"
    assert _chosen(rules, "/var/log/a.log") == "/var"
    assert _chosen(rules, "/var/lib/a.gz") == "/var"


def test_a_later_rule_for_the_same_path_wins() -> None:
    assert _chosen([Rule("one", b"etc", 1), Rule("two", b"etc", 1)], "/etc/x") == "two"


@given(st.dictionaries(PATHS, st.booleans(), min_size=1, max_size=5), PATHS)
def test_selection_agrees_with_its_definition(tops: dict[bytes, bool], path: bytes) -> None:
    rules = [Rule(str(n), key_of(top), 1, skip=skip) for n, (top, skip) in enumerate(tops.items())]
    matching = [r for r in rules if below(key_of(path), r.top)]
    best = max(matching, key=lambda r: len(r.top), default=None)

    assert Selector(Policy(tuple(rules))).lookup(key_of(path)) == (best if best is not None and not best.skip else None)


# Merge and comparison


@given(st.lists(PATHS, unique=True), st.lists(PATHS, unique=True))
def test_merge_pairs_exactly_the_keys_of_both_sides(left: list[bytes], right: list[bytes]) -> None:
    olds = sorted((entry(p) for p in left), key=lambda e: e.key)
    news = sorted((entry(p) for p in right), key=lambda e: e.key)
    pairs = list(merge(olds, news))

    assert [o for o, _ in pairs if o] == olds
    assert [n for _, n in pairs if n] == news
    assert all(o is None or n is None or o.key == n.key for o, n in pairs)
    assert len(pairs) == len({*left, *right})


def test_a_stream_that_is_not_in_order_is_an_error_not_a_list_of_changes() -> None:
    with pytest.raises(OrderError):
        list(merge([entry("/b"), entry("/a")], []))
    with pytest.raises(OrderError):
        list(merge([], [entry("/a"), entry("/a")]))


@given(st.dictionaries(PATHS, st.booleans()), st.dictionaries(PATHS, st.sampled_from(["new", "gone"])))
def test_what_was_accepted_lies_over_the_baseline(base: dict[bytes, bool], accepted: dict[bytes, str]) -> None:
    olds = sorted((entry(p) for p in base), key=lambda e: e.key)
    over = sorted((key_of(p), entry(p, size=9) if how == "new" else None) for p, how in accepted.items())
    found = {e.key: e.stat.size for e in overlaid(olds, over)}
    expected = {key_of(p): 1 for p in base} | {key_of(p): 9 for p, how in accepted.items() if how == "new"}

    assert found == {k: v for k, v in expected.items() if not (path_of(k) in accepted and accepted[path_of(k)] == "gone")}


@pytest.mark.parametrize(
    ("change", "bit"),
    [
        ({"mode": 0o100755}, at.MODE), ({"mode": 0o120644}, at.TYPE), ({"uid": 5}, at.UID), ({"gid": 5}, at.GID), ({"size": 5}, at.SIZE | at.GROWING & 0),
        ({"mtime": 5}, at.MTIME), ({"ctime": 5}, at.CTIME), ({"inode": 5}, at.INODE), ({"links": 5}, at.LINKS), ({"volume": 5}, at.VOLUME),
        ({"device": 5}, at.DEVICE), ({"blocks": 5}, at.BLOCKS), ({"link": b"x"}, at.LINK), ({"flags": 16}, at.FLAGS), ({"digest": b"x"}, at.CONTENT),
        ({"mount": "ext4"}, at.MOUNT), ({"atime": 5}, at.ATIME), ({"xattrs": (("user.x", b""),)}, at.XATTRS), ({"xattrs": (("system.posix_acl_access", b""),)}, at.ACL),
        ({"xattrs": (("security.capability", b""),)}, at.CAPABILITIES), ({"xattrs": (("security.selinux", b""),)}, at.SELINUX),
    ],
)  # fmt: skip
def test_each_attribute_is_compared_alone(change: dict[str, object], bit: int) -> None:
    everything = (1 << len(at.ATTRIBUTES)) - 1 & ~at.GROWING
    old, new = entry("/a"), entry("/a", **change)

    assert differences(old, new, everything) == bit
    assert differences(old, new, everything & ~bit) == 0
    assert differences(old, old, everything) == 0


# Folding


def _change(path: str, bits: int = 0, kind: ChangeKind = ChangeKind.CHANGED, mode: int = FILE) -> Change:
    return Change(key_of(path), kind, "r", 1, bits, entry(path, mode), entry(path, mode))


def test_a_directory_that_moved_with_its_children_is_no_finding() -> None:
    touched = _change("/d", at.MTIME | at.CTIME, mode=DIRECTORY)
    parents = changed_parents([_change("/d/new", kind=ChangeKind.ADDED)])

    assert folded(touched, parents, lambda _: False) is None
    assert folded(touched, frozenset(), lambda _: True) is None
    assert folded(touched, frozenset(), lambda _: False) == touched


def test_what_children_do_not_imply_stays() -> None:
    changed = _change("/d", at.MTIME | at.CTIME | at.MODE, mode=DIRECTORY)
    left = folded(changed, frozenset({b"d"}), lambda _: False)

    assert left is not None
    assert left.attributes == at.MODE
    assert folded(_change("/d", at.CTIME, mode=DIRECTORY), frozenset({b"d"}), lambda _: False) is not None


def test_a_file_is_never_folded() -> None:
    assert folded(_change("/f", at.MTIME), frozenset({b"f"}), lambda _: True) is not None


# Mounts

MOUNTS = (
    b"21 1 254:0 / / rw - ext4 /dev/vda rw\n"
    b"22 21 0:19 / /proc rw shared:1 - proc proc rw\n"
    b"23 21 254:0 /evil /srv/a\\040b rw master:1 - ext4 /dev/vda rw\n"
    b"24 21 0:40 / /mnt/nfs rw - nfs4 server:/x rw\n"
)


def test_mounts_are_read_with_names_that_need_escaping() -> None:
    mounts = parse_mounts(MOUNTS)

    assert mounts.at[key_of("/srv/a b")] == "ext4 /dev/vda /evil"
    assert mounts.pseudo == {os.makedev(0, 19)}
    assert os.makedev(0, 40) in mounts.doubtful
    assert os.makedev(254, 0) not in mounts.doubtful


def test_mounts_of_another_tree_are_seen_from_its_root() -> None:
    assert parse_mounts(MOUNTS, b"/srv").at == {key_of("/a b"): "ext4 /dev/vda /evil"}


def test_a_child_of_the_root_has_its_name_as_key() -> None:
    assert child_of(b"", b"etc") == b"etc"
    assert child_of(b"etc", b"x") == key_of("/etc/x")
