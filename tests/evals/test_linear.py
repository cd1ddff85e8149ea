import evalkit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.evals import linear


def probe(**changes):
  given = {
    "predict": ("cls", "layers"),
    "lrs": (32.0, 1.0),
    "epochs": 30.0,
    "warmup_epochs": 1.0,
    "trust": 0.1,
    **changes,
  }
  return linear.Evaluator(**given)


def test_a_grid_gives_each_head_what_it_gets_alone():
  together = dict(probe().run(evalkit.context()))
  head = together.pop("head")
  names = {"top1", "examples"} | {
    f"{name}_lr{lr}"
    for name in ("cls", "layers/first", "layers/wide")
    for lr in (32, 1)
  }
  assert set(together) == names
  alone = dict(probe(predict=("cls",), lrs=(1.0,)).run(evalkit.context()))
  np.testing.assert_allclose(alone["cls_lr1"], together["cls_lr1"], rtol=1e-6)
  assert together["top1"] == max(v for k, v in together.items() if "_lr" in k)
  best = {f"{head.predict}_lr{lr}" for lr in (32, 1)}
  assert together["top1"] in {together[n] for n in best}
  assert together["top1"] > 70 and together["examples"] == 21


def test_eight_devices_equal_one():
  one = dict(probe(batch=16).run(evalkit.context(5, devices=1)))
  eight = dict(probe(batch=16).run(evalkit.context(8)))
  heads = one.pop("head"), eight.pop("head")
  assert one == eight
  assert heads[0].predict == heads[1].predict


def test_the_best_head_has_its_batchnorm_folded_in():
  rng = np.random.default_rng(0)
  params, extra = linear.init(jax.random.key(0), {"f": 5}, rates=2, classes=3)
  extra["f"] = {"mean": rng.normal(size=5), "var": rng.uniform(1, 4, 5)}
  head = params["main"]["f"]["layers"]
  head["kernel"] = rng.normal(size=(2, 5, 3))
  head["bias"] = rng.normal(size=(2, 3))
  x = rng.normal(2.0, 3.0, (8, 5)).astype(np.float32)
  best = linear.Evaluator(weights="ema").best(
    params, extra, {"f": np.array([40.0, 50.0])}
  )
  assert (best.predict, best.weights) == ("f", "ema")
  want, _ = linear.logits(params, extra, {"f": x}, train=False)
  got = x @ best.kernel + best.bias
  np.testing.assert_allclose(got, want["f"][1], rtol=1e-4, atol=1e-4)


def test_logits_and_statistics_by_hand():
  rng = np.random.default_rng(0)
  x = rng.normal(2.0, 3.0, (8, 5)).astype(np.float32)
  params, extra = linear.init(jax.random.key(0), {"f": 5}, rates=2, classes=3)
  head = params["main"]["f"]["layers"]
  assert head["kernel"].shape == (2, 5, 3) and not head["bias"].any()
  np.testing.assert_array_equal(head["kernel"][0], head["kernel"][1])
  head["bias"] = jnp.array([[0.0, 1, 2], [3, 4, 5]])
  scores, new = linear.logits(params, extra, {"f": x}, train=True)
  z = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-6)
  want = np.einsum("bd,rdc->rbc", z, head["kernel"]) + head["bias"][:, None]
  np.testing.assert_allclose(scores["f"], want, rtol=1e-4, atol=1e-5)
  # Evaluation uses what training has recorded.
  scores, same = linear.logits(params, new, {"f": x}, train=False)
  z = (x - new["f"]["mean"]) / np.sqrt(new["f"]["var"] + 1e-6)
  want = np.einsum("bd,rdc->rbc", z, head["kernel"]) + head["bias"][:, None]
  np.testing.assert_allclose(scores["f"], want, rtol=1e-4, atol=1e-5)
  assert jax.tree.all(
    jax.tree.map(lambda a, b: bool((a == b).all()), new, same)
  )


def test_rates_are_per_256_examples_and_warm_up_is_a_share():
  params, _ = linear.init(jax.random.key(0), {"f": 2}, rates=2, classes=3)
  made = probe(lrs=(0.1, 0.2), epochs=10.0, warmup_epochs=1.0)
  optimizer = made.optimizer(params, batch=512, steps=100)
  leaf = optimizer.leaves["main"]["f"]["layers"]["kernel"]
  np.testing.assert_allclose(np.ravel(leaf.lr), [0.2, 0.4], rtol=1e-6)
  # Of 100 steps ten are warm-up.
  np.testing.assert_allclose(optimizer.schedule(10), 1.0)
  np.testing.assert_allclose(optimizer.schedule(5), 0.5, atol=0.1)
