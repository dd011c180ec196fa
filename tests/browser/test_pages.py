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


PHONE = {"has_touch": True, "is_mobile": True, "viewport": {"width": 390, "height": 844}}
PICTURE = """() => {
    const dialog = document.querySelector("dialog.enlarged"), box = dialog.querySelector(".enlarged-scroll");
    box.scrollLeft = 1e4;
    return {
        open: dialog.open,
        width: dialog.querySelector("img").getBoundingClientRect().width,
        inside: box.clientWidth,
        end: Math.abs(box.scrollLeft + box.clientWidth - box.scrollWidth) < 2,
        page: document.scrollingElement.scrollWidth <= innerWidth,
    };
}"""


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("settings", [PHONE, {}], ids=["telephone", "desktop"])
def test_a_figure_can_be_enlarged_in_the_page(look, settings, mode):
    seen = look("notebooks/table1", **settings, reduced_motion="reduce")
    page, image = seen.page, seen.page.locator("#fig-table1 > img")
    image.tap() if settings else image.click()
    page.locator("dialog.enlarged img").evaluate("image => image.decode()")
    picture = page.evaluate(PICTURE)
    assert [picture[part] for part in ("open", "end", "page")] == [True] * 3
    assert picture["width"] >= max(960, picture["inside"])
    assert page.locator("dialog.enlarged img").get_attribute("alt") == image.get_attribute("alt") != ""
    seen.colour(mode)
    assert faults(page) == []
    page.keyboard.press("Escape")
    assert not page.locator("dialog.enlarged").is_visible()
    assert page.evaluate("() => document.activeElement.matches('#fig-table1 > button')")
    assert page.url.endswith("table1.html")
    assert seen.troubles == []


def test_a_figure_is_enlarged_scrolled_and_closed_by_keyboard(look):
    page = look("notebooks/table1", viewport={"width": 390, "height": 844}).page
    button = page.locator("#fig-table1 > button")
    button.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.textContent") == "Close"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.activeElement.scrollLeft > 0")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert not page.locator("dialog.enlarged").is_visible()
    assert button.evaluate("button => button === document.activeElement")


def test_figures_are_shown_where_there_is_no_script(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/notebooks/table1.html")
    assert page.locator("#fig-table1 img").is_visible()
    assert page.locator("button.enlarge").count() == 0
    context.close()


# What is still seen of each row when every table is scrolled to its end, and how much of its box that takes.
KEPT = """() => fitTables(document.querySelectorAll(BOXES)) || [...document.querySelectorAll(BOXES)]
    .filter(box => box.checkVisibility() && box.scrollWidth > box.clientWidth)
    .map(box => {
        box.scrollLeft = box.scrollWidth;
        const frame = box.getBoundingClientRect();
        const rows = [...box.querySelectorAll("tbody tr")].map(row => {
            const cells = [...row.querySelectorAll(".row-key")];
            const boxes = cells.map(cell => cell.getBoundingClientRect());
            return {
                text: cells.map(cell => cell.textContent.trim()).join("|"),
                all: [...row.cells].slice(0, 3).map(cell => cell.textContent.trim()).join("|"),
                joined: boxes.every((one, column) =>
                    Math.abs(one.left - (column ? boxes[column - 1].right : frame.left)) < 1.5),
                share: (boxes.at(-1).right - frame.left) / frame.width,
            };
        });
        const kept = new Set(rows.map(row => row.text)).size, most = new Set(rows.map(row => row.all)).size;
        return {name: box.getAttribute("aria-label"), columns: rows[0].text.split("|").length, told: kept === most,
            joined: rows.every(row => row.joined), share: Math.max(...rows.map(row => row.share))};
    })"""


@pytest.mark.parametrize(
    ("name", "columns"),
    [("notebooks/supplement", 2), ("notebooks/clinical", 2), ("notebooks/figure3", 2), ("runs/index", 1)],
)
def test_what_tells_rows_apart_stays_in_view_while_a_table_is_scrolled(look, name, columns):
    # Where motion is reduced, all that changes takes a moment: widths must be there at once.
    page = look(name, **PHONE, reduced_motion="reduce").page
    page.wait_for_selector(".row-key")
    tables = page.evaluate(KEPT)
    assert tables[0]["columns"] == columns
    assert [table for table in tables if not (table["told"] and table["joined"] and table["share"] < 0.56)] == []


def test_key_of_a_table_is_measured_again_when_the_window_changes(look):
    page = look("notebooks/supplement").page
    assert page.locator(".row-key").count() == 0  # here it fits
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_selector(".row-key")
    assert [table["share"] for table in page.evaluate(KEPT) if not table["share"] < 0.56] == []
    page.set_viewport_size({"width": 1280, "height": 900})
    page.wait_for_function("() => !document.querySelector('.row-key')")


def test_scores_of_the_index_of_runs_are_seen_on_a_telephone(look):
    page = look("runs/index", **PHONE).page
    page.wait_for_selector(".row-key")
    hidden = """() => [...document.querySelectorAll(".run-list tbody tr td:nth-child(2)")]
        .filter(cell => cell.getBoundingClientRect().right > innerWidth).map(cell => cell.textContent)"""
    assert page.evaluate(hidden) == []


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
