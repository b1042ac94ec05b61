"""What the machine computes fast, from what it says of itself."""

import pytest
import tensorflow as tf

from tf_style import hardware


@pytest.fixture(autouse=True)
def forgetful():
    hardware.fastest_dtype.cache_clear()
    yield
    hardware.fastest_dtype.cache_clear()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512f avx512_bf16 vaes", "bfloat16"),
        ("fpu avx512f amx_bf16 amx_tile", "bfloat16"),
        ("fpu avx2 avx512f avx512_vnni", "float32"),
        ("fpu no_avx512_bf16_here", "float32"),
    ],
)
def test_the_flags_of_a_processor_say_it(tmp_path, monkeypatch, flags, expected):
    info = tmp_path / "cpuinfo"
    info.write_text(f"model name : some\nflags : {flags}\n")
    monkeypatch.setattr(hardware, "CPU_INFO", info)
    assert hardware.fastest_dtype() == expected


def test_a_processor_that_says_nothing_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "CPU_INFO", tmp_path / "missing")
    assert hardware.fastest_dtype() == "float32"


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ((6, 1), "float32"),
        ((7, 5), "float32"),
        ((8, 0), "bfloat16"),
        ((12, 0), "bfloat16"),
        (None, "float32"),
    ],
)
def test_a_graphics_card_counts_before_the_processor(monkeypatch, capability, expected):
    details = {"compute_capability": capability} if capability else {}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda card: details
    )
    assert hardware.fastest_dtype() == expected
