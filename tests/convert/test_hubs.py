"""Uploads, by a client that only remembers what it is asked for."""

import importlib.util
import types

import pytest

from jmim.convert import hubs
from jmim.core import errors


@pytest.fixture
def client(monkeypatch, tmp_path):
  """The calls that reach a fake huggingface_hub."""
  calls = []

  class HfApi:
    def __init__(self, **about):
      calls.append(("client", about))

    def create_repo(self, name, **options):
      calls.append(("create_repo", name, options))

    def upload_folder(self, **options):
      calls.append(("upload_folder", options))
      return "https://hub/commit"

  fake = types.ModuleType("huggingface_hub")
  fake.HfApi = HfApi
  fake.__spec__ = importlib.util.spec_from_loader("huggingface_hub", None)
  monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", fake)
  return calls


def test_the_repository_is_made_and_gets_the_folder(client, tmp_path):
  folder = tmp_path / "mine_timm"
  assert hubs.push(folder, "me/mine", private=True) == "https://hub/commit"
  (_, create, upload) = client
  assert create == ("create_repo", "me/mine", dict(private=True, exist_ok=True))
  assert upload[1]["folder_path"] == str(folder)
  assert upload[1]["repo_id"] == "me/mine"
  assert "mine_timm" in upload[1]["commit_message"]


@pytest.mark.parametrize("name", ["mine", "a/b/c", "a/b c", "/b"])
def test_a_name_without_its_user_is_refused(client, name):
  with pytest.raises(errors.UserError, match="user/name"):
    hubs.push("folder", name)
  assert client == []


def test_without_the_client_it_is_said_what_to_install(monkeypatch):
  monkeypatch.setattr(hubs, "CLIENT", "no_such_client_of_a_hub")
  with pytest.raises(errors.UserError, match=r"pip install 'jmim\[hub\]'"):
    hubs.check("me/mine")
