"""Importing what needs TensorFlow: quick, quiet, and without a trace."""

import gc
import importlib
import sys

import pytest

from tf_style.system import startup


@pytest.fixture
def probe(monkeypatch, tmp_path):
    """The name of a module that is installed, and that the program has no use for."""
    (tmp_path / "unneeded_probe.py").write_text("there = True")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(startup, "UNUSED", ("unneeded_probe",))
    yield "unneeded_probe"
    sys.modules.pop("unneeded_probe", None)


def test_unused_modules_are_absent_during_the_import_and_no_longer(probe):
    def load():
        with pytest.raises(ImportError):
            importlib.import_module(probe)
        return gc.isenabled()

    assert startup.import_quietly(load) is False
    assert gc.isenabled()
    assert importlib.import_module(probe).there


def test_what_the_caller_has_imported_stays(probe):
    before = importlib.import_module(probe)
    assert startup.import_quietly(lambda: importlib.import_module(probe)) is before
    assert sys.modules[probe] is before


def test_after_an_import_that_fails_all_is_as_before(probe):
    def load():
        raise ImportError("there is no such library")

    with pytest.raises(ImportError, match="no such library"):
        startup.import_quietly(load)
    assert gc.isenabled() and probe not in sys.modules
