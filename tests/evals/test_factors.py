import evalkit
import numpy as np
import PIL.Image
import pytest

from jmim.core import errors
from jmim.data.builders import faces
from jmim.evals import factors
from jmim.evals.lib import heads

(CONFIG,) = [c for c in faces.Faces.BUILDER_CONFIGS if c.name == "strangers"]
N = 6


def example(i):
  made = faces.Faces.example(CONFIG, "test", i)
  return made | {"image": np.array(PIL.Image.open(made["image"]))}


FEW = [example(i) for i in range(N)]
STACK = {k: np.stack([x[k] for x in FEW]) for k in FEW[0]}
NUMBERS = ("pose", "expression", "light")
ONE_HOT = np.moveaxis(np.eye(5, dtype=np.float32)[STACK["segmentation"]], -1, 1)


def reader(off=0.0):
  """Knows the stored numbers of the pictures it was shown, in their order."""

  def numbers(images):
    return {n: STACK[n][: len(images)] + np.float32(off) for n in NUMBERS}

  def tell(images):
    """Somebody's number is the brightness of the upper left corner."""
    return {"label": (images[:, 0, 0].mean(-1) > 128).astype(int)}

  return heads.Heads(tell, (32, 32, 3), {"told_by": "sha256:0"}, numbers)


def run(monkeypatch, image=None, maps=ONE_HOT, off=0.0, **own):
  context = evalkit.context(size=4)
  context.sources["eval"] = FEW
  image = STACK["image"] if image is None else image
  outs = {
    "edit": {"image": image / np.float32(255)},
    "regions": {"attention": maps},
  }
  context.outputs = lambda name, *args, **kwargs: iter(
    [(outs[name], {"index": np.arange(N), "image": STACK["image"]})]
  )
  context.method = type("M", (), {"predict": lambda self: outs})()
  monkeypatch.setattr(heads, "of_run", lambda *args: reader(off))
  return dict(factors.Evaluator(**{"workdir": "J"} | own).run(context))


def test_the_truth_is_perfect(monkeypatch):
  found = run(monkeypatch)
  for name in NUMBERS:
    assert found[f"error_{name}"] == found[f"own_{name}"] == 0
  for name in ("ground", "hair", "clothes"):
    assert found[f"colour_{name}"] == 0
  assert found["examples"] == N and found["iou"] == 1
  assert found["iou_matched"] == 1
  assert found["sheet"].dtype == np.uint8


def test_errors_are_in_deviations_of_what_is_stored(monkeypatch):
  found = run(monkeypatch, off=0.5)
  for name in NUMBERS:
    want = (0.5 / STACK[name].std(0)).mean()
    assert found[f"error_{name}"] == pytest.approx(want, rel=1e-4)


def test_colours_are_those_of_the_region_alone(monkeypatch):
  hair = STACK["segmentation"] == 1
  image = np.where(hair[..., None], 255 - STACK["image"], STACK["image"])
  found = run(monkeypatch, image)
  assert found["colour_ground"] == found["colour_clothes"] == 0
  gaps = [
    np.abs((255.0 - 2.0 * x[at]).mean(0)).mean() / 255
    for x, at in zip(STACK["image"], hair, strict=True)
  ]
  assert found["colour_hair"] == pytest.approx(np.mean(gaps), rel=1e-5)
  seen = reader().tell
  agree = seen(image)["label"] == seen(STACK["source"])["label"]
  assert found["identity"] == pytest.approx(100 * agree.mean())


def test_maps_are_compared_region_by_region(monkeypatch):
  turned = run(monkeypatch, maps=np.roll(ONE_HOT, 1, axis=1))
  assert turned["iou"] == 0 and turned["iou_matched"] == 1
  halves = ONE_HOT.reshape(N, 5, 16, 2, 16, 2).mean((3, 5))
  assert run(monkeypatch, maps=halves)["iou"] == 1
  table = np.array([[1, 1], [0, 1], [0, 0]])
  np.testing.assert_allclose(
    factors.ious(table), [[1 / 2, 1 / 3], [0, 1 / 2], [0, 0]]
  )


def test_without_a_run_colours_and_maps_are_left(monkeypatch):
  found = run(monkeypatch, workdir="")
  assert set(found) == {
    "colour_ground",
    "colour_hair",
    "colour_clothes",
    "examples",
    "iou",
    "iou_matched",
    "sheet",
  }
  assert "iou" not in run(monkeypatch, workdir="", attention="")


@pytest.mark.parametrize(
  "own, key",
  [
    (dict(predict="regions"), "evals.<name>.predict"),
    (dict(image=STACK["image"][:, :16]), "evals.<name>.target"),
  ],
)
def test_what_does_not_fit_names_its_key(monkeypatch, own, key):
  with pytest.raises(errors.UserError) as e:
    run(monkeypatch, **own)
  assert e.value.key == key


def test_regions_without_a_name_are_refused_before_anything_runs():
  with pytest.raises(errors.UserError) as e:
    factors.Evaluator(kept=("hat",)).check("evals.x", {}, None)
  assert e.value.key == "evals.x.kept"
