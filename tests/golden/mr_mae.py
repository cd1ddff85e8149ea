"""MR-MAE: MCMAE as released (Alpha-VL/ConvMAE), mimic losses beside it."""

import einops
import golden_kit
import jax
import jax.numpy as jnp

from jmim.convert import pieces
from jmim.convert.tables import mcmae as convert
from jmim.core import method as methods
from jmim.masks import tokens as masking
from jmim.methods.distill import mr_mae
from jmim.methods.parts import mcmae_dims
from jmim.methods.parts import mimicry
from jmim.methods.parts import teacher as teachers
from jmim.nn import sizes

SKIPPED = {}
NAMES = ("teacher", "second")  # of our parts


def method(config, channels, widths=()):
  """The method with teachers of these widths.

  Networks of teachers are not run: their features are inputs of the case.
  """
  dims = mcmae_dims.MCMAEDims(
    widths=tuple(config["dims"]),
    depths=tuple(config["depth"]),
    strides=tuple(config["patch_sizes"]),
    heads=config["heads"],
    mlp_ratio=float(config["mlp_ratio"]),
  )
  one = lambda width: teachers.Teacher(
    family="dino", dims=sizes.Dims(variant="Ti/16", width=width, heads=1)
  )
  none = {"teacher": teachers.Teacher(family="none")}
  m = mr_mae.MRMAE(
    size=config["img_size"],
    channels=channels,
    dims=dims,
    decoder_dims=sizes.Blocks(
      width=config["decoder_dim"],
      depth=config["decoder_depth"],
      heads=config["decoder_heads"],
    ),
    mask_ratio=config["mask_ratio"],
    norm_pix=config["norm_pix_loss"],
    mimicry=mimicry.Mimicry(target_norm=config.get("target_norm", "none")),
    **none | dict(zip(NAMES, map(one, widths), strict=False)),
  )
  assert m.grid == (config["grid"],) * 2
  return m


def run(case):
  tokens = "teacher_tokens"
  given = {k: v for k, v in case.inputs.items() if k.startswith(tokens)}
  heads = {k: v for k, v in case.params.items() if k.startswith("mimic_head")}
  body = {k: v for k, v in case.params.items() if k not in heads}
  images = golden_kit.images(case.inputs["imgs"])
  assert len(images) == case.config["batch"]
  m = method(case.config, images.shape[-1])
  m.inputs()  # checks that the case fits together
  names = convert.full(m)
  batch = {"image": images}
  params = golden_kit.import_main(m, names, body, batch)
  draws = {"noise": jnp.asarray(case.inputs["noise"])}
  weights = methods.Weights(params)
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  out = jax.jit(m.losses)(weights, batch, draws)
  channels_first = lambda x: einops.rearrange(x, "b h w c -> b c h w")
  outputs = {
    "ids_keep": out["mask"].keep,
    "ids_restore": out["mask"].restore,
    "mask": out["mask"].mask,
    "stage1": channels_first(out["stage1"]),
    "stage2": channels_first(out["stage2"]),
    "latent": out["latent"],
    "pred": out["pred"],
    "loss_recon": loss,
    **golden_kit.named_grads(case, names, grads),
  }
  numbers = sorted(name.removeprefix(tokens) for name in given)
  # The method holds two teachers; more of them take turns.
  for i in range(0, len(numbers), len(NAMES)):
    few = numbers[i : i + len(NAMES)]
    outputs |= mimicked(case, few, heads, out)
  return golden_kit.asked(case, outputs)


def mimicked(case, numbers, heads, out):
  """The losses of some teachers, by their number."""
  names = dict(zip(numbers, NAMES, strict=False))
  every = {n: case.inputs[f"teacher_tokens{i}"] for i, n in names.items()}
  widths = [t.shape[-1] for t in every.values()]
  m = method(case.config, case.inputs["imgs"].shape[1], widths)
  assert {n: net.width for n, net in m.guides.items()} == {
    n: t.shape[-1] for n, t in every.items()
  }
  rules = [
    rule
    for i, name in names.items()
    for rule in pieces.dense(f"mimic_head{i}", f"heads/{name}/out")
  ]
  mine = {
    k: v
    for k, v in heads.items()
    if k.split(".")[0] in {f"mimic_head{i}" for i in numbers}
  }
  like = m.mimicry.init(
    jax.random.key(0),
    m.dims.size.width,
    {name: net.width for name, net in m.guides.items()},
  )
  params = golden_kit.import_tree(rules, mine, like)
  targets = {
    n: masking.take(jnp.asarray(t), out["mask"].keep) for n, t in every.items()
  }
  f = m.mimicry.features(params, out["latent"])
  found = m.mimicry.distances(params, f, targets)
  return {f"loss_mimic{i}": found[name] for i, name in names.items()}
