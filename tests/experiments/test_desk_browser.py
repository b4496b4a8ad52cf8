"""The desk in a browser: it loads from this machine alone, a slider changes its pictures, Ctrl-C ends it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

DEEP = """
const deep = (root, selector) => {
  const found = root.querySelector(selector);
  if (found) return found;
  for (const inner of root.querySelectorAll("*")) {
    const deeper = inner.shadowRoot && deep(inner.shadowRoot, selector);
    if (deeper) return deeper;
  }
};
const model = (name) => Bokeh.documents[0].get_model_by_name(name);
const part = (name, selector) => deep(document.querySelector(`[data-root-id="${model(name).id}"]`), selector);
"""
READY = "return !!(window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle)"
PATIENCE = 300
"""Seconds to wait for what a busy machine does late."""
PIXELS = "const now = model('a-status').text + part('a-activations', 'canvas').toDataURL();"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a desk in a process of its own, which Ctrl-C ends in one line."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "experiments", "desk", "--no-browser", "--port", str(port)]
    restore = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=restore)
    assert process.stdout is not None
    where = f"http://127.0.0.1:{port}/"
    try:
        assert where in process.stdout.readline()
        yield where
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, said.strip()) == (130, "stopped")


def test_the_desk(browser: Any, address: str) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    def ask(code: str) -> Any:
        return browser.execute_script(DEEP + code)

    def until(code: str) -> Any:
        return WebDriverWait(browser, PATIENCE, 0.1).until(lambda _: ask(code))

    def screen(width: int, scheme: str) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    browser.get_log("browser")
    browser.get_log("performance")
    screen(390, "dark")
    browser.get(address)
    until(READY)
    assert ask("return document.documentElement.scrollWidth") == 390
    until("return model('loss').title.text_color === '#e8ebee'")  # the plots know that it is dark, too
    until("return model('a-status').text.match(/step (\\d+)/)[1] > 20")  # it trains

    ask("part('play', 'button').click()")
    until("return model('play').label === 'train'")
    screen(1400, "light")
    until("return model('loss').title.text_color === '#1b1f24'")
    assert ask("return document.documentElement.scrollWidth") == 1400

    until(f"{PIXELS} const was = window.was; window.was = now; return now === was")  # what was under way has been drawn
    before, gain = ask(f"{PIXELS} return now"), ask("return model('a-gain').value")
    handle = ask("return part('a-gain', '.noUi-handle')")
    handle.send_keys(Keys.ARROW_LEFT)
    until(f"return model('a-gain').value !== '{gain}' && model('a-status').text.startsWith('step 1,')")
    WebDriverWait(browser, PATIENCE, 0.1).until(lambda _: ask(f"{PIXELS} return now") != before)
    assert ask("return model('a-command').tags[0]").count("--gain 1.41") == 1
    assert browser.find_element(By.TAG_NAME, "h1").text.startswith("The desk")

    logged = browser.get_log("browser")
    assert [entry for entry in logged if entry["level"] in ("SEVERE", "WARNING")] == []
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in sent if one["method"] == "Network.requestWillBeSent"]
    assert urls and all(url.startswith((address, "data:")) for url in urls), urls
