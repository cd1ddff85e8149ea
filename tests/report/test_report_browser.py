"""The report in headless Chromium (apt-get install chromium)."""

import json

import browser
import pytest
import workdirs

from jmim.report import curves
from jmim.report import page

pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(not browser.find(), reason="no chromium on this machine"),
]


@pytest.fixture(scope="module")
def window(tmp_path_factory):
  it = browser.Browser(tmp_path_factory.mktemp("profile"))
  yield it
  it.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
  root = tmp_path_factory.mktemp("pages")
  a = workdirs.make(root / "a")
  b = workdirs.make(root / "b", shift=0.5, notes=False)
  return (
    page.write([a], a / "report.html"),
    page.write([a, b], root / "both.html"),
  )


def drawn(window):
  """Share of pixels of each visible curve's canvas that have a colour."""
  return window.value("""[...document.querySelectorAll("canvas")].map(c => {
    const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
    let n = 0;
    for (let i = 3; i < d.length; i += 4) n += d[i] > 0;
    return n / (d.length / 4);
  })""")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("which", [0, 1], ids=["one", "two"])
def test_it_renders_in_both_widths_and_themes(
  window, pages, which, width, dark
):
  window.open(pages[which], width, 800, dark)
  assert window.value("document.documentElement.scrollWidth") <= width
  found = drawn(window)
  assert len(found) >= 6 and min(found) > 0.003
  sections = window.value(
    "[...document.querySelectorAll('section')].map(s => s.id)"
  )
  assert sections == [
    "overview",
    "curves",
    "pictures",
    "results",
    "recipe",
    "hardware",
    "environment",
    "checkpoints",
  ]
  colour = window.value("getComputedStyle(document.body).backgroundColor")
  brightness = sum(map(int, colour[4:-1].split(","))) / 3
  assert brightness < 60 if dark else brightness > 200
  assert workdirs.EVIL in window.value("document.body.innerText")
  assert window.trouble == []


def test_goodput_is_shown_its_parts_are_folded_and_what_is_zero_is_not(
  window, pages
):
  window.open(pages[0])
  shown = window.value(
    "document.querySelector('#curves > .charts').textContent"
  )
  assert "goodput" in shown and "goodput/" not in shown
  folded = window.value("document.querySelector('#curves details').textContent")
  assert "goodput/eval" in folded and "goodput/restart" not in folded


def test_runs_are_compared_with_their_own_lines(window, pages):
  """Lines that differ name their run; what is the same stands once."""
  window.open(pages[1])
  shown = window.value("""[...document.querySelectorAll("#results .bar span")]
    .map(node => node.textContent)""")
  lines = [text for text in shown if text.startswith("nearest")]
  assert lines == ["nearest of a/a", "nearest of b/b"] or len(lines) == 2
  assert sum(text.startswith("pixels") for text in shown) == 1
  window.open(pages[0])
  told = window.value("document.querySelector('#overview > p').textContent")
  assert "better than the nearest visible pixel" in told


def test_the_slider_goes_through_the_pictures(window, pages):
  window.open(pages[0])
  state = """[document.querySelector("[data-step]").textContent,
              document.querySelector("figure img").src]"""
  seen = [window.value(state)]
  for i in (0, 1):
    window.value(f"""(() => {{
      const slider = document.querySelector("figure input[type=range]");
      slider.value = {i};
      slider.dispatchEvent(new Event("input"));
    }})()""")
    seen.append(window.value(state))
  assert [label for label, _ in seen] == ["step 200", "step 50", "step 100"]
  assert len({source for _, source in seen}) == 3
  assert window.trouble == []


def place(window):
  """(left, top, width, height) of the first curve, scrolled into view."""
  return window.value("""(() => {
    const node = document.querySelector(".plot");
    node.scrollIntoView({block: "center", behavior: "instant"});
    const b = node.getBoundingClientRect();
    return [b.left, b.top, b.width, b.height];
  })()""")


def test_hovering_tells_values_and_dragging_zooms(window, pages):
  window.open(pages[1])
  left, top, width, height = place(window)
  y = top + height / 2
  window.mouse("mouseMoved", left + width / 2, y)
  tip = window.value("document.querySelector('.tip').innerText").split("\n")
  step = int(tip[0].removeprefix("step "))
  assert 60 < step < 140
  assert float(tip[1]) == pytest.approx(workdirs.loss(step), rel=1e-3)
  assert float(tip[-2]) == pytest.approx(workdirs.loss(step, 0.5), rel=1e-3)
  button = {"button": "left", "clickCount": 1}
  window.mouse("mousePressed", left + 0.5 * width, y, **button)
  window.mouse("mouseMoved", left + 0.75 * width, y, buttons=1)
  window.mouse("mouseReleased", left + 0.75 * width, y, **button)
  reset = (
    "[...document.querySelectorAll('button')].find("
    "b => b.textContent === 'Reset zoom')"
  )
  assert window.value(f"{reset}.disabled") is False
  window.value("new Promise(f => requestAnimationFrame(() => f()))")
  steps = []
  for share in (0.2, 0.95):  # what is at the edges now
    window.mouse("mouseMoved", left + share * width, y)
    text = window.value("document.querySelector('.tip').innerText")
    steps.append(int(text.split("\n")[0].removeprefix("step ")))
  assert 80 < steps[0] < steps[1] < 170
  window.value(f"{reset}.click()")
  assert window.value(f"{reset}.disabled") is True
  assert window.trouble == []


def test_a_long_run_is_drawn_from_few_points(window, tmp_path):
  path = workdirs.make(tmp_path / "long", steps=30_000)
  window.open(page.write([path], tmp_path / "long.html"))
  window.value("""(() => {
    const slider = document.getElementById("smooth");
    slider.value = 0.9;
    slider.dispatchEvent(new Event("input"));
  })()""")
  points = window.value("""Math.max(...Object.values(JSON.parse(
    document.getElementById("data").textContent).runs[0].series)
    .map(s => s.x.length))""")
  assert points <= curves.POINTS + 2
  assert min(drawn(window)) > 0.003
  assert window.trouble == []


def test_the_recipe_can_be_searched(window, pages):
  window.open(pages[0])
  rows = (
    "[...document.querySelectorAll('#recipe tbody tr')].map("
    "r => r.firstChild.textContent)"
  )
  before = window.value(rows)
  assert "data.batch" in before and "optim.lr" not in before
  window.value("""(() => {
    document.querySelector("#recipe input[type=checkbox]").click();
    const search = document.querySelector("#recipe input[type=search]");
    search.value = "optim.l";
    search.dispatchEvent(new Event("input"));
  })()""")
  assert window.value(rows) == [
    "optim.layer_decay",
    "optim.lr",
    "optim.lr_batch",
    "optim.lr_mults",
  ]


NAMES = ("constructor", "__proto__", "toString", "hasOwnProperty", "valueOf")


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
  """Two runs whose folders and metrics are named to do harm; their page."""
  root = tmp_path_factory.mktemp("strange")
  folders = [root / "javascript:document.title='ran'", root / "a #1?x"]
  for folder in folders:
    workdirs.make(folder)
    path = folder / "metrics.jsonl"
    whole = path.read_text().rpartition("\n")[0] + "\n"
    more = [
      {"step": step, **dict.fromkeys(NAMES, step / 7)}
      for step in (50, 100, 200)
    ]
    more += [
      {"step": 200, "eval": name, "protocol": {name: name}}
      | {f"{name}/{key}": 1.5 for key in (*NAMES, f"pixels_{name}")}
      for name in NAMES
    ]
    path.write_text(whole + "".join(json.dumps(x) + "\n" for x in more))
  return folders, page.write(folders, root / "both.html")


def test_names_of_strangers_are_names(window, strange):
  folders, path = strange
  window.open(path)
  assert window.trouble == []
  links = window.value(
    "[...document.querySelectorAll('#checkpoints a')].map(a => a.href)"
  )
  assert links == [(f / "checkpoints" / "200").as_uri() for f in folders]
  text = window.value("document.body.innerText")
  for name in NAMES:
    assert f"{name}\n" in text, name
  shown = window.value(
    "[...document.querySelectorAll('#results h3')].map(h => h.textContent)"
  )
  assert {*NAMES} <= {*shown}
  assert window.value("document.title") != "ran"
