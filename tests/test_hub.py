"""`jmim.load` of runs of toy methods; test_weights.py has exports."""

import io
import json
import warnings

import evalkit
import jax
import numpy as np
import PIL.Image
import pytest
import tokenkit

import jmim
from jmim.core import errors
from jmim.core import method as methods
from jmim.core.settings import data as settings
from jmim.data import augment
from jmim.data import decode
from jmim.data import pipeline
from jmim.data import sources

DATA = {"size": 4, "channels": 3, "mean": (0.4,) * 3, "std": (0.2,) * 3}


@pytest.fixture
def params():
  return evalkit.Everything().init(jax.random.key(0), None)[0]


@pytest.fixture
def run(tmp_path, params):
  return evalkit.workdir(tmp_path / "run", "evalkit", params, **DATA)


def images(n=5, side=4):
  return evalkit.images(evalkit.source(n, 0, size=side))


def test_outputs_are_those_of_the_method(run, params):
  model = jmim.load(run)
  x = (images() / np.float32(255) - 0.4) / np.float32(0.2)
  want = model.method.layers(methods.Weights(params), {"image": x}, None)
  got = model("layers", images())
  assert set(got) == {"first", "wide"} and isinstance(got["wide"], np.ndarray)
  np.testing.assert_allclose(got["wide"], want["wide"], rtol=1e-4, atol=1e-5)
  np.testing.assert_array_equal(model("layers/wide", images()), got["wide"])
  with pytest.raises(errors.UserError, match="output 'nothing'"):
    model("nothing", images())


@pytest.mark.parametrize("crop", ["none", "center"])
def test_of_images_the_part_is_read_that_the_run_reads(tmp_path, params, crop):
  box = (3, 5, 4, 4) if crop == "none" else (3, 5, 9, 12)
  data = DATA | {"box": box, "eval_crop": crop}
  model = jmim.load(
    evalkit.workdir(tmp_path / "run", "evalkit", params, **data)
  )
  source = evalkit.source(3, 0, size=20)
  spec = pipeline.Spec(batch=3, **data)
  (batch,) = pipeline.evaluation_batches(source, spec)
  want = augment.normalise(spec, batch["image"])
  found = model.preprocess([source[i]["image"] for i in range(3)])
  np.testing.assert_array_equal(found, want)
  with pytest.raises(errors.UserError, match="image 1 is 6 x 20 pixels") as e:
    model.preprocess([source[0]["image"], source[1]["image"][:6]])
  assert e.value.key == "data.box"


def test_few_programs_serve_all_numbers_of_images(run):
  model = jmim.load(run)
  whole = model("layers/wide", images(7))
  for size in (2, 3):
    np.testing.assert_allclose(
      model("layers/wide", images(7), batch_size=size), whole, rtol=1e-5
    )
  for n in range(1, 8):
    model("layers/wide", images(n))
  assert model._compiled["layers/wide"]._cache_size() <= 5  # 1, 2, 3, 4, 8
  with pytest.raises(errors.UserError, match="batch_size=0"):
    model("layers", images(), batch_size=0)


def test_batches_draw_other_numbers(run, monkeypatch):
  model, keys = jmim.load(run), []

  def seen(weights, batch, key):
    keys.append(jax.random.key_data(key).tolist())
    return batch["image"]

  monkeypatch.setitem(model._compiled, "layers/wide", seen)
  for _ in range(2):
    model("layers/wide", images(7), batch_size=4, seed=3)
  assert keys[:2] == keys[2:] and keys[0] != keys[1]


def test_classes_go_by_the_names_of_the_run(run):
  assert jmim.load(run).classes == ()
  (run / "data.json").write_text('{"classes": ["ant", "bee", "cat"]}')
  model = jmim.load(run)
  assert model.classes == ("ant", "bee", "cat")
  logits = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]], np.float32)
  model.__class__ = type(
    "Known",
    (type(model),),
    {"__call__": lambda self, name, images, **how: logits},
  )
  first, second = model.classify(images(2), top=2)
  assert [name for name, _ in first] == ["bee", "cat"]
  assert first[0][1] == pytest.approx(np.exp(2) / np.exp([0, 1, 2]).sum())
  assert second[0][0] == "ant" and len(second) == 2


def test_sample_i_depends_on_the_seed_and_i_only(run):
  model = jmim.load(run)
  many = model.sample(7, seed=1)
  assert many.dtype == np.uint8 and many.shape == (7, 4, 4, 3)
  np.testing.assert_array_equal(many[:3], model.sample(3, seed=1))
  assert (many[:3] != model.sample(3, seed=2)).any()
  # The classes in turn are ever brighter; one of them is that one.
  brightness = many.mean((1, 2, 3))
  assert brightness[0] < brightness[1] < brightness[2] > brightness[3]
  same = model.sample(6, label=2, seed=1)
  np.testing.assert_array_equal(same[[2, 5]], many[[2, 5]])
  assert same.mean((1, 2, 3)).min() > brightness[1]


def test_tokens_are_sampled_as_integers(tmp_path):
  params = {"main": {"logits": np.zeros(6, np.float32)}}
  evalkit.workdir(tmp_path, "tokenkit", params)
  tokens = jmim.load(tmp_path).sample(4)
  assert tokens.dtype == np.int32 and tokens.shape == (4, 5)
  assert 0 <= tokens.min() and tokens.max() < 6
  assert isinstance(jmim.load(tmp_path).method, tokenkit.Independent)


def test_the_weights_of_the_mean(tmp_path, params):
  ema = jax.tree.map(lambda x: 2 * x, params)
  path = evalkit.workdir(tmp_path, "evalkit", params, ema=ema, **DATA)
  raw, mean = (jmim.load(path, w)("cls", images()) for w in ("raw", "ema"))
  assert not np.allclose(raw, mean)


def test_another_config_of_the_same_weights(run):
  model = jmim.load(run)
  other = model.override("method.gain=3.0")
  assert other.config["method"]["gain"] == 3.0
  np.testing.assert_allclose(
    other("cls", images()), 3 * model("cls", images()), rtol=1e-5
  )
  with pytest.raises(errors.UserError, match="gian"):
    model.override("method.gian=3.0")


@pytest.mark.parametrize("crop, side", [("center", 9), ("none", 4)])
def test_images_are_seen_as_the_evaluation_sees_them(
  tmp_path, params, crop, side
):
  data = DATA | {"eval_crop": crop, "eval_resize": 5 * (crop == "center")}
  path = evalkit.workdir(tmp_path, "evalkit", params, **data)
  given = images(3, side)
  spec = pipeline.Spec(
    batch=3,
    size=4,
    eval_crop=crop,
    eval_resize=data["eval_resize"],
    threads=0,
  )
  source = sources.ArraySource({"image": given, "label": np.arange(3)})
  (batch,) = pipeline.evaluation_batches(source, spec)
  order = np.argsort(batch["index"])
  want = augment.normalise(
    settings.Data(mean=DATA["mean"], std=DATA["std"]), batch["image"][order]
  )
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    got = jmim.load(path).preprocess(given)
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_it_says_when_it_resizes(run):
  model = jmim.load(run)
  file = io.BytesIO()
  PIL.Image.new("RGB", (7, 6), (102, 102, 102)).save(file, "png")
  with pytest.warns(UserWarning, match="6 x 7 pixels is resized to 4 x 4"):
    got = model.preprocess([file.getvalue()])
  np.testing.assert_allclose(got, np.zeros((1, 4, 4, 3)), atol=1e-6)


def test_a_run_on_rectangles_sees_rectangles(tmp_path, params):
  data = DATA | {"height": 6}
  model = jmim.load(
    evalkit.workdir(tmp_path / "run", "evalkit", params, **data)
  )
  image = np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8)
  seen = model.preprocess([image])
  want = (image / np.float32(255) - 0.4) / np.float32(0.2)
  np.testing.assert_allclose(seen, want[None], rtol=1e-5, atol=1e-6)
  with pytest.warns(UserWarning, match="resized to 6 x 4"):
    assert model.preprocess([image[:4]]).shape == (1, 6, 4, 3)


def test_one_image_alone_is_a_batch_of_one(run):
  model, x = jmim.load(run), images(1)[0]
  want = model("cls", [x])
  assert want.shape[0] == 1
  for alone in (x, jax.numpy.asarray(x), PIL.Image.fromarray(x), x[None]):
    np.testing.assert_array_equal(model("cls", alone), want)


def test_samples_that_are_not_finite_are_refused(tmp_path, params):
  bad = jax.tree.map(lambda x: x.at[0].set(np.nan), params)
  path = evalkit.workdir(tmp_path, "evalkit", bad, **DATA)
  with pytest.raises(errors.UserError, match="3 of 3 samples: NaN"):
    jmim.load(path).sample(3)


def test_tokens_drawn_by_nan_are_refused(tmp_path):
  params = {"main": {"logits": np.full(6, np.nan, np.float32)}}
  evalkit.workdir(tmp_path, "tokenkit", params)
  with pytest.raises(errors.UserError, match="2 of 2 samples"):
    jmim.load(tmp_path).sample(2)


@pytest.mark.parametrize("label", [-1, evalkit.CLASSES, 1.5, True, "1"])
def test_labels_out_of_range_are_refused(run, label):
  with pytest.raises(errors.UserError, match="0 to 2"):
    jmim.load(run).sample(2, label=label)


@pytest.mark.parametrize("label", [[3], [-1], [0.5]])
def test_entries_out_of_range_are_refused(run, label):
  with pytest.raises(errors.UserError, match="integers from 0 to 2"):
    jmim.load(run)("cls", images(1), label=label)


def test_nothing_is_sampled_of_nothing(run):
  for num in (0, -1, 2.0):
    with pytest.raises(errors.UserError, match="num="):
      jmim.load(run).sample(num)


def test_what_is_not_there_is_named(run, monkeypatch):
  with pytest.raises(errors.UserError, match="no such file or folder"):
    jmim.load(run / "nothing")  # not the run around it
  with pytest.raises(errors.UserError, match="raw or ema"):
    jmim.load(run, weights="EMA")
  monkeypatch.setenv("HOME", str(run.parent))
  assert jmim.load("~/run").offers


def test_pictures_that_are_too_large_are_refused_by_the_key(run):
  file = io.BytesIO()
  PIL.Image.new("RGB", (4, 4)).save(file, "png")
  model = jmim.load(run)
  assert model.preprocess([file.getvalue()]).shape == (1, 4, 4, 3)
  with pytest.raises(decode.BadImage, match="limit of 15"):
    model.override("data.max_pixels=15").preprocess([file.getvalue()])


def test_an_evaluator_of_a_strangers_run_is_not_looked_up(tmp_path, params):
  path = evalkit.workdir(tmp_path / "run", "evalkit", params, **DATA)
  config = json.loads((path / "config.json").read_text())
  config["evals"] = {"theirs": {"type": "a_stranger.of_evals"}}
  (path / "config.json").write_text(json.dumps(config))
  model = jmim.load(path)
  assert model.override("method.gain=3.0").config["method"]["gain"] == 3.0
  with pytest.raises(errors.UserError, match="a file says so"):
    model.override("evals.theirs.limit=3")
