"""The public names of both packages: each is there, and none hides behind a submodule of the same name."""

import pkgutil
from importlib import import_module

import pytest


@pytest.mark.parametrize("package", ["probe", "circuits"])
def test_every_public_name_is_there_and_no_module_takes_its_place(package):
    module = import_module(package)
    submodules = {found.name for found in pkgutil.iter_modules(module.__path__)}
    assert not submodules & set(module.__all__)  # importing a submodule would set that name to the module
    for name in module.__all__:
        assert getattr(module, name) is not None
