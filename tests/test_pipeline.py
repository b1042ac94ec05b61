"""Reading ahead and writing behind: order, errors in their places, and bounds."""

import threading
from pathlib import Path

import pytest

from tf_style.jobs import pipeline
from tf_style.jobs.events import Failed, Skipped, Written

# Seconds after which a thread that never comes fails the test instead of hanging it.
PATIENCE = 60


def test_what_is_read_comes_in_order_each_with_its_source():
    with pipeline.read_ahead(lambda source: source**2, range(9)) as found:
        assert [(source, result()) for source, result in found] == [
            (source, source**2) for source in range(9)
        ]


@pytest.mark.parametrize("count", range(pipeline.AHEAD + 3))
def test_as_many_come_as_there_are(count):
    with pipeline.read_ahead(str, range(count)) as found:
        assert [result() for _, result in found] == [str(n) for n in range(count)]


def test_an_error_is_raised_where_its_source_is_asked_for_and_the_rest_is_read():
    def read(source):
        if source in (1, 4):
            raise ValueError(f"bad {source}")
        return source

    good, bad = [], []
    with pipeline.read_ahead(read, range(6)) as found:
        for source, result in found:
            try:
                good.append(result())
            except ValueError as error:
                bad.append((source, str(error)))
    assert good == [0, 2, 3, 5]
    assert bad == [(1, "bad 1"), (4, "bad 4")]


def test_it_reads_a_few_ahead_and_no_more():
    begun, more = [], threading.Condition()

    def read(source):
        with more:
            begun.append(source)
            more.notify_all()
        return source

    taken = []

    def sources():
        for source in range(12):
            taken.append(source)
            yield source

    with pipeline.read_ahead(read, sources()) as found:
        for source, _ in found:
            ahead = min(source + pipeline.AHEAD + 1, 12)
            with more:  # Though nobody asks for a result, all of these are read,
                assert more.wait_for(lambda: len(begun) >= ahead, PATIENCE)
            assert len(taken) == ahead  # and the others are not even known.
    assert begun == list(range(12))


def test_it_reads_in_a_thread_of_its_own_one_at_a_time():
    threads, free = set(), threading.Lock()

    def read(_):
        assert free.acquire(blocking=False)
        threads.add(threading.get_ident())
        free.release()

    with pipeline.read_ahead(read, range(5)) as found:
        for _, result in found:
            result()
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_who_leaves_early_leaves_the_rest_unread():
    begun = []
    with pytest.raises(KeyboardInterrupt):
        with pipeline.read_ahead(begun.append, range(100)) as found:
            next(found)
            raise KeyboardInterrupt
    assert len(begun) <= pipeline.AHEAD + 1


def test_who_leaves_early_does_not_wait_for_what_stalls():
    begun, go_on, done = threading.Event(), threading.Event(), []
    before = {*threading.enumerate()}

    def read(source):
        begun.set()
        assert go_on.wait(PATIENCE)
        done.append(source)

    with pytest.raises(KeyboardInterrupt):
        with pipeline.read_ahead(read, range(100)) as found:
            next(found)
            assert begun.wait(PATIENCE)
            raise KeyboardInterrupt
    assert not done
    [thread] = {*threading.enumerate()} - before
    assert thread.daemon  # so that the program can end
    go_on.set()
    thread.join(PATIENCE)
    assert done == [0]


def test_the_one_that_is_made_ahead_is_waited_for_where_its_source_is_closed():
    begun, go_on, done = threading.Event(), threading.Event(), []

    def make():
        yield 0
        begun.set()
        assert go_on.wait(PATIENCE)
        done.append(1)
        yield 1

    with pytest.raises(KeyboardInterrupt):
        with pipeline.ahead(make()) as found:
            next(found)
            assert begun.wait(PATIENCE)
            threading.Timer(0.05, go_on.set).start()
            raise KeyboardInterrupt
    assert done == [1]


def wrote(number):
    return [Written(Path(f"{number}.png"), float(number))]


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_what_is_written_is_told_of_in_order_and_so_many_calls_later(behind):
    told = []
    with pipeline.Writer(behind) as writer:
        for number in range(5):
            told.append([event.path.stem for event in writer.add(wrote, number)])
        rest = [event.path.stem for event in writer.finish()]
    expected = [[]] * behind + [[str(number)] for number in range(5 - behind)]
    assert told == expected
    assert rest == [str(number) for number in range(5 - behind, 5)]


def test_painting_goes_on_while_a_picture_is_written():
    painted = threading.Event()

    def write():
        assert painted.wait(PATIENCE)
        return wrote(1)

    with pipeline.Writer(1) as writer:
        assert list(writer.add(write)) == []
        painted.set()  # It would never come if the writing had to end first.
        assert list(writer.finish()) == wrote(1)


def test_only_what_was_written_counts_as_there():
    events = [Written(Path("a.png"), 1.0), Failed("b"), Skipped(Path("c.png"))]
    events.append(Written(Path("film.gif"), None))
    with pipeline.Writer(0) as writer:
        assert list(writer.add(lambda: events)) == events
        assert writer.written == {Path("a.png"), Path("film.gif")}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_all_that_was_painted_is_written_even_if_the_job_ends(error):
    done = []

    def write(number):
        done.append(number)
        return wrote(number)

    with pytest.raises(error):
        with pipeline.Writer(5) as writer:
            for number in range(4):
                list(writer.add(write, number))
            raise error
    assert done == [0, 1, 2, 3]


def test_an_error_of_writing_is_raised_in_its_turn():
    def write(number):
        if number == 1:
            raise MemoryError
        return wrote(number)

    with pipeline.Writer(1) as writer:
        assert list(writer.add(write, 0)) == []
        assert list(writer.add(write, 1)) == wrote(0)
        with pytest.raises(MemoryError):
            list(writer.add(write, 2))
        assert list(writer.finish()) == wrote(2)


@pytest.mark.parametrize("count", range(pipeline.AHEAD + 3))
def test_what_is_made_ahead_comes_in_order_and_all_of_it(count):
    with pipeline.ahead(iter(range(count))) as found:
        assert list(found) == list(range(count))


def test_it_is_made_in_a_thread_of_its_own_while_others_are_used():
    threads, more = [], threading.Condition()

    def make():
        for number in range(6):
            with more:
                threads.append(threading.get_ident())
                more.notify_all()
            yield number

    with pipeline.ahead(make()) as found:
        for number in found:
            wanted = min(number + pipeline.AHEAD + 1, 6)
            with more:
                assert more.wait_for(lambda: len(threads) >= wanted, PATIENCE)
    assert len(threads) == 6
    assert set(threads).isdisjoint([threading.get_ident()]) and len({*threads}) == 1


def test_an_error_of_making_comes_after_what_was_made():
    def make():
        yield from "ab"
        raise ValueError("no more")

    found = []
    with pipeline.ahead(make()) as made, pytest.raises(ValueError, match="no more"):
        for item in made:
            found.append(item)
    assert found == ["a", "b"]


def test_who_leaves_early_has_no_more_made():
    made, before = [], {*threading.enumerate()}

    def make():
        for number in range(100):
            made.append(number)
            yield number

    with pytest.raises(KeyboardInterrupt):
        with pipeline.ahead(make()) as found:
            next(found)
            raise KeyboardInterrupt
    assert len(made) <= pipeline.AHEAD + 1
    assert {*threading.enumerate()} <= before
