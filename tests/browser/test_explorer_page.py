"""The explorer, used as readers use it: by mouse, by keyboard, by touch, and not at all where there is no script."""

import pytest
from watching import faults

NAME = "notebooks/explorer"
# Where a point lies in the window; the map is scrolled into view first.
MIDDLE = """number => {
    document.getElementById("explorer-map").scrollIntoView({block: "center"});
    const box = document.querySelectorAll(".explorer-point")[number].getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
}"""
INSIDE = """() => [...document.querySelectorAll("#explorer-list tbody tr")]
    .map(row => [...row.cells].map(cell => parseFloat(cell.textContent.replace("−", "-"))))"""


@pytest.fixture
def explorer(look):
    """Opens the page and waits for its map."""

    def open_page(**settings):
        seen = look(NAME, **settings)
        seen.page.wait_for_selector("#explorer[data-ready=true]")
        return seen

    return open_page


def focused(page):
    return page.get_attribute("#explorer", "data-focused")


def announced(page):
    return page.text_content("#explorer-live")


def selected(page):
    return page.get_attribute("#explorer", "data-selected")


def test_draws_all_points_without_an_error(explorer):
    seen = explorer()
    assert seen.troubles == []
    count = seen.page.evaluate("() => window.coreechoExplorer.videos.length")
    assert len(seen.page.query_selector_all(".explorer-point")) == count > 50
    assert seen.page.text_content("#explorer-legend").strip()


def test_hover_shows_the_clip_its_ef_and_the_predictions(explorer):
    page = explorer().page
    for number in (3, 40):
        page.mouse.move(*page.evaluate(MIDDLE, number))
        # Where points lie over one another the nearest is meant, which may be another.
        video = focused(page)
        assert video in page.evaluate("() => window.coreechoExplorer.videos")
        assert video in page.text_content("#explorer-name")
    assert "EF" in page.text_content("#explorer-facts")
    rows = page.query_selector_all("#explorer-answers tbody tr")
    assert len(rows) == page.evaluate("() => window.coreechoExplorer.systems.length")


def test_moving_the_mouse_on_shows_another_point(explorer):
    page = explorer().page
    met = set()
    for number in range(0, 120, 6):
        page.mouse.move(*page.evaluate(MIDDLE, number))
        met.add(focused(page))
    assert len(met) > 8


def test_clip_plays_on_request_and_shows_its_saliency(explorer):
    seen = explorer(reduced_motion="reduce")
    assert seen.page.evaluate("() => document.querySelector('#explorer-clip').wanted") in (False, None)
    seen.page.focus("#explorer-map")
    seen.page.keyboard.press("Space")
    assert seen.page.evaluate("() => document.querySelector('#explorer-clip').wanted")
    seen.page.keyboard.press("Space")
    assert not seen.page.evaluate("() => document.querySelector('#explorer-clip').wanted")
    assert seen.page.evaluate("() => document.querySelector('#explorer-saliency') !== null")


def test_keyboard_reaches_every_point_and_says_what_it_is(explorer):
    page = explorer().page
    page.focus("#explorer-map")
    page.keyboard.press("Home")
    lowest = focused(page)
    assert lowest in announced(page)
    page.keyboard.press("PageUp")
    assert focused(page) != lowest
    page.keyboard.press("PageDown")
    assert focused(page) == lowest
    met = {lowest}
    count = page.evaluate("() => window.coreechoExplorer.videos.length")
    for _ in range(count - 1):
        page.keyboard.press("PageUp")
        met.add(focused(page))
    assert len(met) == count
    highest = focused(page)
    page.keyboard.press("End")
    assert focused(page) == highest


@pytest.mark.parametrize(("there", "back"), [("ArrowRight", "ArrowLeft"), ("ArrowDown", "ArrowUp")])
def test_arrows_walk_over_the_map(explorer, there, back):
    page = explorer().page
    page.focus("#explorer-map")
    start = focused(page)
    place = "() => { const box = document.querySelector('.explorer-point.focused').getBoundingClientRect(); \
        return [box.x, box.y]; }"
    before = page.evaluate(place)
    page.keyboard.press(there)
    after = page.evaluate(place)
    axis = 0 if there == "ArrowRight" else 1
    if focused(page) == start:  # nothing lies further that way
        page.keyboard.press(back)
        assert page.evaluate(place)[axis] < before[axis]
    else:
        assert after[axis] > before[axis]


def test_region_by_keyboard_shows_its_errors_and_is_forgotten(explorer):
    page = explorer().page
    page.focus("#explorer-map")
    assert selected(page) in (None, "none", "")
    for key in ("Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    count = int(selected(page))
    rows = page.evaluate(INSIDE)
    assert len(rows) == count > 0
    error = sum(abs(row[-1]) for row in rows) / count
    shown = page.evaluate(
        "() => [...document.querySelectorAll('#explorer-stats tbody tr')[0].cells].map(c => c.textContent)"
    )
    assert int(shown[1]) == count
    assert float(shown[2]) == pytest.approx(error, abs=0.06)  # the list has one decimal
    assert str(count) in announced(page)
    page.keyboard.press("Escape")
    assert selected(page) in (None, "none", "")


def test_region_by_mouse(explorer):
    page = explorer().page
    page.evaluate(MIDDLE, 0)
    box = page.locator("#explorer-map svg").first.bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.move(box["x"] + box["width"] - 8, box["y"] + box["height"] - 8, steps=4)
    page.mouse.up()
    total = page.evaluate("() => document.querySelectorAll('.explorer-point').length")
    assert int(selected(page)) > total / 2
    page.click("#explorer-clear")
    assert selected(page) in (None, "none", "")


def test_touch_shows_a_point_on_a_telephone(explorer):
    seen = explorer(has_touch=True, is_mobile=True, viewport={"width": 360, "height": 740})
    page = seen.page
    assert page.evaluate("() => document.scrollingElement.scrollWidth") <= 360
    met = set()
    for number in (5, 60, 90):
        page.touchscreen.tap(*page.evaluate(MIDDLE, number))
        met.add(focused(page))
    assert len(met) > 1
    assert focused(page) in page.text_content("#explorer-name")


PHONE = {"has_touch": True, "is_mobile": True, "viewport": {"width": 390, "height": 844}}


def swipe(page, start, end):
    """A finger goes over the screen, as the browser itself would hear it."""
    session = page.context.new_cdp_session(page)
    for kind, share in [("touchStart", 0), *[("touchMove", step / 10) for step in range(1, 11)], ("touchEnd", 1)]:
        at = [{axis: start[number] + share * (end[number] - start[number]) for number, axis in enumerate("xy")}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else at})
        page.wait_for_timeout(20)
    page.wait_for_timeout(400)


def over_the_map(page):
    """Two places on the map, far apart, both in view."""
    page.evaluate("() => document.getElementById('explorer-map').scrollIntoView({block: 'center'})")
    page.wait_for_timeout(100)
    box = page.locator("#explorer-map svg").bounding_box()
    left, right = box["x"] + 20, box["x"] + box["width"] - 20
    top, bottom = max(box["y"] + 20, 140), min(box["y"] + box["height"] - 20, 800)
    return (right, bottom), (left, top)


@pytest.mark.parametrize("shown", ["0", "all"])
def test_a_finger_scrolls_the_page_unless_it_is_to_select_a_region(explorer, shown):
    seen = explorer(**PHONE, reduced_motion="reduce")
    page = seen.page
    page.tap(f"#explorer-map-{shown}")
    start, end = over_the_map(page)
    before = page.evaluate("scrollY")
    swipe(page, start, end)
    assert page.evaluate("scrollY") > before + 100
    assert not selected(page)

    button = page.locator("#explorer-touch")
    button.tap()
    assert button.get_attribute("aria-pressed") == "true"
    start, end = over_the_map(page)
    before = page.evaluate("scrollY")
    swipe(page, start, end)
    assert page.evaluate("scrollY") == before
    assert int(selected(page)) > 0
    assert faults(page) == []

    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "false"
    region = selected(page)
    start, end = over_the_map(page)
    swipe(page, start, end)
    assert page.evaluate("scrollY") > before + 100
    page.touchscreen.tap(*page.evaluate(MIDDLE, 60))
    assert selected(page) == region  # neither a swipe nor a tap changes it
    assert seen.troubles == []


def test_maps_and_colours_by_keyboard(explorer):
    page = explorer().page
    page.focus("#explorer-map-0")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#explorer", "data-map") != "0"
    legend = page.inner_html("#explorer-legend")
    page.focus("#explorer-colour-ef")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#explorer", "data-colour") == "error"
    assert page.inner_html("#explorer-legend") != legend


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_serious_while_a_region_is_open(explorer, mode):
    seen = explorer()
    seen.page.focus("#explorer-map")
    for _ in range(4):
        seen.page.keyboard.press("Shift+ArrowRight")
    seen.colour(mode)
    assert faults(seen.page) == []


def test_opens_from_a_disk(browser, book):
    context = browser.new_context()
    page = context.new_page()
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto((book / f"{NAME}.html").as_uri())
    page.wait_for_selector("#explorer[data-ready=true]")
    page.focus("#explorer-map")
    page.keyboard.press("Home")
    assert focused(page)
    page.wait_for_timeout(400)
    # The strip of frames, too, came from the disk.
    assert page.evaluate("() => document.querySelector('#explorer-clip canvas') !== null")
    context.close()
    assert troubles == []


def test_says_so_where_there_is_no_script(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/{NAME}.html")
    assert "script" in page.text_content("#explorer")
    assert page.query_selector("article table")
    context.close()
