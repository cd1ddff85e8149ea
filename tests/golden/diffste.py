"""DiffSTE (UCSB-NLP-Chang/DiffSTE): characters, both branches, the loss."""

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import diffste as convert
from jmim.convert.tables import diffusers_unet
from jmim.core import field
from jmim.core import method as methods
from jmim.methods.edit import diffste
from jmim.methods.parts import spelt

SKIPPED = {}
# Of their checkpoints; in a case these have shorter names.
PREFIXES = {"char.": "char_embedder."}


def nchw(x):
  return einops.rearrange(np.asarray(x), "b h w c -> b c h w")


def build(config, channels):
  """The method; all levels but the last have attention, as the note says."""
  wide, heads = config["cross_attention_dim"], config["num_heads"]
  assert set(wide) == set(heads) == set(spelt.BRANCHES)
  levels = len(config["block_out_channels"])
  blocks = config["layers_per_block"]
  several = isinstance(blocks, list)
  return field.replace(
    diffste.DiffSTE(),
    size=(config["latent_size"],) * 2,
    channels=channels,
    dims=dict(
      **diffusers_unet.widths_of(config),
      blocks=max(blocks) if several else blocks,
      level_blocks=tuple(blocks) if several else (),
      attend_at=tuple(2**i for i in range(levels - 1)),
      heads=heads[spelt.TEXT],
      norm_groups=config["norm_num_groups"],
    ),
    told=dict(
      branches=tuple(wide),
      text=dict(width=wide[spelt.TEXT], heads=1),
      characters=dict(
        symbols=config["char_vocab"],
        length=config["char_max_length"],
        width=wide[spelt.CHAR],
        heads=heads[spelt.CHAR],
      ),
    ),
    painted=dict(alpha=config["loss_alpha"]),
    first_stage=dict(variant="none"),
    sampling=dict(guidance=config["guidance_scale"]),
  )


def weights_of(m, theirs):
  """Names of a case as the authors' checkpoints have them."""
  named = {}
  for name, array in theirs.items():
    if not name.endswith("position_ids"):
      prefix = next((p for p in PREFIXES if name.startswith(p)), "")
      named[PREFIXES.get(prefix, "") + name.removeprefix(prefix)] = array
  params = table.import_tree(convert.full(m), named)
  return jax.tree.map(jnp.asarray, params["params"])


def run(case):
  i = case.inputs
  z, noise = golden_kit.images(i["z0"]), golden_kit.images(i["noise"])
  beside = [golden_kit.images(i[n]) for n in ("mask", "masked_image_latent")]
  concat = {"concat": jnp.concatenate(beside, axis=-1)}
  m = build(case.config, z.shape[-1])
  t, ids = jnp.asarray(i["t"]), jnp.asarray(i["char_ids"])
  text = {n: jnp.asarray(i[f"{n}text_hidden"]) for n in ("", "uncond_")}

  @jax.jit
  def everything(params):
    weights = methods.Weights(params)
    spell = lambda ids: m.contexts(weights, {spelt.CHAR: ids})
    told = concat | {spelt.TEXT: text[""]} | spell(ids)
    none = m.told.none({spelt.CHAR: ids})[spelt.CHAR]
    null = concat | {spelt.TEXT: text["uncond_"]} | spell(none)
    x_t, _, _ = m.noise.add(z, t, noise)
    eps, alone, uncond = (
      m.network(params, x_t, t, shown)
      for shown in (told, concat | {spelt.TEXT: text[""]}, null)
    )
    guided = m.sampling.combine(
      eps, uncond, time=t[0] / m.noise.end, channels=m.channels
    )
    loss, _ = m.painted.loss(eps, noise, told)
    return {
      "char_hidden": told[spelt.CHAR],
      "z_t": x_t,
      "eps": eps,
      "eps_text_only": alone,
      "eps_uncond": uncond,
      "eps_cfg": guided,
      "loss": loss,
    }

  found = everything(weights_of(m, case.params))
  maps = ("z_t", "eps", "eps_text_only", "eps_uncond", "eps_cfg")
  found |= {name: nchw(found[name]) for name in maps}
  return golden_kit.asked(case, found)
