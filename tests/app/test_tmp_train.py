import pytest, json, re
from browsing import chromium, expect, pytestmark, tab
from browsing import site as empty_site
from test_browser_training import site, table, curves
def test_click(tab, site):
    tab.goto(site + "/training")
    trade = tab.locator(".ow-panel", has=tab.get_by_role("heading", name="Sparsity against faithfulness"))
    trade.locator(".points path").first.wait_for()
    print(trade.locator("[data-pages]").evaluate("e => e.outerHTML.slice(0,300)"))
    trade.locator(".points path").first.scroll_into_view_if_needed()
    for p in trade.locator(".points path").all():
        b = p.bounding_box(); print(b)
    b = trade.locator(".points path").first.bounding_box()
    tab.mouse.move(b["x"]-30, b["y"]+5); tab.wait_for_timeout(300)
    tab.mouse.move(b["x"]+b["width"]/2, b["y"]+b["height"]/2, steps=5); tab.wait_for_timeout(500)
    tab.mouse.click(b["x"]+b["width"]/2, b["y"]+b["height"]/2)
    tab.wait_for_timeout(1500)
    print(tab.url)
@pytest.mark.parametrize("width", (1440, 390))
@pytest.mark.parametrize("scheme", ("light", "dark"))
def test_shots(tab, site, width, scheme):
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 900})
    for name, at in (("training", "/training?runs=alpha,beta"), ("run", "/training/alpha"), ("cut", "/training/cut")):
        tab.goto(site + at); tab.wait_for_timeout(2500)
        tab.screenshot(path=f"/tmp/shots_train/{name}-{width}-{scheme}.png", full_page=True)
