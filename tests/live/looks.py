"""How a page looks in the browser: what is written where, and how well it stands out from what is behind it.

Contrast is that of WCAG 2.2 (relative luminance), and is measured on the picture that the browser painted, since what
clients do to colours in dark mode shows in no computed style. What is behind a line of text is the colour that most of its
pixels have; a line's own colour is that of the few percent that differ most, the middle of its strokes.
"""

import base64
import json
from dataclasses import dataclass

from tests.live.browser import Page, Tab

LETTER = "http://mail.test/letter"
# twice as many pixels, so that strokes have a middle
_DENSITY = 2
_WRITTEN = """(() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    if (!node.data.trim()) continue;
    const range = document.createRange(), parent = node.parentElement;
    range.selectNodeContents(node);
    const kind = parent.closest('.re-button') ? 'button' : parent.closest('h1,h2,h3,h4,h5,h6') ? 'heading'
      : parent.closest('a') ? 'link' : 'text';
    for (const box of range.getClientRects())
      if (box.width > 4 && box.height > 4)
        found.push([kind, node.data.trim().slice(0, 40),
          [box.left + scrollX, box.top + scrollY, box.width, box.height]]);
  }
  return found;
})()"""
_CONTRASTS = """(async (picture, boxes, density) => {
  const octets = Uint8Array.from(atob(picture), one => one.charCodeAt(0));
  const image = await createImageBitmap(new Blob([octets], {type: 'image/png'}));
  const canvas = new OffscreenCanvas(image.width, image.height), pen = canvas.getContext('2d');
  pen.drawImage(image, 0, 0);
  const linear = one => (one /= 255) <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
  const luminance = one =>
    0.2126 * linear(one >> 16) + 0.7152 * linear((one >> 8) & 255) + 0.0722 * linear(one & 255);
  return boxes.map(box => {
    const inset = [1, 1, -2, -2];  // of what is beside the line, nothing is looked at
    const [left, top, width, height] = box.map((one, at) => Math.round((one + inset[at]) * density));
    const data = pen.getImageData(left, top, width, height).data, counts = new Map();
    for (let at = 0; at < data.length; at += 4) {
      const color = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
      counts.set(color, (counts.get(color) || 0) + 1);
    }
    const ranked = [...counts].sort((one, other) => other[1] - one[1]), behind = luminance(ranked[0][0]);
    const ratios = ranked.map(([color, count]) => {
      const ink = luminance(color);
      return [(Math.max(ink, behind) + 0.05) / (Math.min(ink, behind) + 0.05), count];
    }).sort((one, other) => other[0] - one[0]);
    let seen = 0;
    for (const [ratio, count] of ratios) if ((seen += count) >= width * height * SHARE) return [ratio, behind < 0.18];
  });
})"""
_SHARE = "0.02"


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is written: `kind` is "heading", "button", "link" or "text", `contrast` from 1 to 21."""

    kind: str
    text: str
    contrast: float
    is_on_dark: bool


async def show(tab: Tab, html: str, width: int, *, is_dark: bool = False) -> None:
    """Opens a mail in a window of that width, for a reader who likes it dark or not."""
    tab.pages[LETTER] = Page(html.encode())
    scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
    await tab.command("Emulation.setEmulatedMedia", features=[scheme])
    await tab.command("Emulation.setScrollbarsHidden", hidden=True)  # a picture of the whole page has none
    await tab.command(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=800,
        deviceScaleFactor=_DENSITY,
        mobile=width < 600,
    )
    await tab.load(LETTER)


async def painted(tab: Tab) -> bytes:
    """Gives the whole page as a PNG."""
    taken = await tab.command("Page.captureScreenshot", captureBeyondViewport=True)
    return base64.b64decode(taken["data"])


async def lines(tab: Tab) -> list[Line]:
    """Gives every line that is seen, as it was painted."""
    written = await tab.evaluate(_WRITTEN)
    picture = base64.b64encode(await painted(tab)).decode()
    boxes = json.dumps([box for _, _, box in written])
    measure = _CONTRASTS.replace("SHARE", _SHARE)
    ratios = await tab.evaluate(f"{measure}({json.dumps(picture)}, {boxes}, {_DENSITY})")
    return [Line(kind, text, *found) for (kind, text, _), found in zip(written, ratios, strict=True)]
