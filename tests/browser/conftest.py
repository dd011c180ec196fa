"""The built book, served from this machine, and one Chromium that looks at it.

Where there is no Chromium or no built book, every test of this folder is skipped and says how to get it.
``COREECHO_CHROMIUM`` names another browser, ``COREECHO_BOOK`` the HTML folder of another book.
"""

import functools
import http.server
import threading

import pytest
from watching import BOOK, FLAGS, NAMES, Sight, book_pages, chromium


def pytest_generate_tests(metafunc):
    if "sight" in metafunc.fixturenames:
        metafunc.parametrize("sight", book_pages(), indirect=True, scope="module")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'coreecho[dev]'")
    path = chromium()
    if path is None:
        pytest.skip(f"no browser ({', '.join(NAMES)}): apt-get install chromium, or name one in COREECHO_CHROMIUM")
    with api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def book():
    """The folder of the built book."""
    if not (BOOK / "book" / "intro.html").is_file():
        pytest.skip(f"no built book in {BOOK}: run make book, or name its folder in COREECHO_BOOK")
    return BOOK


@pytest.fixture(scope="session")
def site(book):
    """The book's address on this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(book)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def sight(request, browser, site):
    seen = Sight(browser, site, request.param, reduced_motion="reduce")
    yield seen
    seen.context.close()


@pytest.fixture
def look(browser, site):
    """A function that opens a page; all are closed at the end."""
    opened = []

    def open_page(name, **settings):
        opened.append(Sight(browser, site, name, **settings))
        return opened[-1]

    yield open_page
    for seen in opened:
        seen.context.close()
