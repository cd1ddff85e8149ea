"""DiT of Diffusers: every block has a copy of the embeddings."""

import jax
import jax.numpy as jnp
import kit
import numpy as np
import peers
import pytest

from jmim.convert import families
from jmim.core import errors

NAME = "diffusers_dit"
EMB = "transformer_blocks.{}.norm1.emb"


@pytest.fixture(scope="module")
def written():
  return kit.check(NAME, kit.tiny("diffusion.dit"))


def test_each_block_has_a_copy_of_the_embeddings(written):
  for leaf, ours in (
    ("class_embedder.embedding_table.weight", "label_embed/embedding"),
    ("timestep_embedder.linear_1.bias", "time_embed/fc1/bias"),
  ):
    for i in range(2):
      np.testing.assert_array_equal(
        written.theirs[f"{EMB.format(i)}.{leaf}"],
        written.ours[f"params/main/{ours}"],
      )


def test_copies_that_differ_are_refused(written):
  name = f"{EMB.format(1)}.timestep_embedder.linear_1.bias"
  other = written.theirs | {name: written.theirs[name] + 1}
  with pytest.raises(errors.UserError, match="not equal to that of layer 0"):
    kit.load(written, other)


def test_config():
  method = kit.tiny("diffusion.dit", mlp_ratio=4.0)
  config = kit.check_config(NAME, method, "net")
  assert config["in_channels"] == 3 and config["out_channels"] == 6
  plain = kit.tiny(
    "diffusion.dit", learn_variance=False, variance="small", mlp_ratio=4.0
  )
  config = kit.check_config(NAME, plain, "net")
  assert config["out_channels"] == config["in_channels"]
  with pytest.raises(errors.UserError, match="out_channels=5"):
    families.find(NAME).read_config(config | {"out_channels": 5})


@pytest.mark.parametrize("fields", [dict(classes=0), dict(mlp_ratio=2.0)])
def test_what_it_cannot_be(written, fields):
  method = kit.tiny("diffusion.dit", **fields)
  why = written.family.objection("diffusion.dit", method)
  assert why == "it has labels and mlp_ratio=4"


def test_the_library_computes_the_same(tmp_path):
  theirs = tied(peers.diffusers())
  theirs.save_pretrained(tmp_path / "theirs")
  # Diffusers' angles of time end at 1/10000 (freq_shift 1), those of the
  # authors (and ours) do not: at t = 0, or with shift 0, both are the same.
  for block in theirs.transformer_blocks:
    block.norm1.emb.time_proj.downscale_freq_shift = 0
  rng = np.random.default_rng(0)
  x = rng.normal(size=(peers.B, 8, 8, 4)).astype(np.float32)
  t, label = np.asarray([7, 500]), np.asarray([1, 4])
  tensors = map(peers.torch().from_numpy, (t, label))
  want = peers.run(theirs, peers.channels_first(x), *tensors).sample.numpy()
  method, params, made = peers.read_folder(NAME, tmp_path / "theirs")
  assert not made.fresh
  variables = {"params": params["main"]}
  apply = jax.jit(method.net.apply)
  got = apply(variables, x, jnp.asarray(t), jnp.asarray(label))["pred"]
  np.testing.assert_allclose(np.moveaxis(got, -1, 1), want, atol=1e-4)
  folder = tmp_path / "ours"
  peers.check_diffusers_reads(
    NAME, method, params=params, theirs=theirs, folder=folder
  )


def tied(diffusers):
  """A DiT whose blocks share their embeddings, as the published one's do."""
  model = diffusers.DiTTransformer2DModel(
    num_attention_heads=2,
    attention_head_dim=8,
    in_channels=4,
    out_channels=8,
    num_layers=2,
    sample_size=8,
    patch_size=2,
    num_embeds_ada_norm=5,
    norm_eps=1e-6,
  )
  first, *others = peers.shake(model).transformer_blocks
  for block in others:
    block.norm1.emb.load_state_dict(first.norm1.emb.state_dict())
  return model
