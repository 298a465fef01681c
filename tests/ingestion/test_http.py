"""Pages fetched ahead, over real HTTP: the same pages in the same order, and hardly one in vain."""

import itertools
import json
import threading

import mailshake_world
import pytest
from mailshake_world import RECIPIENTS
from starlette.responses import JSONResponse, PlainTextResponse
from vendor_bench import served

from ingestion import mailshake
from ingestion.http import AHEAD_SHARE, BadAnswerError, ahead

PATH = "2017-04-01/activity/sent"


@pytest.fixture
def bench(tmp_path):
    with served("mailshake", mailshake_world.build, tmp_path) as bench:
        yield bench


def texts(bench):
    return mailshake._client(bench.config).texts(PATH, {"perPage": 1}, "results", "nextToken")


def asked(bench):
    return sum(PATH in address for address in bench.served.asked)


def test_every_page_comes_once_and_in_order(bench):
    pages = mailshake._client(bench.config).paginate(PATH, params={"perPage": 1}, data_selector="results")
    listed = [body["id"] for page in pages for body in page]
    assert asked(bench) == RECIPIENTS
    assert listed == sorted(set(listed), reverse=True)
    assert [json.loads(text)["results"][0]["id"] for text in texts(bench)] == listed


@pytest.mark.parametrize("wanted", [1, 10, 40])
def test_who_stops_reading_has_hardly_asked_for_more(bench, wanted):
    pages = texts(bench)
    assert len(list(itertools.islice(pages, wanted))) == wanted
    pages.close()
    assert wanted <= asked(bench) <= wanted * (1 + AHEAD_SHARE) + 1


def test_a_fault_on_a_page_ahead_comes_when_that_page_is_asked_for(bench):
    pages = texts(bench)
    before = list(itertools.islice(pages, 30))
    bench.served.answers.append((PATH, PlainTextResponse("rubbish")))
    with pytest.raises(BadAnswerError, match="not valid JSON"):
        before.extend(pages)
    assert 30 <= len(before) <= 34
    assert list(pages) == []


@pytest.mark.parametrize("last", [{}, {"nextToken": None}, {"nextToken": ""}])
def test_a_page_that_names_no_other_is_the_last(bench, last):
    bench.served.answers.append((PATH, JSONResponse({"results": [], **last})))
    assert len(list(itertools.islice(texts(bench), 2))) == 1


def test_a_page_without_its_list_is_refused(bench):
    bench.served.answers.append((PATH, JSONResponse({"nextToken": None})))
    with pytest.raises(BadAnswerError, match="has no 'results'"):
        list(texts(bench))


def test_who_stops_does_not_wait_for_the_page_under_way():
    answered = threading.Event()

    def listed():
        yield from range(20)
        answered.wait(60)

    pages = ahead(listed())
    assert list(itertools.islice(pages, 20)) == list(range(20))
    closing = threading.Thread(target=pages.close)
    closing.start()
    closing.join(20)
    was_waiting = closing.is_alive()
    answered.set()
    assert not was_waiting
