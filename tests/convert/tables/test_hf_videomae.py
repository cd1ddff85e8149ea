"""VideoMAE of Transformers: q and v biases apart, nothing masked to decode."""

import jax
import jax.numpy as jnp
import kit
import numpy as np
import peers
import pytest

from jmim.core import method as methods

NAME, METHOD = "hf_videomae", "video.videomae_v2"


@pytest.fixture(scope="module")
def written():
  return kit.check(NAME, kit.tiny(METHOD, decoder_ratio=0.0))


def test_biases_have_two_spellings(written):
  name = "videomae.encoder.layer.1.attention.attention"
  np.testing.assert_array_equal(
    written.theirs[f"{name}.v_bias"],
    written.ours["params/main/encoder/blocks/layers/attn/v_bias"][1],
  )
  file = {
    n.replace(".q_bias", ".query.bias").replace(".v_bias", ".value.bias"): x
    for n, x in written.theirs.items()
  }
  assert f"{name}.query.bias" in file
  _, leaves = kit.load(written, file)
  assert leaves.keys() == written.ours.keys()


def test_config():
  method = kit.tiny(METHOD, decoder_ratio=0.0, normalise=False)
  config = kit.check_config(NAME, method, "encoder", "decoder")
  assert config["num_frames"] == 8 and config["tubelet_size"] == 2


@pytest.mark.parametrize(
  "fields", [dict(cosine=True), dict(layer_scale=0.1), dict(decoder_ratio=0.5)]
)
def test_what_it_cannot_be(written, fields):
  method = kit.tiny(METHOD, **{"decoder_ratio": 0.0} | fields)
  (name,) = fields
  assert name in written.family.objection(METHOD, method)


def test_the_library_computes_the_same(tmp_path):
  library = peers.transformers()
  config = library.VideoMAEConfig(
    **peers.HF | dict(intermediate_size=128),
    num_frames=4,
    tubelet_size=2,
    decoder_hidden_size=16,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=2,
    decoder_intermediate_size=64,
    use_mean_pooling=False,
    layer_norm_eps=1e-6,
  )
  theirs = peers.shake(library.VideoMAEForPreTraining(config))
  theirs.save_pretrained(tmp_path / "theirs")
  rng = np.random.default_rng(0)
  side = peers.SIDE
  clips = rng.normal(size=(peers.B, 4, side, side, 3)).astype(np.float32)
  torch = peers.torch()
  x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(clips, -1, 2)))
  hidden = np.zeros((peers.B, 32), bool)
  for row in hidden:
    row[rng.permutation(32)[:24]] = True
  want = peers.run(theirs, x, torch.from_numpy(hidden))
  method, params, made = peers.read_folder(
    NAME, tmp_path / "theirs", mask_ratio=0.75
  )
  assert not made.ignored
  draws = {"hidden": jnp.asarray(hidden), "left": ~jnp.asarray(hidden)}
  batch = {"video": jnp.asarray(clips)}
  out = jax.jit(method.forward)(params, batch, draws)
  np.testing.assert_allclose(out["pred"], want.logits.numpy(), atol=1e-4)
  loss, _ = method.loss(methods.Weights(params), batch, draws, 0)
  np.testing.assert_allclose(loss, want.loss.numpy(), rtol=1e-4)
  peers.write(NAME, method, params, tmp_path / "ours")
  again = peers.reread(library.VideoMAEForPreTraining, tmp_path / "ours")
  got = peers.run(again, x, torch.from_numpy(hidden)).logits
  np.testing.assert_allclose(got.numpy(), want.logits.numpy(), atol=1e-5)
