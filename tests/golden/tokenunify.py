"""TokenUnify (ydchen0806/TokenUnify): network, a mixer, input and loss."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import tokenunify as convert
from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.methods.mim import tokenunify
from jmim.nn import ssm

SKIPPED = {}
MIXER = (1, 0)  # stage and layer whose mixer a case runs alone
CHANNELS = 1  # of a volume, and of what is predicted


def method(config):
  """The method of a case; the next token's head is not in it."""
  # Volumes have no axis of channels, and are compared with what is predicted.
  assert config["in_chans"] == config["out_chans"] == CHANNELS
  rank = config.get("dt_rank")
  return field.replace(
    tokenunify.TokenUnify(),
    shape=tuple(config["volume_size"]),
    patch=tuple(config["patch_size"]),
    dims=dict(
      widths=tuple(config["feat_size"]),
      depths=tuple(config["depths"]),
      hidden=config["hidden_size"],
      slices=config["n_slices"],
      states=config["d_state"],
      side=config["d_conv"],
      expand=config["expand"],
      rank=rank if isinstance(rank, int) else 0,  # else the rule, in words
      kernel=config.get("kernel_size", [1, 3, 3])[-1],
    ),
    mixture=dict(name="fixed", weights=(0.0, 0.0, 1.0)),
    scored="everything",
    rollout=dict(start=1),
  )


def weights(m, case, batch):
  """Those of the network from the case, of the head fresh: none reads it."""
  params, _ = m.init(jax.random.key(0), batch)
  found = golden_kit.import_tree(
    convert.full(m), case.params, {"net": params["main"]["net"]}
  )
  return methods.Weights({"main": params["main"] | found})


def mixer(m, params, tokens):
  """The mixer of a layer, without the norm before it."""
  stage, layer = MIXER
  named = trees.named(params["encoder"][f"stage{stage}"]["layers"]["mamba"])
  own = trees.nested({name: leaf[layer] for name, leaf in named.items()})
  dims = m.dims
  net = ssm.Mixer(
    slices=dims.slices,
    states=dims.states,
    side=dims.side,
    expand=dims.expand,
    rank=dims.rank,
  )
  return jax.jit(net.apply)({"params": own}, tokens)


def run(case):
  m = method(case.config)
  m.inputs()  # checks that the case fits together
  batch = {"volume": jnp.asarray(case.inputs["volume"])[None]}
  w = weights(m, case, batch)
  k = jnp.array([case.config["kept_tokens"]])
  draws = {"prefix": k}
  keep = m.hidden.keep(draws, m.raster)["prefix"]
  shown = m.raster.hide(batch["volume"], keep)
  net = w.params["main"]["net"]
  made = jax.jit(m.net.apply)({"params": net}, shown[..., None])
  loss, _ = jax.jit(m.loss)(w, batch, draws, 0)
  first = lambda x: np.moveaxis(np.asarray(x), -1, 1)  # channels
  outputs = {
    "ar_input": shown[0],
    "next_token": m.raster.take(batch["volume"], k).reshape(m.patch),
    "reconstruction": jax.nn.sigmoid(first(made["out"])),
    "loss_next_all": loss,
    **{f"enc{i}": first(made[f"level{i}"]) for i in range(len(m.dims.widths))},
  }
  if "mamba_tokens" in case.inputs:
    tokens = jnp.asarray(case.inputs["mamba_tokens"])
    outputs["mamba_out"] = mixer(m, net, tokens)
  return golden_kit.asked(case, outputs)
