"""MAE of Transformers: q, k and v apart, both networks, a config.json."""

import sys

import jax
import jax.numpy as jnp
import kit
import numpy as np
import peers
import pytest

from jmim.convert.tables import hf_vit_mae as tables
from jmim.core import errors
from jmim.core import method as methods

NAME = "hf_vit_mae"


@pytest.fixture(scope="module")
def written():
  return kit.check(NAME, kit.tiny("mim.mae"))


def test_positions_of_both_networks_are_those_of_the_authors(written):
  authors = kit.export("mae", written.method).theirs
  pairs = {
    "vit.embeddings.position_embeddings": "pos_embed",
    "decoder.decoder_pos_embed": "decoder_pos_embed",
  }
  for theirs, other in pairs.items():
    np.testing.assert_array_equal(written.theirs[theirs], authors[other])


def test_names_of_other_versions_are_read(written):
  file = {
    n.removeprefix("vit.").replace(
      "decoder.decoder_layers.", "decoder.decoder_encoder.layer."
    ): x
    for n, x in written.theirs.items()
  }
  assert not file.keys() & {n for n in written.theirs if "layer" in n}
  _, leaves = kit.load(written, file)
  for name, array in written.ours.items():
    np.testing.assert_array_equal(leaves[name], array)


def test_config():
  method = kit.tiny("mim.mae", mask_ratio=0.5, norm_pix=False)
  config = kit.check_config(NAME, method, "encoder", "decoder")
  assert config["mask_ratio"] == 0.5 and config["norm_pix_loss"] is False
  config["decoder_intermediate_size"] += 1
  with pytest.raises(errors.UserError, match="decoder_intermediate_size=65"):
    tables.read(config)


@pytest.mark.parametrize("norm_pix", [False, True])
def test_the_library_computes_the_same(tmp_path, norm_pix):
  library = peers.transformers()
  config = library.ViTMAEConfig(
    **peers.HF,
    decoder_hidden_size=16,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=2,
    decoder_intermediate_size=48,
    norm_pix_loss=norm_pix,
    layer_norm_eps=1e-6,
  )
  theirs = library.ViTMAEForPreTraining(config)
  peers.shake(theirs)
  with_positions(theirs)
  theirs.save_pretrained(tmp_path / "theirs")
  ours, x = peers.images()
  noise = np.random.default_rng(1).uniform(size=(peers.B, 16)).astype("f4")
  hidden = peers.torch().from_numpy(noise)
  want = peers.run(theirs, x, noise=hidden)
  method, params, made = peers.read_folder(NAME, tmp_path / "theirs")
  assert not made.fresh and not made.ignored
  batch, draws = {"image": ours}, {"noise": jnp.asarray(noise)}
  out = jax.jit(method.forward)(params, batch, draws)
  np.testing.assert_allclose(out["pred"], want.logits.numpy(), atol=1e-4)
  loss, _ = method.loss(methods.Weights(params), batch, draws, 0)
  np.testing.assert_allclose(loss, want.loss.numpy(), rtol=1e-4)
  peers.write(NAME, method, params, tmp_path / "ours")
  again = peers.reread(library.ViTMAEForPreTraining, tmp_path / "ours")
  got = peers.run(again, x, noise=hidden).logits.numpy()
  np.testing.assert_allclose(got, want.logits.numpy(), atol=1e-5)


def with_positions(model):
  """The library's own tables in a model of theirs.

  Its random models have zeros there, which no trained ones do (version 5.23).
  """
  torch = peers.torch()
  make = sys.modules[type(model).__module__]
  for table in (
    model.vit.embeddings.position_embeddings,
    model.decoder.decoder_pos_embed,
  ):
    rows = make.build_2d_sinusoidal_position_embedding(
      4, 4, table.shape[-1], cls_token=True
    )
    with torch.no_grad():
      table.copy_(torch.cat(rows.chunk(2, -1)[::-1], -1)[None])
