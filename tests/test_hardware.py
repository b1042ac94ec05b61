"""What the machine computes fast, from what it says of itself."""

import pytest
import tensorflow as tf

from tf_style.system import hardware


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


@pytest.fixture
def account(tmp_path, monkeypatch):
    """Writes Linux' accounts, {name: text}, where the module looks for them."""
    for name, file in (
        ("MEMORY_INFO", "meminfo"),
        ("PROCESS_STATUS", "status"),
        ("CONTAINER", "cgroup"),
    ):
        monkeypatch.setattr(hardware, name, tmp_path / file)

    def write(texts):
        for name, text in texts.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    return write


MACHINE = {"meminfo": "MemTotal: 9000 kB\nMemAvailable:    5000 kB\n"}


@pytest.mark.parametrize(
    "container, free",
    [
        ({}, 5000 * 1024),
        ({"cgroup/memory.max": "max\n", "cgroup/memory.current": "7"}, 5000 * 1024),
        ({"cgroup/memory.max": "9000\n", "cgroup/memory.current": "7000\n"}, 2000),
        (
            {
                "cgroup/memory.max": "9000",
                "cgroup/memory.current": "7000",
                "cgroup/memory.stat": "anon 4\ninactive_file 500\n",
            },
            2500,
        ),
        (
            {"cgroup/memory.max": "99999999999", "cgroup/memory.current": "0"},
            5000 * 1024,
        ),
    ],
)
def test_free_memory_is_the_machines_or_the_containers(account, container, free):
    account(MACHINE | container)
    assert hardware.free_memory() == free


def test_where_nothing_tells_of_memory_there_is_no_number(account):
    assert hardware.free_memory() is None
    assert hardware.peak_memory() is None


def test_the_peak_is_the_processes(account):
    account({"status": "VmPeak:\t 9 kB\nVmHWM:\t    123 kB\nVmRSS:\t 5 kB\n"})
    assert hardware.peak_memory() == 123 * 1024


@pytest.mark.parametrize("limit, free", [(1000, 700), (0, None)])
def test_a_graphics_cards_memory_counts_before_the_machines(
    account, monkeypatch, limit, free
):
    account(MACHINE)
    card = type("Card", (), {"name": "/device:GPU:0", "memory_limit": limit})
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    monkeypatch.setattr(hardware.device_lib, "list_local_devices", lambda: [card])
    monkeypatch.setattr(
        tf.config.experimental, "get_memory_info", lambda name: {"current": 300}
    )
    assert hardware.free_memory() == free
