"""Every page of the built book in a real browser: whole, offline, on a telephone, in the dark, by screen reader."""

import json

import pytest
from watching import faults

# What a page and all it loads may weigh, the explorer's data apart.
LARGEST = 3_000_000
BAD_IMAGES = r"""() => [...document.images]
    .filter(image => !image.naturalWidth || !image.hasAttribute("alt") || /\.(png|svg|webp|jpe?g)$/.test(image.alt))
    .map(image => image.outerHTML.slice(0, 200))"""
FORMULAS = r"""() => {
    const text = document.querySelector("main").cloneNode(true);
    text.querySelectorAll("code, pre, script, mjx-container").forEach(element => element.remove());
    return {
        wanted: document.querySelectorAll("main .math").length,
        set: document.querySelectorAll("main .math mjx-container").length,
        wrong: document.querySelectorAll("mjx-merror, [data-mjx-error]").length,
        left: text.textContent.match(/\\\(|\\\[|\$[^$\n]*[\\^_][^$\n]*\$/g) || [],
    };
}"""
# Elements of a narrow page that stick out of it, and boxes with more in them than they show that no key reaches.
WIDE = """() => {
    const scrolls = element => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
    const hides = element => scrolls(element) || ["hidden", "clip"].includes(getComputedStyle(element).overflowX);
    const held = element => {
        for (let box = element.parentElement; box && box !== document.body; box = box.parentElement)
            if (hides(box)) return true;
        return false;
    };
    const all = [...document.querySelectorAll("main *")].filter(element => element.checkVisibility());
    return {
        width: document.scrollingElement.scrollWidth,
        out: all.filter(element => element.getBoundingClientRect().right > innerWidth + 1 && !held(element))
            .slice(0, 3).map(element => element.outerHTML.slice(0, 160)),
        unreached: all.filter(element => scrolls(element) && element.scrollWidth > element.clientWidth + 1
            && element.tabIndex < 0 && !element.querySelector("a, button, input"))
            .map(element => element.outerHTML.slice(0, 160)),
        tables: all.filter(element => element.matches("table")
            && element.scrollWidth > element.parentElement.clientWidth + 1
            && !element.closest("[role=region][aria-label]")).map(element => element.outerHTML.slice(0, 160)),
    };
}"""
# A card is marked as a whole, since its link covers it.
FOCUS = """async () => {
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    await Promise.allSettled(document.getAnimations()
        .filter(change => change instanceof CSSTransition).map(change => change.finished));
    const active = document.activeElement;
    const element = active.classList.contains("sd-stretched-link") ? active.closest(".sd-card") : active;
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    return {
        name: element.outerHTML.slice(0, 120),
        shown: box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0,
        marked: (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none",
        body: element === document.body,
    };
}"""


def test_loads_without_an_error_and_without_the_network(sight):
    assert sight.troubles == []


def test_page_and_all_it_loads_are_light(sight):
    assert 0 < sight.bytes < LARGEST


def test_images_are_shown_and_described(sight):
    assert sight.page.evaluate(BAD_IMAGES) == []


def test_formulas_are_set(sight):
    seen = sight.page.evaluate(FORMULAS)
    assert seen["left"] == []
    assert seen["set"] >= seen["wanted"]
    assert seen["wrong"] == 0


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_serious(sight, mode):
    # Only colours differ in the dark.
    options = {} if mode == "light" else {"runOnly": ["color-contrast"]}
    sight.colour(mode)
    found = faults(sight.page, **options)
    assert not found, json.dumps(found[:8], indent=1)


def test_fits_a_telephone(sight):
    sight.page.set_viewport_size({"width": 360, "height": 740})
    for _ in range(10):  # the theme looks for boxes that scroll 0.3 s after a change, later on a busy machine
        sight.page.wait_for_timeout(400)
        seen = sight.page.evaluate(WIDE)
        if not seen["unreached"]:
            break
    sight.page.set_viewport_size({"width": 1280, "height": 900})
    assert seen["width"] <= 360, seen["out"]
    assert seen["unreached"] == []
    assert seen["tables"] == []


@pytest.mark.parametrize("width", [768, 1100])
def test_does_not_scroll_sideways_on_a_tablet_or_a_small_desktop(sight, width):
    sight.page.set_viewport_size({"width": width, "height": 900})
    found = sight.page.evaluate("() => document.scrollingElement.scrollWidth")
    sight.page.set_viewport_size({"width": 1280, "height": 900})
    assert found <= width


def test_skip_link_comes_first_and_leads_to_the_text(look):
    page = look("notebooks/table1", reduced_motion="reduce").page
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to main content"
    assert page.evaluate(FOCUS)["shown"]
    page.keyboard.press("Enter")
    assert page.url.endswith("#main-content")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.closest('main') !== null")


@pytest.mark.parametrize("name", ["book/intro", "notebooks/table1"])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_focus_can_be_seen_wherever_it_goes(look, name, mode):
    seen = look(name, color_scheme=mode, reduced_motion="reduce")
    stops = []
    for _ in range(150):
        seen.page.keyboard.press("Tab")
        stop = seen.page.evaluate(FOCUS)
        if stop["body"]:
            break
        stops.append(stop)
    assert len(stops) > 20
    assert [stop["name"] for stop in stops if not (stop["shown"] and stop["marked"])] == []


def test_a_figure_leads_to_its_picture_which_a_telephone_can_enlarge(look):
    seen = look("notebooks/table1")
    link = seen.page.locator("#fig-table1 > a")
    assert link.locator("img").get_attribute("alt")
    link.click()
    seen.page.wait_for_url("**/_images/*.svg")
    assert seen.troubles == []


def test_reader_switches_the_colours_by_keyboard(look):
    page = look("book/method").page
    before = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    page.focus(".theme-switch-button")
    for _ in range(2):  # automatic, light, dark
        page.keyboard.press("Enter")
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") != before


def test_search_finds_a_page_by_keyboard(look):
    page = look("book/intro").page
    page.keyboard.press("Control+k")
    page.keyboard.type("stop-gradient")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")
    assert page.query_selector("#search-results li a[href*='method']")


@pytest.mark.parametrize("name", ["index", "notebooks/table1", "search"])
def test_opens_from_a_disk(browser, book, name):
    troubles = []
    context = browser.new_context()
    page = context.new_page()
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto((book / f"{name}.html").as_uri() + ("?q=ejection" if name == "search" else ""))
    page.wait_for_selector("#search-results li a" if name == "search" else "article h1")
    page.wait_for_timeout(500)
    assert page.evaluate("() => [...document.images].every(image => image.naturalWidth)")
    context.close()
    assert troubles == []
