"""MaskAlign (OpenDriveLab/maskalign) with a CLIP teacher."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import pieces
from jmim.convert.tables import maskalign as convert
from jmim.core import method as methods
from jmim.methods.distill import maskalign
from jmim.methods.parts import alignment
from jmim.nn import sizes

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
  # Constants of the networks.
  assert s["layernorm_eps"] == 1e-6 and t["layernorm_eps"] == 1e-5
  assert "quick_gelu" in t["act"]
  variant = f"Ti/{config['patch_size']}"
  return maskalign.MaskAlign(
    size=config["img_size"],
    dims=sizes.Dims(
      variant=variant,
      width=s["embed_dim"],
      depth=s["depth"],
      heads=s["heads"],
      mlp_ratio=float(s.get("mlp_ratio", 4)),
    ),
    drop_path=0.0,
    teacher_kind="clip",
    teacher_dims=sizes.Dims(
      variant=variant,
      width=t["hidden"],
      depth=t["depth"],
      heads=t["heads"],
      mlp_ratio=t["mlp"] / t["hidden"],
    ),
    mask_ratio=config["mask_ratio"],
    visible=config["mask_type"],
    alignment=alignment.Alignment(
      fusion=config["fusion_type"],
      head=HEADS[config["head_type"]],
      layers=config["loss_weights"],
      target=config["target_norm"] or "none",
      distance=config["loss_type"],
    ),
  )


def run(case):
  m = method(case.config)
  m.inputs()  # checks that the case fits together
  clip = {k: v for k, v in case.params.items() if k.startswith("clip_model.")}
  student = {k: v for k, v in case.params.items() if k not in clip}
  names = convert.student(m)
  batch = {"image": golden_kit.images(case.inputs["imgs"])}
  params = golden_kit.import_main(m, names, student, batch)
  like = jax.eval_shape(m.guide.init, jax.random.key(0))
  teacher = golden_kit.import_tree(pieces.clip(m.guide.patch), clip, like)
  (noise,) = (v for k, v in case.inputs.items() if k.endswith("noise"))
  draws = {"noise": jnp.asarray(noise)}
  weights = methods.Weights(params, {}, {"teacher": teacher})
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  rows = np.arange(m.guide.size.depth)
  out = jax.jit(lambda w: m.forward(w, batch, draws, rows))(weights)
  outputs = {
    "ids_keep": out["mask"].keep,
    "loss": loss,
    "importance": out["importance"],
    "teacher_hidden0": out["embedded"],
    **golden_kit.named_grads(case, names, grads),
  }
  for i, (x, y, t) in enumerate(
    zip(out["x"], out["y"], out["block"], strict=True)
  ):
    outputs[f"student{i}"] = x
    outputs[f"teacher{i}"] = y
    outputs[f"teacher_hidden{i + 1}"] = t
  return {k: v for k, v in outputs.items() if k in case.outputs}
