"""What a document names by URL: fetched once, in rounds, within bounds."""

import asyncio
import json
from collections.abc import Callable

from smtpeter.content.letter import Letter
from smtpeter.content.template.compile import compile_document
from smtpeter.content.template.reading import Purpose, Resource, Wanted
from smtpeter.prepare import gather
from smtpeter.prepare.gather import Gathering, Resources, fetch_nothing


class Web:
    """Answers with `page`; counts how many it serves at once."""

    def __init__(self, page: Callable[[str], Resource | None]) -> None:
        self.page = page
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0

    async def __call__(self, url: str, max_bytes: int, seconds: float) -> Resource | None:
        self.asked.append(url)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return self.page(url)


def texts(*urls: str) -> dict[str, object]:
    return {"content": {"blocks": [{"type": "text", "url": url} for url in urls]}}


async def gathered(document: dict[str, object], web: gather.Fetch) -> tuple[Letter, Gathering]:
    async def make(resources: Resources) -> Letter:
        return Letter(compile_document(document, resources=resources))

    async def fill(letter: Letter, url: str) -> str | None:
        return letter.url(url, None)

    gathering = Gathering(web, fill)
    return await gathering.complete(make), gathering


async def test_each_url_is_asked_for_once_and_a_few_at_a_time() -> None:
    web = Web(lambda url: Resource(url.encode()))
    urls = [f"https://a.example/{number}" for number in range(30)]
    letter, _ = await gathered(texts(*urls, *urls), web)
    assert sorted(web.asked) == sorted(urls)
    assert web.most_at_once == gather.AT_ONCE
    assert letter.compiled.wanted == ()
    assert letter.text(None).count("https://a.example/29") == 2


async def test_document_gets_no_more_urls_than_there_may_be() -> None:
    web = Web(lambda url: Resource(b"x"))
    letter, gathering = await gathered(texts(*(f"https://a.example/{n}" for n in range(gather.MAX_URLS + 50))), web)
    assert len(web.asked) == gather.MAX_URLS
    assert list(gathering.resources.values()).count(None) == 50
    assert sum(problem.code == "fetch-failed" for problem in letter.compiled.problems) == 50


async def test_imports_that_never_end_come_to_an_end() -> None:
    def page(url: str) -> Resource:
        return Resource(json.dumps({"type": "import", "url": f"{url}x"}).encode())

    web = Web(page)
    await gathered({"content": {"blocks": [{"type": "import", "url": "https://a.example/"}]}}, web)
    assert len(web.asked) <= 4


async def test_all_of_it_together_is_bounded() -> None:
    page = Resource(bytes(10 * 2**20))
    web = Web(lambda url: page)

    async def fill(letter: Letter, url: str) -> str | None:
        return url

    gathering = Gathering(web, fill)
    letter = Letter(compile_document({}))
    wanted = [Wanted(f"https://a.example/{number}.png", Purpose.IMAGE) for number in range(50)]
    assert await gathering.get(letter, wanted)
    kept = sum(len(found.content) for found in gathering.resources.values() if found)
    assert kept <= gather.MAX_BYTES
    assert not await gathering.get(letter, wanted)


async def test_more_than_its_purpose_allows_is_as_nothing() -> None:
    web = Web(lambda url: Resource(bytes(2**20 + 1)))
    _, gathering = await gathered(texts("https://a.example/"), web)
    assert gathering.resources == {"https://a.example/": None}


async def test_without_a_web_nothing_is_there() -> None:
    letter, gathering = await gathered(texts("https://a.example/"), fetch_nothing)
    assert gathering.resources == {"https://a.example/": None}
    assert [problem.code for problem in letter.compiled.problems] == ["fetch-failed"]
