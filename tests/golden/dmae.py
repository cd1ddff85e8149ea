"""DMAE (UCSC-VLAA/DMAE): one distillation step."""

import einops
import jax
import jax.numpy as jnp

from jmim.convert import table
from jmim.convert.tables import dmae as convert
from jmim.methods.distill import dmae

SKIPPED = {}


def method(config):
  s, t = config["student"], config["teacher"]
  assert config["layernorm_eps"] == 1e-6
  return dmae.DMAE(
    variant=f"Ti/{config['patch_size']}",
    size=config["img_size"],
    width=s["embed_dim"],
    depth=s["depth"],
    heads=s["num_heads"],
    mlp_ratio=4.0,
    decoder_width=s["decoder_embed_dim"],
    decoder_depth=s["decoder_depth"],
    decoder_heads=s["decoder_num_heads"],
    mask_ratio=config["mask_ratio"],
    norm_pix=config["norm_pix_loss"],
    teacher_variant=f"Ti/{config['patch_size']}",
    teacher_width=t["embed_dim"],
    teacher_depth=t["depth"],
    teacher_heads=t["num_heads"],
    student_blocks=tuple(config["student_aligned_blocks_0based"]),
    teacher_blocks=tuple(config["teacher_aligned_blocks_0based"]),
    distance=config["distance"],
    projection=config["projection"] or "none",
  )


def run(case):
  m = method(case.config)
  m.inputs()  # checks that the case fits together
  part = lambda p: {
    k.removeprefix(p): v for k, v in case.params.items() if k.startswith(p)
  }
  names = convert.student(m)
  params = {"main": table.import_tree(names, part("student/"))}
  teacher = table.import_tree(convert.teacher(m), part("teacher/"))
  consts = {"teacher": teacher}
  image = einops.rearrange(case.inputs["imgs"], "b c h w -> b h w c")
  batch = {"image": jnp.asarray(image)}
  draws = {"noise": jnp.asarray(case.inputs["noise"])}

  def loss_of(params):
    return m.loss("main", params, {}, consts, batch, draws, 0)[0]

  loss, grads = jax.jit(jax.value_and_grad(loss_of))(params)
  out = jax.jit(lambda p: m.losses(p, consts, batch, draws))(params)
  theirs = table.export_tree(names, grads["main"], constants=False)
  found = {
    "ids_keep": out["mask"].keep,
    "ids_restore": out["mask"].restore,
    "mask": out["mask"].mask,
    "pred": out["pred"],
    "loss_recon": out["recon"],
    "loss_total": loss,
  }
  for i, (student, teacher) in enumerate(out["pairs"]):
    found[f"student_feat{i}"] = student
    found[f"teacher_feat{i}"] = teacher
    found[f"loss_distill{i}"] = out["distill"][i]
  for name in case.outputs:
    if name.startswith("grad/"):
      found[name] = theirs[name.removeprefix("grad/")]
  return found
