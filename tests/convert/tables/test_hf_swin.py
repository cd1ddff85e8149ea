"""Swin of Transformers: SimMIM's and the classifier."""

import jax
import jax.numpy as jnp
import kit
import numpy as np
import peers
import pytest

from jmim.convert import families
from jmim.core import method as methods


def test_names_and_arrays_of_simmim():
  written = kit.check("hf_swin", kit.tiny("mim.simmim", **kit.SIMMIM_SWIN))
  authors = kit.export("simmim", written.method).theirs
  np.testing.assert_array_equal(
    written.theirs["decoder.0.weight"], authors["decoder.0.weight"]
  )


@pytest.mark.parametrize("bias", [True, False])
def test_names_and_arrays_of_the_classifier(bias):
  method = kit.tiny("supervised.swin", qkv_bias=bias)
  written = kit.check("hf_swin_classifier", method)
  name = "swin.encoder.layers.1.blocks.0.attention.self"
  assert (f"{name}.key.bias" in written.theirs) == bias
  kernel = written.ours[
    "params/main/encoder/stage1/layers/block/attn/qkv/kernel"
  ]
  np.testing.assert_array_equal(
    written.theirs[f"{name}.key.weight"], np.split(kernel[0], 3, axis=1)[1].T
  )


def test_config():
  method = kit.tiny("mim.simmim", **kit.SIMMIM_SWIN)
  config = kit.check_config("hf_swin", method, "encoder")
  assert config["encoder_stride"] == 4
  method = kit.tiny("supervised.swin")
  config = kit.check_config("hf_swin_classifier", method, "encoder", "head")
  # Both have one model type: the architecture tells them apart.
  assert config["model_type"] == "swin"
  del config["architectures"]
  assert families.detect(config) == "hf_swin"


def test_a_vit_does_not_fit():
  family = families.find("hf_swin")
  why = family.objection("mim.simmim", kit.tiny("mim.simmim"))
  assert why == "the backbone is a ViT"


LIBRARY = dict(
  image_size=16,
  patch_size=2,
  embed_dim=8,
  depths=[2, 2],
  num_heads=[2, 4],
  window_size=4,
  mlp_ratio=3.0,
)


def test_the_library_computes_the_same_as_simmim(tmp_path):
  library = peers.transformers()
  config = library.SwinConfig(**LIBRARY, encoder_stride=4)
  theirs = peers.shake(library.SwinForMaskedImageModeling(config))
  theirs.save_pretrained(tmp_path / "theirs")
  ours, x = peers.images()
  hidden = np.random.default_rng(1).integers(0, 2, (peers.B, 64)).astype(bool)
  masked = peers.torch().from_numpy(hidden)
  want = peers.run(theirs, x, bool_masked_pos=masked)
  method, params, made = peers.read_folder("hf_swin", tmp_path / "theirs")
  assert not made.fresh
  mask = jnp.asarray(hidden, jnp.float32).reshape(peers.B, 8, 8)
  batch, draws = {"image": ours}, {"mask": mask}
  out = jax.jit(method.forward)(params, batch, draws)
  pred = np.moveaxis(np.asarray(out["pred"]), -1, 1)
  np.testing.assert_allclose(pred, want.reconstruction.numpy(), atol=1e-4)
  loss, _ = method.loss(methods.Weights(params), batch, draws, 0)
  np.testing.assert_allclose(loss, want.loss.numpy(), rtol=1e-4)
  peers.write("hf_swin", method, params, tmp_path / "ours")
  again = peers.reread(type(theirs), tmp_path / "ours")
  got = peers.run(again, x, bool_masked_pos=masked).reconstruction.numpy()
  np.testing.assert_allclose(got, want.reconstruction.numpy(), atol=1e-5)


def test_the_library_computes_the_same_as_the_classifier(tmp_path):
  library, name = peers.transformers(), "hf_swin_classifier"
  config = library.SwinConfig(**LIBRARY, num_labels=5, qkv_bias=False)
  theirs = peers.shake(library.SwinForImageClassification(config))
  made = peers.check_hf(theirs, name, tmp_path)
  assert not made.fresh
