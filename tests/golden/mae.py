"""MAE (facebookresearch/mae): pre-training, k-NN, and shared pieces."""

import dataclasses
import re

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import mae as convert
from jmim.core import method as methods
from jmim.core.settings import optim as optim_settings
from jmim.evals import knn
from jmim.evals import linear
from jmim.methods.mim import mae
from jmim.methods.parts import mixing as mixings
from jmim.methods.supervised import finetune as supervised
from jmim.metrics import accuracy
from jmim.nn import mix
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.nets import vit
from jmim.training import optim
from jmim.training import schedule

SKIPPED = {}
images = golden_kit.images


def run(case):
  if "layer_decay" in case.config:
    return finetune(case)
  if "in_chans" in case.config or "decoder_depth" in case.config:
    return pretraining(case)
  if "train_features" in case.inputs:
    return nearest_neighbours(case)
  return linear_probe(case)


def described(case, name, *words):
  """Numbers that only the JSON's description of an output gives."""
  text = case.info["out"][f"out/{name}"]["meaning"]
  return [float(re.search(rf"{w} ([\d.]*\d)", text)[1]) for w in words]


def method(config):
  # Constants of the network, not options of it.
  assert config["layernorm_eps"] == 1e-6 and config["qkv_bias"]
  return mae.MAE(
    size=config["img_size"],
    channels=config["in_chans"],
    dims=golden_kit.dims(config),
    decoder_dims=golden_kit.blocks(config),
    mask_ratio=config["mask_ratio"],
    norm_pix=config["norm_pix_loss"],
  )


def pretraining(case):
  m = method(case.config)
  m.inputs()  # checks that the case fits together
  names = convert.full(m)
  batch = {"image": images(case.inputs["imgs"])}
  params = golden_kit.import_main(m, names, case.params, batch)
  draws = {"noise": jnp.asarray(case.inputs["noise"])}
  weights = methods.Weights(params)
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  out = jax.jit(m.forward)(params, batch, draws)
  return {
    "ids_keep": out["mask"].keep,
    "ids_restore": out["mask"].restore,
    "mask": out["mask"].mask,
    "tokens": out["tokens"],
    "latent": out["latent"],
    "pred": out["pred"],
    "target": m.target(batch["image"]),
    "loss": loss,
    "grad_norm": optax.global_norm(grads),
    **golden_kit.named_grads(case, names, grads),
  }


def nearest_neighbours(case):
  c, i = case.config, case.inputs
  votes = knn.votes(
    i["train_features"],
    i["train_labels"],
    test=i["test_features"],
    k=c["k"],
    temperature=c["T"],
    classes=c["num_classes"],
  )
  return {
    "votes": votes,
    "pred": votes.argmax(1).astype(np.int32),
    "top1": accuracy.topk(votes, i["test_labels"], 1),
    "top5": accuracy.topk(votes, i["test_labels"], 5),
  }


def learned_vit(config, **more):
  size = sizes.Size(
    width=config["embed_dim"],
    depth=config["depth"],
    heads=config["num_heads"],
    mlp_ratio=float(config.get("mlp_ratio", 4)),
  )
  patch = config["patch_size"]
  grid = (config["img_size"] // patch,) * 2
  return vit.ViT(size=size, patch=patch, grid=grid, positions="learned", **more)


def split_head(params, prefixes):
  head = {k: v for k, v in params.items() if k.startswith(prefixes)}
  return {k: v for k, v in params.items() if k not in head}, head


def linear_probe(case):
  """Two LARS steps on BatchNorm + linear over the frozen cls token."""
  config = case.config
  model = learned_vit(config)
  body, head = split_head(case.params, ("head.",))
  params = table.import_tree(pieces.encoder(model), body)
  pool = {"cls": lambda z: z[:, 0], "mean": lambda z: z[:, 1:].mean(1)}
  features = jax.jit(
    lambda x, p=params: pool[config["pool"]](
      model.apply({"params": p}, x)["latent"]
    )
  )
  params = {
    "main": {
      "cls": {
        "layers": {
          "kernel": jnp.asarray(head["head.1.weight"].T)[None],
          "bias": jnp.asarray(head["head.1.bias"])[None],
        }
      }
    }
  }
  extra = {
    "cls": {
      "mean": head["head.0.running_mean"],
      "var": head["head.0.running_var"],
    }
  }
  lars = config["lars"]
  evaluator = linear.Evaluator(
    lrs=(1.0,),
    momentum=lars["momentum"],
    trust=lars["trust_coefficient"],
    weight_decay=lars["weight_decay"],
  )
  optimizer = dataclasses.replace(
    evaluator.optimizer(params, 256, 1), schedule=lambda step: lars["lr"]
  )
  state, out, step = optimizer.init(params), {}, 0
  while f"step{step}/imgs" in case.inputs:
    x = features(images(case.inputs[f"step{step}/imgs"]))
    labels = jnp.asarray(case.inputs[f"step{step}/labels"])
    before = linear.logits(params, extra, {"cls": x}, train=True)[0]
    (loss, extra), grads = jax.value_and_grad(linear.loss, has_aux=True)(
      params, extra, {"cls": x}, labels
    )
    params, state = optimizer.update(grads, state, params, step)
    weights = params["main"]["cls"]["layers"]
    found = {
      "features": x,
      "logits": before["cls"][0],
      "loss": loss,
      "grad_w": grads["main"]["cls"]["layers"]["kernel"][0].T,
      "head_weight": weights["kernel"][0].T,
      "head_bias": weights["bias"][0],
      "bn_mean": extra["cls"]["mean"],
      "bn_var": extra["cls"]["var"],
    }
    out |= {f"step{step}/{k}": v for k, v in found.items()}
    step += 1
  x = features(images(case.inputs["eval/imgs"]))
  scores, _ = linear.logits(params, extra, {"cls": x}, train=False)
  out["eval/logits"] = scores["cls"][0]
  peak, warmup, total, low = described(
    case, "lr_schedule", "peak", "warm-up", "total", "min"
  )
  shape = optim_settings.Schedule(warmup_steps=warmup, min_lr=low)
  rate = schedule.make(shape, peak, total)
  out["lr_schedule"] = jax.vmap(rate)(case.inputs["lr_schedule_epochs"])
  return out


def finetune(case):
  """Mixed batch, logits, one AdamW step with layer decay."""
  config, inputs = case.config, case.inputs
  (smoothing,) = described(case, "mixed_targets", "smoothing")
  m = supervised.Finetune(
    size=config["img_size"],
    channels=inputs["imgs"].shape[1],
    classes=config["num_classes"],
    dims=golden_kit.dims(config),
    mixing=mixings.Mixing(smoothing=smoothing),
    drop_path=float(config.get("drop_path", 0)),
  )
  names = convert.classifier(m)
  params = {"main": table.import_tree(names, case.params)}
  batch = {
    "image": images(inputs["imgs"]),
    "label": jnp.asarray(inputs["labels"]),
  }
  # Nothing is dropped in the authors' run.
  draws = {
    "cut": jnp.asarray(config["use_cutmix"]),
    "lam": jnp.asarray(inputs.get("lam", 1.0)),
    "box": jnp.asarray(inputs.get("bbox", np.zeros(4, int)))[None],
  }
  if config["use_cutmix"]:
    lam = mix.kept_share(draws["box"][0], batch["image"].shape[1:3])
    # A share of an image: what counts is the error beside the whole.
    np.testing.assert_allclose(lam, inputs["lam_corrected"], atol=1e-6)
  x, targets = jax.jit(m.mixing.apply, static_argnums=2)(
    batch, draws, m.classes
  )
  logits = jax.jit(m.logits)(params, x)

  def loss_of(params):
    return m.loss(methods.Weights(params), batch, draws, 0)[0]

  loss, grads = jax.jit(jax.value_and_grad(loss_of))(params)
  settings = optim_settings.Optim(
    b2=0.999,
    weight_decay=config["weight_decay"],
    layer_decay=config["layer_decay"],
  )
  constant = schedule.make(
    optim_settings.Schedule(name="constant"), config["base_lr"], 1.0
  )
  optimizer = optim.make(settings, params, m.groups(), constant)
  check_groups(case, names, optimizer, params)
  new, _ = optimizer.update(grads, optimizer.init(params), params, 0)
  updated = table.export_tree(names, new["main"])
  grid = m.encoder.grid
  wanted = case.outputs["pos_embed_interp"].shape[1] - 1
  larger = (round(wanted**0.5),) * 2
  pos = jnp.asarray(case.params["pos_embed"])
  return {
    "mixed_imgs": einops.rearrange(x, "b h w c -> b c h w"),
    "mixed_targets": targets,
    "logits": logits,
    "loss": loss,
    "pos_embed_interp": posemb.resize(pos, grid, larger, prefix=1),
    **{
      name: updated[name.removeprefix("updated/")]
      for name in case.outputs
      if name.startswith("updated/")
    },
  }


def check_groups(case, names, optimizer, params):
  """Decay and rate of every parameter equal the authors' parameter groups."""
  spread = lambda s, p: np.broadcast_to(np.asarray(s), p.shape)
  leaves = optimizer.leaves["main"]
  for field, key, unit in (
    ("lr", "lr_scale", 1.0),
    ("decay", "weight_decay", case.config["weight_decay"]),
  ):
    tree = jax.tree.map(
      lambda s, p, f=field: spread(getattr(s, f), p), leaves, params["main"]
    )
    for name, value in table.export_tree(names, tree).items():
      want = case.info["param_groups"][name][key]
      np.testing.assert_allclose(value * unit, want, rtol=1e-6, err_msg=name)
