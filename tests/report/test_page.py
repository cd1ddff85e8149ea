import json
import re
import urllib.parse

import html5lib
import pytest
import workdirs

from jmim.report import page


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  root = tmp_path_factory.mktemp("page")
  return [
    workdirs.make(root / "a"),
    workdirs.make(root / "b", shift=0.5, notes=False),
  ]


@pytest.fixture(scope="module")
def written(folders):
  path = page.write(folders[:1], folders[0] / "report.html")
  return path.read_text()


def data(text):
  document = html5lib.parse(text, namespaceHTMLElements=False)
  [node] = document.findall(".//script[@id='data']")
  return json.loads(node.text)


def test_it_is_valid_html_of_one_file(written):
  html5lib.HTMLParser(strict=True).parse(written)
  document = html5lib.parse(written, namespaceHTMLElements=False)
  outside = [
    v
    for node in document.iter()
    for k, v in node.attrib.items()
    if k in ("src", "href") and not v.startswith(("data:", "#"))
  ]
  assert outside == []
  program = (
    written[: written.index('id="data"')] + written.rpartition("<script>")[2]
  )
  assert not re.search(r"https?://|@import|fetch\(|XMLHttp", program)


def test_all_data_is_in_it(written):
  [run] = data(written)["runs"]
  assert len(run["series"]["loss"]["x"]) == workdirs.STEPS
  assert len(run["pictures"]["recon/sheet"]) == 3
  assert run["notes"] == workdirs.NOTES
  assert [c["link"] for c in run["checkpoints"]] == ["checkpoints/200"]


def test_values_of_a_run_are_no_markup(written):
  assert workdirs.EVIL not in written and "alert(1)" in written
  document = html5lib.parse(written, namespaceHTMLElements=False)
  assert len(document.findall(".//script")) == 2
  assert workdirs.EVIL in data(written)["title"]
  assert workdirs.EVIL in document.find(".//title").text


def test_links_lead_from_the_page_to_the_folders(folders, tmp_path):
  out = tmp_path / "both.html"
  page.write(folders, out)
  found = data(out.read_text())
  assert [run["name"].split("/")[-1] for run in found["runs"]] == ["a", "b"]
  assert found["title"] == "2 runs"
  for run, folder in zip(found["runs"], folders, strict=True):
    link = out.parent / run["checkpoints"][0]["link"]
    assert link.resolve() == (folder / "checkpoints" / "200").resolve()


@pytest.mark.parametrize(
  "name", ["javascript:alert(1)", "a #1?x=2", "100%", "a&b<i>"]
)
def test_no_name_of_a_folder_changes_what_a_link_is(name):
  found = page.link(name, "checkpoints/7")
  base = "file:///runs/report.html"
  whole = urllib.parse.urlsplit(urllib.parse.urljoin(base, found))
  assert (whole.scheme, whole.netloc) == ("file", "")
  assert not whole.query and not whole.fragment
  path = urllib.parse.unquote(whole.path)
  assert path == f"/runs/{name}/checkpoints/7".replace("///", "/")
  assert page.link(".", "checkpoints/7") == "checkpoints/7"


def test_no_text_ends_the_script_that_holds_the_data():
  text = page.embedded({"a": "</script><!-- & \u2028"})
  assert not set("<>&\u2028") & set(text)
  assert json.loads(text) == {"a": "</script><!-- & \u2028"}
