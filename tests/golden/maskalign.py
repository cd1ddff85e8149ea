"""MaskAlign (OpenDriveLab/maskalign) with a CLIP teacher."""

import einops
import jax
import jax.numpy as jnp

from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import maskalign as convert
from jmim.methods.distill import maskalign

SKIPPED = {}
# The authors' names of the heads.
HEADS = {
  "linear": "linear",
  "norm_linear": "ln-linear",
  "mlp": "mlp",
  "mlp2": "mlp-ln",
}


def method(config):
  s, t = config["student"], config["teacher"]
  assert s["layernorm_eps"] == 1e-6 and t["layernorm_eps"] == 1e-5
  assert t["mlp"] == 4 * t["hidden"] and "quick_gelu" in t["act"]
  return maskalign.MaskAlign(
    variant=f"Ti/{config['patch_size']}",
    size=config["img_size"],
    width=s["embed_dim"],
    depth=s["depth"],
    heads=s["heads"],
    drop_path=0.0,
    teacher_kind="clip",
    teacher_variant=f"Ti/{config['patch_size']}",
    teacher_width=t["hidden"],
    teacher_depth=t["depth"],
    teacher_heads=t["heads"],
    mask_ratio=config["mask_ratio"],
    visible=config["mask_type"],
    fusion=config["fusion_type"],
    head=HEADS[config["head_type"]],
    layers=config["loss_weights"],
    target=config["target_norm"],
    distance=config["loss_type"],
  )


def run(case):
  m = method(case.config)
  m.inputs()
  clip = {k: v for k, v in case.params.items() if k.startswith("clip_model.")}
  own = {k: v for k, v in case.params.items() if k not in clip}
  names = convert.student(m)
  params = {"main": table.import_tree(names, own)}
  consts = {"teacher": table.import_tree(pieces.clip(m.guide.patch), clip)}
  image = einops.rearrange(case.inputs["imgs"], "b c h w -> b h w c")
  batch = {"image": jnp.asarray(image)}
  (noise,) = (v for k, v in case.inputs.items() if k.endswith("noise"))
  draws = {"noise": jnp.asarray(noise)}

  def loss_of(params):
    return m.loss("main", params, {}, consts, batch, draws, 0)[0]

  loss, grads = jax.jit(jax.value_and_grad(loss_of))(params)
  out = jax.jit(lambda p: m.forward(p, consts, batch, draws))(params)
  theirs = table.export_tree(names, grads["main"], constants=False)
  found = {
    "ids_keep": out["mask"].keep,
    "loss": loss,
    "importance": out["importance"],
    "teacher_hidden0": out["embedded"],
  }
  for i, (x, y, t) in enumerate(
    zip(out["x"], out["y"], out["block"], strict=True)
  ):
    found[f"student{i}"] = x
    found[f"teacher{i}"] = y
    found[f"teacher_hidden{i + 1}"] = t
  for name in case.outputs:
    if name.startswith("grad/"):
      found[name] = theirs[name.removeprefix("grad/")]
  return {k: v for k, v in found.items() if k in case.outputs}
