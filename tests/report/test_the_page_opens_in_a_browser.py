"""The page as a browser lays it out, on a phone and on a laptop."""

import html
import subprocess

import pytest
from tests.report import sample
from tests.report.pages import DESIGNS, month_page

from clusterwright import report

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
)
# The page stands in a frame of the width to test, for a window cannot be made narrower than 500 px.
# `srcdoc` lets the outer page measure the inner one.
FRAME = """<!doctype html><meta charset="utf-8"><body><iframe width="{width}" height="800"
srcdoc="{page}"></iframe><script>
addEventListener("load", () => {{
  const inner = document.querySelector("iframe").contentDocument;
  const root = inner.documentElement, out = [];
  for (const one of inner.querySelectorAll("main *")) {{
    if (one.closest(".scroll") || one.closest("svg")) continue;
    const box = one.getBoundingClientRect();
    if (box.width && box.right > root.clientWidth + 1) out.push(one.tagName + "#" + one.id);
  }}
  for (const one of inner.querySelectorAll("a.note")) {{
    if (one.getClientRects().length > 1) out.push("note broken over two lines: " + one.textContent);
  }}
  const lost = [];
  for (const text of inner.querySelectorAll("svg text")) {{
    const box = text.getBoundingClientRect();
    if (box.width && (box.right > root.clientWidth + 2 || box.left < -2)) lost.push(text);
  }}
  const over = root.scrollWidth - root.clientWidth;
  const texts = lost.map((text) => text.closest("svg").id + ": " + text.textContent);
  document.title = ["done", over, ...out, ...texts].join("|");
}});
</script>"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 390, 1366, 1600])
@pytest.mark.parametrize("name", DESIGNS)
def test_nothing_sticks_out_and_nothing_is_complained_of(tmp_path, name, width):
    lang = "zh" if width in {360, 1600} else "en"
    opened(tmp_path, report.html(DESIGNS[name](), sample.run(), lang=lang), width)


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1366])
def test_nothing_sticks_out_of_the_page_of_a_run(tmp_path, width):
    lang = "zh" if width == 1366 else "en"
    opened(tmp_path, month_page("queues that lend, lost nodes", lang), width)


def opened(tmp_path, page, width):
    """Open a page in a frame of a width, and hold it against what a reader must not meet."""
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width, page=html.escape(page, quote=True)), "utf-8")
    done = subprocess.run(
        [
            "chromium",
            *FLAGS,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            "--window-size=1700,900",
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    title = done.stdout[done.stdout.index("<title>") + 7 : done.stdout.index("</title>")]
    assert title == "done|0"
