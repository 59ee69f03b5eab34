"""What every store behind the interface must do, told once: all or nothing, in order, tamper-evident, found by every field."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from tests.support.journal import finding, judged, recipient
from tests.support.stores import opened

from gatepost.journal.event import Event
from gatepost.journal.interface import Head, JournalError, Query
from gatepost.journal.states import State


def test_events_come_back_in_order_and_by_subject_and_kind(journal) -> None:
    events = [judged(1), Event(1_700_000_001.5, "site.loaded", "site", {"a": [1, None]}), judged(2)]
    journal.append(events, sync=True)
    found = journal.events()
    assert [event for _, event in found] == events
    numbers = [number for number, _ in found]
    assert numbers == sorted(set(numbers))
    assert journal.events(kind="site.loaded") == [found[1]]
    assert journal.events(subject=events[2].subject) == [found[2]]
    assert journal.events(after=numbers[1]) == [found[2]]
    assert journal.events(since=events[1].at) == found[1:]
    assert journal.events(limit=1) == found[:1]
    assert journal.newest("site.", 5) == journal.newest("site.loaded") == [events[1]]
    assert journal.newest("mail.judged", 1) == [events[2]]


def test_a_journal_opened_again_goes_on_where_it_was(store) -> None:
    first = store.open()
    first.append([judged(1)], sync=False)
    first.close()
    second = store.open()
    second.append([judged(2)], sync=False)
    assert second.verify().events == 2
    second.close()


def test_one_event_that_cannot_be_takes_its_whole_transaction_back(journal) -> None:
    with pytest.raises(JournalError) as caught:
        journal.append([judged(1), Event(1.0, "mail.released", "NOBODY", {"recipient": "a@b"})], sync=False)
    assert caught.value.reason == "refused"
    assert journal.events() == []
    assert journal.search(Query()) == []
    journal.append([judged(1)], sync=False)
    assert journal.verify().events == 1


@pytest.mark.parametrize(
    "event",
    [
        Event(1.0, "mail.judged", "ID", {}),
        judged(1, sender=None),
        judged(1, sender="lone \ud800 surrogate"),
        judged(1, recipients=[recipient(state="lost")]),
        judged(1, recipients=[{}]),
        judged(1, size=object()),
        Event(1.0, "mail.deleted", "ID", {"recipient": 7}),
    ],
)
def test_an_event_that_makes_no_sense_is_refused_and_the_journal_goes_on(journal, event) -> None:
    """No other error comes out, or the writer's thread would stop and every mail with it."""
    with pytest.raises(JournalError) as caught:
        journal.append([event], sync=False)
    assert caught.value.reason == "refused"
    journal.append([judged(1)], sync=False)
    assert journal.verify().events == 1


def test_a_question_that_is_no_text_is_refused(journal) -> None:
    with pytest.raises(JournalError) as caught:
        journal.search(Query(sender="\ud800"))
    assert caught.value.reason == "refused"


def test_a_mail_is_judged_once(journal) -> None:
    journal.append([judged(1)], sync=False)
    with pytest.raises(JournalError, match="judged already"):
        journal.append([judged(1)], sync=False)


def test_each_recipient_moves_on_alone(journal) -> None:
    event = judged(1, recipients=[recipient(state="quarantined"), recipient("ann@widget.example", "quarantined")], kept=True)
    journal.append([event], sync=True)
    journal.append([Event(2.0, "mail.released", event.subject, {"recipient": "Joe@widget.example"})], sync=True)
    assert {row.recipient: row.state for row in journal.search(Query(id=event.subject))} == {
        "joe@widget.example": State.RELEASED,
        "ann@widget.example": State.QUARANTINED,
    }
    with pytest.raises(JournalError, match="cannot become deleted when it is released"):
        journal.append([Event(3.0, "mail.deleted", event.subject, {"recipient": "joe@widget.example"})], sync=True)
    assert journal.count(Query()) == {"released": 1, "quarantined": 1}


def ids(journal, **query) -> list[int]:
    return [int(row.subject.rpartition(" ")[2]) for row in journal.search(Query(**query))]


def test_every_field_can_be_searched_newest_first(journal) -> None:
    journal.append(
        [
            judged(1),
            judged(2, sender="boss@widget.example", recipients=[recipient("ann@partner.example", direction="outbound")]),
            judged(3, "quarantined", findings=[finding()], client="198.51.100.7"),
            judged(4, sender="", recipients=[recipient(), recipient("ann@widget.example", "rejected")]),
        ],
        sync=False,
    )
    assert ids(journal) == [4, 4, 3, 2, 1]
    assert ids(journal, limit=2) == [4, 4]
    assert ids(journal, before=journal.search(Query(id=judged(3).subject))[0].number) == [2, 1]
    assert ids(journal, sender="ANN@partner.example") == [3, 1]
    assert ids(journal, sender="@widget.example") == [2]
    assert ids(journal, recipient="Joe@widget.example") == [4, 3, 1]
    assert ids(journal, recipient="@widget.example") == [4, 4, 3, 1]
    assert ids(journal, recipient="@widget.example", sender="@partner.example") == [3, 1]
    assert ids(journal, subject="NUMBER 2") == [2]
    assert ids(journal, client="198.51.100.7") == [3]
    assert ids(journal, message_id="<2@partner.example>") == [2]
    assert ids(journal, direction="outbound") == [2]
    assert ids(journal, verdict="virus") == ids(journal, finding="Eicar-Test") == ids(journal, engine="clamav") == [3]
    assert ids(journal, states=(State.REJECTED, State.QUARANTINED)) == [4, 3]
    assert ids(journal, kept=True) == [3]
    assert ids(journal, since=1_700_000_002, until=1_700_000_004) == [3, 2]
    assert ids(journal, id=judged(2).subject.lower()) == [2]
    assert ids(journal, digest=f"{3:064x}") == [3]
    assert ids(journal, subject="%") == ids(journal, subject='er "2') == ids(journal, subject="number\0") == []
    assert (
        ids(journal, subject="r 3", states=(State.QUARANTINED,)) == ids(journal, subject="er number 3", recipient="@widget.example") == [3]
    )
    assert ids(journal, subject="2") == [2]
    assert journal.count(Query(subject="offer")) == {"delivered": 3, "quarantined": 1, "rejected": 1}
    assert ids(journal, sender="' OR 1 --") == []


def test_a_row_says_the_reason(journal) -> None:
    journal.append([judged(3, "quarantined", findings=[finding(), finding("spam", "bulk")])], sync=False)
    (row,) = journal.search(Query())
    assert (row.verdict, row.reason, row.rule, row.kept, row.direction) == ("virus", "Eicar-Test", "clean", True, "inbound")


def test_readers_see_whole_transactions_while_a_writer_writes(journal) -> None:
    """Every transaction has two mails: no reader may ever see an odd number."""
    wrong: list[int] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            count = sum(journal.count(Query()).values())
            if count % 2:
                wrong.append(count)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    for number in range(0, 200, 2):
        journal.append([judged(number), judged(number + 1)], sync=False)
    stop.set()
    for thread in readers:
        thread.join()
    assert wrong == []
    assert journal.count(Query()) == {"delivered": 200}


def test_two_journals_on_one_file_keep_one_chain(store, journal) -> None:
    """A second process that appends does not fork the chain."""
    other = store.open()
    for number in range(10):
        (journal if number % 2 else other).append([judged(number)], sync=False)
    assert journal.verify().events == 10
    other.close()


WRITER = """
import sys
from tests.support.journal import judged
from tests.support.stores import opened
journal = opened(sys.argv[1])
for number in range(100000):
    journal.append([judged(number)], sync=False)
    print(number, flush=True)
"""


def test_what_was_written_is_there_after_the_process_is_killed(store) -> None:
    """kill -9 in the middle of writing loses nothing that append had returned for."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", WRITER, store.where], stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout
        seen = [int(child.stdout.readline()) for _ in range(50)]
        child.send_signal(signal.SIGKILL)
        seen += [int(line) for line in child.stdout.read().split()]
    journal = store.open()
    assert journal.verify().events >= len(seen)
    journal.close()


def test_old_events_are_forgotten_and_the_chain_goes_on(store) -> None:
    journal = store.open(span=1)
    journal.append([judged(number) for number in range(10)], sync=True)
    assert journal.prune(judged(6).at) == 6
    assert journal.verify().events == 4
    assert ids(journal) == ids(journal, subject="offer") == [9, 8, 7, 6]
    journal.append([judged(11)], sync=True)
    journal.close()
    again = store.open()
    assert again.verify().sequence == 11
    assert again.prune(0) == 0
    assert again.prune(judged(99).at) == 4
    again.append([judged(12)], sync=True)
    assert again.verify().sequence == 12
    again.close()


def test_mail_that_is_still_held_is_never_forgotten(store) -> None:
    journal = store.open(span=1)
    journal.append([judged(0), judged(1, "quarantined"), judged(2)], sync=True)
    assert journal.prune(judged(99).at) == 1
    assert ids(journal) == [2, 1]
    journal.close()


def test_facts_for_the_tally_are_those_of_the_time_asked_for(journal) -> None:
    journal.append([judged(number) for number in range(5)], sync=False)
    found = list(journal.facts(judged(1).at, judged(4).at))
    assert [at for at, _ in found] == [judged(number).at for number in (1, 2, 3)]
    assert found[0][1]["subject"] == "Offer number 1"


def test_an_event_may_carry_any_text(journal) -> None:
    event = replace(judged(1), data=judged(1).data | {"subject": "\u2400 ' \" \\ ü \U0001f600 <b>"})
    journal.append([event], sync=False)
    assert journal.search(Query())[0].subject == event.data["subject"]


def test_rows_are_counted_by_verdict_and_no_further_than_asked(journal) -> None:
    journal.append([judged(number) for number in range(5)], sync=False)
    journal.append([judged(9, "rejected", findings=[finding()])], sync=False)

    assert journal.count(Query(), "verdict") == {"clean": 5, "virus": 1}
    assert sum(journal.count(Query(), "verdict", 3).values()) == 3
    assert journal.count(Query(verdict="virus"), "state", 3) == {"rejected": 1}


TAMPERED = [
    ("UPDATE events SET hash = (SELECT hash FROM events WHERE sequence = 1) WHERE sequence = 3", 3),
    ("UPDATE events SET body = (SELECT body FROM events WHERE sequence = 3) WHERE sequence = 2", 2),
    ("DELETE FROM events WHERE sequence = 2", 2),
    ("DELETE FROM events WHERE sequence = 1", 1),
    ("UPDATE events SET kind = 'mail.other' WHERE sequence = 1", 1),
    ("UPDATE events SET subject = 'X' WHERE sequence = 3", 3),
    ("UPDATE events SET at = 1 WHERE sequence = 2", 2),
]


@pytest.mark.parametrize(("sql", "sequence"), TAMPERED)
def test_tampering_is_found_with_the_number_of_the_event(store, journal, sql, sequence) -> None:
    journal.append([judged(number) for number in range(3)], sync=True)
    assert journal.verify().sequence == 3
    store.run(sql)
    with pytest.raises(JournalError, match=f"event {sequence} of the journal") as caught:
        journal.verify()
    assert caught.value.reason == "corrupt"


def test_a_look_tells_how_many_events_there_are_and_when_the_last_was(journal) -> None:
    assert (journal.look().events, journal.look().newest) == (0, 0.0)
    journal.append([judged(1), judged(2)], sync=True)
    assert (journal.look().events, journal.look().newest) == (2, judged(2).at)


def carried(journal, other, size: int = 2) -> int:
    """Bring what `other` lacks over from `journal`; gives how many links were new."""
    new = 0
    while links := journal.links(other.head().sequence, size):
        new += other.receive(links)
    return new


def test_a_chain_is_carried_over_link_by_link_and_twice_does_no_harm(store, journal, tmp_path) -> None:
    there = opened(str(tmp_path / "there.db"))
    journal.append([judged(number) for number in range(5)], sync=True)
    move = Event(1_700_000_009.0, "mail.released", judged(7, "quarantined").subject, {"recipient": "joe@widget.example"})
    journal.append([judged(7, "quarantined"), move], sync=True)
    assert carried(journal, there) == 7
    assert there.receive(journal.links(0, 100)) == 0
    assert there.head() == journal.head()
    assert there.verify().hash == journal.verify().hash
    assert there.count(Query()) == journal.count(Query())
    there.close()


def test_a_chain_comes_in_link_by_link_and_what_does_not_follow_is_refused(store, journal, tmp_path) -> None:
    here = opened(str(tmp_path / "here.db"))
    here.append([judged(number) for number in range(6)], sync=True)
    links = here.links(0, 100)
    assert journal.receive(links[:2]) == 2
    with pytest.raises(JournalError, match="events 3 to 3 are missing") as caught:
        journal.receive(links[3:])
    assert caught.value.reason == "gone"
    assert journal.receive(links) == 4
    here.append([judged(7)], sync=True)
    journal.append([judged(8)], sync=True)
    with pytest.raises(JournalError, match="another one") as caught:
        journal.receive(here.links(6, 1))
    assert (caught.value.reason, journal.verify().events) == ("gone", 7)
    here.close()


def test_what_has_happened_is_taken_over_even_where_it_can_move_no_mail(store, journal, tmp_path) -> None:
    """The mail that an event moves may have been forgotten here; the chain must not end there."""
    here = opened(str(tmp_path / "here.db"))
    held = judged(0, "quarantined")
    release = Event(held.at + 5, "mail.released", held.subject, {"recipient": "joe@widget.example"})
    here.append([held, judged(1), release], sync=True)
    links = here.links(1, 100)
    journal.begin(Head(1, here.links(0, 1)[0].hash))
    assert journal.receive(links) == 2
    assert journal.verify().sequence == 3
    assert ids(journal) == [1]
    with pytest.raises(JournalError, match="already"):
        journal.begin(here.head())
    here.close()
