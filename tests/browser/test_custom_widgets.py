"""
The page treats a custom widget as AWS documents it: what the function is told, what is shown, what a button
does, and whose permissions decide.
"""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import serious
from tests.browser.toy_widget import Toys, toys


@pytest.fixture(scope="module", name="toy")
def _toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toys]:
    with toys(tmp_path_factory.mktemp("aws")) as found:
        yield found


@pytest.fixture(name="page")
def _page(browser: Browser, toy: Toys) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(toy.url)
    page.locator("#interval").select_option("0")
    yield page
    context.close()


@pytest.fixture(name="shown")
def _shown(page: Page) -> Page:
    expect(page.locator("#told")).to_be_visible()
    return page


def told(page: Page) -> dict[str, object]:
    """What the function was told when the widget was drawn."""
    event: dict[str, object] = json.loads(page.locator("#told").inner_text())
    return event


def confirm(page: Page, word: str) -> None:
    """Press a button of the confirmation."""
    page.locator("#confirmation").get_by_role("button", name=word).click()


def test_the_function_is_told_what_cloudwatch_tells(shown: Page) -> None:
    """Parameters of the widget, and beside them the context that AWS documents."""
    event = told(shown)
    context = event["widgetContext"]

    assert isinstance(context, dict)
    assert event["a"] == 1
    assert context["dashboardName"] == "toys"
    assert context["accountId"] == "111122223333"
    assert context["params"] == {"a": 1}
    assert context["theme"] == "light"
    assert context["title"] == "Toy <i>one</i>"
    assert set(context["timeRange"]) == {"mode", "start", "end", "relativeStart"}
    assert 500 < context["width"] < 1280
    assert context["height"] > 300


def test_the_theme_and_the_fields_are_told(shown: Page) -> None:
    """A widget draws itself for a dark page only if it hears of it."""
    shown.locator("#theme").select_option("dark")
    expect(shown.locator("#told")).to_contain_text('"theme": "dark"')

    expect(shown.locator("#told")).to_contain_text('"forms": {"all": {"field": "typed"}}')


def test_nothing_hostile_runs_and_titles_are_text(shown: Page) -> None:
    """Script, handler, frame, link: none of them comes through, and the widget's styles stay inside it."""
    shown.locator("#bad-link").click()

    assert shown.title() == "toys · sandbox"
    assert shown.locator("iframe, use, script:not([nonce]):not(#facts)").count() == 0
    expect(shown.get_by_role("heading", name="Toy <i>one</i>")).to_be_visible()
    assert shown.locator("#told").evaluate("e => getComputedStyle(e).outlineColor") == "rgb(1, 2, 3)"
    assert shown.locator("body").evaluate("e => getComputedStyle(e).display") == "flex"


def test_a_button_replaces_the_widget_with_what_its_call_gives(shown: Page) -> None:
    """That is what `display` means when it isn't said; entities in the JSON are characters."""
    shown.locator("#in-place").click()
    expect(shown.locator("#told")).to_contain_text('"n": "<&>"')

    assert shown.locator("#popup").is_hidden()


def test_a_confirmation_shows_its_text_and_ok_goes_on(shown: Page, toy: Toys) -> None:
    """The text is text, and the answer comes in a popup."""
    before = len(toy.invocations())
    shown.locator("#in-popup").click()
    expect(shown.locator("#confirmation")).to_contain_text("Sure <b>about</b> it?")
    assert len(toy.invocations()) == before
    confirm(shown, "OK")

    expect(shown.locator("#popup #told")).to_contain_text('"pressed": true')
    assert len(toy.invocations()) == before + 1


@pytest.mark.parametrize("way", ["Cancel", "Escape"])
def test_cancelling_calls_nothing(shown: Page, toy: Toys, way: str) -> None:
    """Whoever changes their mind has done nothing; the focus is back where they were."""
    before = len(toy.invocations())
    shown.locator("#in-popup").click()
    expect(shown.locator("#confirmation")).to_be_visible()
    if way == "Escape":
        shown.keyboard.press("Escape")
    else:
        confirm(shown, way)
    expect(shown.locator("#confirmation")).to_be_hidden()

    expect(shown.locator("#in-popup")).to_be_focused()
    assert len(toy.invocations()) == before


def test_everything_can_be_done_with_the_keyboard(shown: Page) -> None:
    """A button, its confirmation, where the safe answer has the focus, and the popup."""
    shown.locator("#in-popup").focus()
    shown.keyboard.press("Enter")
    expect(shown.locator("#confirmation").get_by_role("button", name="Cancel")).to_be_focused()
    shown.keyboard.press("Tab")
    shown.keyboard.press("Enter")
    expect(shown.locator("#popup #told")).to_be_visible()
    shown.keyboard.press("Escape")

    expect(shown.locator("#popup")).to_be_hidden()
    expect(shown.locator("#in-popup")).to_be_focused()


def test_html_in_an_action_is_shown_without_a_call(shown: Page, toy: Toys) -> None:
    """On a click or when the pointer comes; nothing of it is there before."""
    before = len(toy.invocations())
    assert shown.locator("#more-text").count() == 0
    shown.locator("#more").click()
    expect(shown.locator("#popup #more-text")).to_be_visible()
    shown.keyboard.press("Escape")
    box = shown.locator("#hover").bounding_box()
    assert box is not None
    shown.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    expect(shown.locator("#popup #hovered")).to_be_visible()
    assert len(toy.invocations()) == before


def test_an_event_that_was_not_asked_for_does_nothing(shown: Page, toy: Toys) -> None:
    """What waits for a double click doesn't take a single one."""
    before = len(toy.invocations())
    shown.locator("#twice").click()
    shown.wait_for_timeout(200)
    assert len(toy.invocations()) == before
    shown.locator("#twice").dblclick()

    expect(shown.locator("#told")).to_contain_text('"twice": true')


def test_failures_are_told_as_text(shown: Page) -> None:
    """A function's error, an answer in JSON, a refusal of AWS, and a mistake in the widget."""
    for button, words in {
        "fails": "ValueError: <b>no</b> such site",
        "gives-json": '"answer": "<b>text</b>"',
        "elsewhere": "Function not found",
        "bad-json": "not JSON",
    }.items():
        shown.locator(f"#{button}").click()
        expect(shown.locator("#popup-content")).to_contain_text(words)
        shown.keyboard.press("Escape")


def test_links_to_the_console_lead_nowhere(shown: Page) -> None:
    """The account is invented: in AWS's real console nobody would find it."""
    shown.locator("#console").click()

    expect(shown.locator("#popup-content")).to_contain_text("https://ap-northeast-1.console.aws.amazon.com/")
    assert len(shown.context.pages) == 1


def test_whose_permissions_decide_is_who_is_signed_in(page: Page, toy: Toys) -> None:
    """A reader sees the dashboard and is refused the function, a guest is refused the dashboard; by AWS."""
    page.locator("#viewer").select_option("reader")
    expect(page.get_by_text("is not authorized to perform: lambda:InvokeFunction")).to_be_visible()
    page.locator("#viewer").select_option("guest")
    expect(page.locator("#problem")).to_contain_text("cloudwatch:ListDashboards")

    refused = {call["principal"].rsplit("/", 1)[-1] for call in toy.aws.requests() if call["status"] >= 400}
    assert {"reader", "guest"} <= refused


def test_auto_refresh_asks_again_and_disturbs_nobody(shown: Page, toy: Toys) -> None:
    """While a dialog is open nothing is pulled from under the hands, and the focus survives a refresh."""
    shown.locator("#more").focus()
    shown.locator("#interval").evaluate(
        "e => { e.add(new Option('1 s', '1')); e.value = '1'; e.dispatchEvent(new Event('change')) }"
    )
    first = told(shown)
    expect(shown.locator("#told")).not_to_have_text(json.dumps(first, sort_keys=True))
    expect(shown.locator("#more")).to_be_focused()
    shown.keyboard.press("Enter")
    expect(shown.locator("#more-text")).to_be_visible()
    # What was under way when the dialog opened has come back by now.
    shown.wait_for_timeout(500)
    before = len(toy.invocations())
    shown.wait_for_timeout(1500)

    assert len(toy.invocations()) == before


def test_other_widgets_say_that_they_are_not_drawn(shown: Page) -> None:
    """A picture that is missing must not look like one that is empty."""
    expect(shown.get_by_text("doesn't draw widgets of the type “explorer”")).to_be_visible()


def test_axe_looks_into_the_widgets(shown: Page) -> None:
    """Otherwise nothing would ever be found in the product's: here an image has no text beside it."""
    found = serious(shown)

    assert [each.partition(":")[0] for each in found] == ["image-alt"], found
