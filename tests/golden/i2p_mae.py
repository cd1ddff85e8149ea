"""I2P-MAE (ZrrSkywalker/I2P-MAE): depth images to losses and gradients."""

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import i2p_mae as convert
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.methods.parts import depth_guidance
from jmim.methods.parts import depth_views
from jmim.methods.parts import masked_points
from jmim.methods.parts import teacher as teachers
from jmim.methods.point import i2p_mae
from jmim.nn import points as clouds
from jmim.nn import project
from jmim.nn import sizes
from jmim.nn.decoders import points as decoders
from jmim.nn.nets import point_encoder

SKIPPED = {}


def method(config):
  # Constants of the network, not options of it.
  assert config["layernorm_eps"] == config["batchnorm_eps"] == 1e-5
  assert config["batchnorm_momentum"] == 0.1
  widths = config["encoder_dims"]
  depths = tuple(config["decoder_depths"])
  assert config["decoder_dims"] == widths[::-1][: len(depths)]
  # The teacher is not run, its maps are inputs: only the width counts.
  teacher = teachers.Teacher(
    family="dino",
    dims=sizes.Dims(variant=f"Ti/{config['image_size']}", width=4, heads=1),
    norm=True,
    project=config["feat_dim_2d"],
  )
  m = i2p_mae.I2PMAE(
    points=config["num_points"],
    network=masked_points.MaskedPoints(
      encoder=point_encoder.Dims(
        groups=tuple(config["num_groups"]),
        members=tuple(config["group_sizes"]),
        widths=tuple(widths),
        depths=tuple(config["encoder_depths"]),
        heads=config["num_heads"],
      ),
      decoder=decoders.Dims(
        depths=depths,
        units=tuple(config["decoder_up_blocks"])[: len(depths) - 1],
        heads=config["num_heads"],
      ),
    ),
    guide=depth_guidance.Guidance(
      views=depth_views.DepthViews(size=config["image_size"]),
      teacher=teacher,
      mask_ratio=config["mask_ratio"],
    ),
    leak=True,
  )
  m.inputs()  # checks that the case fits together
  return m


def divided(inputs, count):
  """The groups that the case names."""
  below, levels = jnp.asarray(inputs["points"]), []
  for i in range(count):
    centres = clouds.gather(below, jnp.asarray(inputs[f"fps_idx{i}"]))
    near = jnp.asarray(inputs[f"knn_idx{i}"])
    levels.append(clouds.Level(below, centres, near))
    below = centres
  return levels


def imported(case, m, rules):
  """The weights of the case."""
  given = {
    k: v
    for k, v in case.params.items()
    if not k.endswith("num_batches_tracked")
  }
  batch = {"points": jnp.asarray(case.inputs["points"])}
  params, extra = jax.eval_shape(m.init, jax.random.key(0), batch)
  like = {"params": params, "extra": extra}
  found = golden_kit.import_tree(rules, given, like)
  asked = {n: x.shape for n, x in trees.named(like).items()}
  assert {n: x.shape for n, x in trees.named(found).items()} == asked
  return methods.Weights(found["params"], found["extra"])


def maps(m, inputs):
  """The guide, made of the maps of the case, which are view by view."""
  v = len(project.VIEWS)
  saliency = einops.rearrange(inputs["sal2d"], "(v b) h w -> (b v) (h w)", v=v)
  features = einops.rearrange(
    inputs["feat2d"], "(v b) c h w -> (b v) (h w) c", v=v
  )
  return m.guide.views.guide(jnp.asarray(inputs["points"]), saliency, features)


def run(case):
  m, i = method(case.config), case.inputs
  rules, count = convert.full(m), len(case.config["num_groups"])
  weights, levels = imported(case, m, rules), divided(i, count)
  guide = maps(m, i)
  draws = {"noise": jnp.asarray(i["mask_noise"])}

  def total(params, train):
    moved = methods.Weights(params, weights.extra)
    out = m.losses(moved, levels, guide, draws, train=train)
    return out["loss_3d"] + out["loss_2d"], out

  gradient = jax.jit(jax.value_and_grad(total, has_aux=True), static_argnums=1)
  (_, out), grads = gradient(weights.params, True)
  evaluated = jax.jit(total, static_argnums=1)(weights.params, False)[1]
  main, found = weights.params["main"], weights.extra["statistics"]
  tokens, _ = m.network.encode(main, found, levels)
  theirs = table.export_tree(
    [r for r in rules if not str(r.ours).startswith("extra/")],
    {"params": grads},
    constants=False,
  )
  visible = [np.asarray(x) for x in out["visible"]]
  encoded = [np.asarray(x) for x in out["encoded"]]
  top = encoded[-1][visible[-1]].reshape(
    len(visible[-1]), -1, tokens[-1].shape[-1]
  )
  images = jax.jit(m.guide.views.images)(jnp.asarray(i["points"]))[..., 0]
  first = "h_encoder.token_embed.0.first_conv.0.weight"
  outputs = {
    "loss_3d": out["loss_3d"],
    "loss_2d": out["loss_2d"],
    "eval_loss_3d": evaluated["loss_3d"],
    "eval_loss_2d": evaluated["loss_2d"],
    "eval_feature": tokens[-1].max(1),
    "saliency_points": out["saliency"],
    "x_top": top,
    "depth_image": einops.rearrange(images, "b v h w -> (v b) h w"),
    "grad_mask_token": theirs["mask_token"],
    "grad_first_conv": theirs[first],
  }
  for n, (seen, x) in enumerate(zip(visible, encoded, strict=True)):
    outputs |= {f"mask{n}": ~seen, f"x_level{n}_visible": x[seen]}
  return golden_kit.asked(case, outputs)
