def pytest_addoption(parser):
  parser.addoption("--golden-dir", default="../shared/golden")
