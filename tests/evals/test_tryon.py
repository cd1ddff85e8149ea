import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.data.builders import dancers
from jmim.data.procedural import dancers as drawing
from jmim.evals import tryon

CONFIG = dancers.Dancers.BUILDER_CONFIGS[0]
FEW = [dancers.Dancers.example(CONFIG, "test", i) for i in range(3)]
STACK = {k: np.stack([x[k] for x in FEW]) for k in FEW[0]}


def run(image, made=None, source=FEW, **own):
  """Results of clips in 0 .. 255."""
  context = evalkit.context(size=12)
  context.sources["eval"] = source
  made = image if made is None else made
  out = {"image": image / np.float32(255), "made": made / np.float32(255)}
  context.outputs = lambda *args, **kwargs: iter(
    [(out, {"index": np.arange(len(image))})]
  )
  return dict(tryon.Evaluator(**own).run(context))


def test_the_truth_is_perfect():
  found = run(STACK["swapped"])
  assert found["psnr_garment"] > 60 and found["psnr_outside"] > 60
  for name in ("colour_error", "error_first", "error_last", "drift"):
    assert found[name] == 0
  assert found["psnr_garment"] == pytest.approx(20 * np.log10(2550))
  assert found["flicker"] == found["flicker_true"] < 0.05
  assert found["examples"] == 3


def test_the_garment_and_the_rest_are_measured_apart():
  where = STACK["masks"][..., None] > 0
  true = STACK["swapped"].astype(np.float32)
  worse = lambda at: np.where(at, np.abs(true - 10), true)
  found = run(worse(where))
  assert found["psnr_outside"] > 60
  gap = (np.abs(true - 10) - true)[np.broadcast_to(where, true.shape)] / 255
  each = [
    -10 * np.log10((((np.abs(t - 10) - t)[m] / 255) ** 2).mean())
    for t, m in zip(true, STACK["masks"] > 0, strict=True)
  ]
  assert found["psnr_garment"] == pytest.approx(np.mean(each), abs=0.01)
  assert found["colour_error"] == pytest.approx(np.abs(gap).mean(), rel=0.1)
  found = run(STACK["swapped"], made=worse(~where))
  assert found["psnr_garment"] > 60
  assert found["psnr_outside"] == pytest.approx(-20 * np.log10(10 / 255), abs=2)


def test_the_motion_is_taken_out():
  """A textured garment that moves is steady; one that stays is not."""
  garment = drawing.Garment(
    kind=drawing.KINDS.index("check"),
    base=(200.0, 40.0, 40.0),
    second=(40.0, 40.0, 200.0),
    phase=(0.1, 0.3),
    period=1.3,
  )
  dancer = drawing.draw(np.random.default_rng(5), 16)
  moving = drawing.render(dancer, garment).round().astype(np.uint8)
  g = tryon.unmoved(moving, dancer.motion())
  still = tryon.unmoved(np.repeat(moving[:1], 16, 0), dancer.motion())
  steady = lambda x: np.abs(np.diff(x, axis=0)).mean()
  assert steady(g) < 0.5 * steady(still)
  at = tryon.INNER * (2 * (np.arange(tryon.GRID) + 0.5) / tryon.GRID - 1)
  want = garment(*np.meshgrid(at, at)) / 255
  assert np.abs(g - want).mean() < 0.1 < np.abs(g - g.mean()).mean()


def test_drift_is_the_last_frames_error_less_the_first():
  image = STACK["swapped"].astype(np.float32)
  image[:, -2:] = 255 - image[:, -2:]
  found = run(image, ends=2)
  assert found["error_first"] == 0
  assert found["drift"] == found["error_last"] > 0.05


def test_frames_of_a_part_of_the_clip_and_no_motion():
  found = run(STACK["swapped"][:, :5], motion="")
  assert found["psnr_garment"] > 60 and "flicker" not in found
  one = run(STACK["swapped"][:, :1])
  assert "drift" not in one and "flicker" not in one


def test_there_is_drift_only_between_ends_that_are_apart():
  image = STACK["swapped"].astype(np.float32)
  image[:, -2:] = 255 - image[:, -2:]
  names = {"error_first", "error_last", "drift"}
  whole = run(image, ends=image.shape[1] // 2)
  assert names <= set(whole) and whole["drift"] > 0.005
  assert not names & set(run(image, ends=image.shape[1] // 2 + 1))


def test_what_does_not_fit_names_its_key():
  with pytest.raises(errors.UserError) as e:
    run(STACK["swapped"][:, :, :16])
  assert e.value.key == "evals.<name>.target"
  context = evalkit.context(size=12)
  with pytest.raises(errors.UserError) as e:
    dict(tryon.Evaluator(predict="layers").run(context))
  assert e.value.key == "evals.<name>.predict"
