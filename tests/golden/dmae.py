"""DMAE (UCSC-VLAA/DMAE): one distillation step."""

import golden_kit
import jax
import jax.numpy as jnp

from jmim.convert.tables import dmae as convert
from jmim.core import method as methods
from jmim.methods.distill import dmae

SKIPPED = {}


def method(config):
  assert config["layernorm_eps"] == 1e-6  # a constant of the networks
  student, patch = config["student"], {"patch_size": config["patch_size"]}
  return dmae.DMAE(
    size=config["img_size"],
    dims=golden_kit.dims(student | patch),
    decoder_dims=golden_kit.blocks(student),
    mask_ratio=config["mask_ratio"],
    norm_pix=config["norm_pix_loss"],
    teacher_dims=golden_kit.dims(config["teacher"] | patch),
    student_blocks=tuple(config["student_aligned_blocks_0based"]),
    teacher_blocks=tuple(config["teacher_aligned_blocks_0based"]),
    distance=config["distance"],
    projection=config["projection"] or "none",
  )


def run(case):
  m = method(case.config)
  m.inputs()  # checks that the case fits together
  names = convert.student(m)
  batch = {"image": golden_kit.images(case.inputs["imgs"])}
  student = golden_kit.below(case.params, "student/")
  params = golden_kit.import_main(m, names, student, batch)
  like = jax.eval_shape(m.consts()["teacher"].init, jax.random.key(0))
  teacher = golden_kit.below(case.params, "teacher/")
  teacher = golden_kit.import_tree(convert.teacher(m), teacher, like)
  draws = {"noise": jnp.asarray(case.inputs["noise"])}
  weights = methods.Weights(params, {}, {"teacher": teacher})
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  out = jax.jit(m.losses)(weights, batch, draws)
  outputs = {
    "ids_keep": out["mask"].keep,
    "ids_restore": out["mask"].restore,
    "mask": out["mask"].mask,
    "pred": out["pred"],
    "loss_recon": out["recon"],
    "loss_total": loss,
    **golden_kit.named_grads(case, names, grads),
  }
  for i, (of_student, of_teacher) in enumerate(out["pairs"]):
    outputs[f"student_feat{i}"] = of_student
    outputs[f"teacher_feat{i}"] = of_teacher
    outputs[f"loss_distill{i}"] = out["distill"][i]
  return outputs
