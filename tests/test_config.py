"""Settings: every bad value is named, good ones survive JSON, nothing changes later."""

import dataclasses
import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_style.config import (
    GatysConfig,
    HubConfig,
    MethodConfigs,
    NeighborsConfig,
    help_of,
)
from tf_style.jobs.job import Job, unused_settings
from tf_style.jobs.modes import MODES
from tf_style.methods import METHODS
from tf_style.system.checks import checked, from_dict

NAN, INF = math.nan, math.inf


def make_job(**values):
    return Job(**{"contents": ("a.jpg",), "styles": ("b.jpg",)} | values)


BAD = [
    (GatysConfig, "backbone", ""),
    (GatysConfig, "pooling", "min"),
    (GatysConfig, "precision", "int8"),
    (GatysConfig, "optimizer", "sgd"),
    (GatysConfig, "content_layers", ()),
    (GatysConfig, "style_layers", ()),
    (GatysConfig, "style_layer_weights", (1.0,)),
    (GatysConfig, "style_layer_weights", (1.0, 1.0, 1.0, 1.0, -1.0)),
    (GatysConfig, "style_layer_weights", (0.0,) * 5),
    (GatysConfig, "style_layer_weights", (1.0, 1.0, 1.0, 1.0, NAN)),
    (GatysConfig, "style_layer_weights", (1.0, 1.0, 1.0, 1.0, INF)),
    (GatysConfig, "content_weight", -1e-9),
    (GatysConfig, "style_weight", -1.0),
    (GatysConfig, "tv_weight", -1.0),
    (GatysConfig, "temporal_weight", -1.0),
    (GatysConfig, "init", ""),
    (GatysConfig, "steps", 0),
    (GatysConfig, "steps", 1.5),
    (GatysConfig, "steps", "300"),
    (GatysConfig, "scales", -1),
    (GatysConfig, "scales", 9),
    (GatysConfig, "learning_rate", 0.0),
    (GatysConfig, "learning_rate", 1.001),
    (GatysConfig, "beta1", -0.1),
    (GatysConfig, "beta1", 1.0),
    (GatysConfig, "epsilon", 0.0),
    (GatysConfig, "style_size", -1),
    (GatysConfig, "seed", -1),
    (GatysConfig, "seed", 2**63),
    (GatysConfig, "time_budget", -1.0),
    (GatysConfig, "tile", 30),
    (GatysConfig, "tile", 33),
    (GatysConfig, "deterministic", 1),
    (GatysConfig, "deterministic", "yes"),
    (make_job, "checkpoint_every", -1.0),
    (make_job, "save_every", -1),
    (make_job, "save_every", 2.5),
    (make_job, "resume", "no"),
    (make_job, "style_blend", 1),
    (make_job, "masks", 17),
    (make_job, "sweep", "steps=1,2"),
    (make_job, "flow", 1),
    (make_job, "flow", "no"),
    (HubConfig, "model", ""),
    (HubConfig, "style_size", 42),
    (HubConfig, "style_size", 4097),
    (HubConfig, "strength", -0.01),
    (HubConfig, "strength", 1.01),
    *(
        (kind, name, value)
        for kind in (GatysConfig, HubConfig)
        for name, value in (
            ("style_weights", (1.0, -1.0)),
            ("style_weights", (0.0, 0.0)),
            ("style_weights", (NAN, 1.0)),
            ("style_weights", (INF, 1.0)),
            ("style_weights", "1,2"),
            ("style_scale", 0.24),
            ("style_scale", 4.01),
            ("preserve_color", "colour"),
            ("preserve_color", True),
            ("color_strength", -0.01),
            ("color_strength", 1.01),
        )
    ),
    (make_job, "mode", "fast"),
    (make_job, "mode", ""),
    (make_job, "max_side", -1),
    (make_job, "max_side", 1.5),
    (make_job, "max_side", "big"),
    (make_job, "contents", (17,)),
    (GatysConfig, "steps", True),
    (GatysConfig, "backbone", None),
    (GatysConfig, "content_layers", "block4_conv2"),
    (GatysConfig, "style_layer_weights", ("1",) * 5),
    (make_job, "contents", ()),
    (make_job, "styles", ()),
    (make_job, "output", 3),
    (make_job, "checksums", {"content": 5}),
    (GatysConfig, "steps", np.float32(3)),
    (GatysConfig, "deterministic", np.int64(1)),
    (GatysConfig, "tv_weight", np.bool_(True)),
    (GatysConfig, "tv_weight", 1j),
    (HubConfig, "style_weights", {1.0: 2.0}),
    (HubConfig, "style_weights", (True, False)),
    (HubConfig, "model", b"builtin"),
]

NUMBERS = [
    (kind, field.name)
    for kind in (GatysConfig, HubConfig)
    for field in dataclasses.fields(kind)
    if isinstance(field.default, (int, float))
] + [(make_job, "max_side")]


@pytest.mark.parametrize("kind, name, value", BAD)
def test_bad_value_is_named_with_its_field(kind, name, value):
    with pytest.raises(ValueError) as caught:
        kind(**{name: value})
    assert str(caught.value).startswith(f"{name} is {value!r}; it must be ")


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("kind, name", NUMBERS)
def test_no_number_may_be_nan_or_infinite(kind, name, value):
    with pytest.raises(ValueError, match=f"^{name} is {value}; it must be "):
        kind(**{name: value})


@pytest.mark.parametrize("kind", [GatysConfig, HubConfig])
def test_every_setting_has_a_value_that_is_refused(kind):
    rows = [getattr(row, "values", row) for row in BAD]
    tried = {name for bad_kind, name, _ in rows if bad_kind is kind}
    assert tried == {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize(
    "kind, name, value, wanted",
    [
        (GatysConfig, "pooling", "min", "auto or max or average"),
        (GatysConfig, "steps", 0, "from 1 to 1000000"),
        (GatysConfig, "beta1", 1, "from 0 to 0.9999"),
        (GatysConfig, "learning_rate", 0, "above 0 to 1"),
        (HubConfig, "style_size", 42, "0 or from 43 to 4096"),
        (HubConfig, "style_scale", 5, "from 0.25 to 4"),
        (
            GatysConfig,
            "preserve_color",
            "hue",
            "none or luminance or covariance or histogram",
        ),
        (make_job, "mode", "fast", "hub or neighbors or gatys or compare"),
        (make_job, "styles", (), "at least one picture"),
    ],
)
def test_error_says_what_is_allowed(kind, name, value, wanted):
    with pytest.raises(ValueError) as caught:
        kind(**{name: value})
    assert str(caught.value) == f"{name} is {value!r}; it must be {wanted}"


@pytest.mark.parametrize(
    "kind, name, value",
    [
        (GatysConfig, "content_weight", 0),
        (GatysConfig, "style_layer_weights", (0.0, 0.0, 0.0, 0.0, 2.0)),
        (GatysConfig, "steps", 1),
        (GatysConfig, "scales", 8),
        (GatysConfig, "learning_rate", 1),
        (GatysConfig, "beta1", 0),
        (GatysConfig, "beta1", 0.9999),
        (GatysConfig, "epsilon", 1e-30),
        (GatysConfig, "seed", 2**63 - 1),
        (HubConfig, "style_size", 43),
        (HubConfig, "style_size", 4096),
        (HubConfig, "style_weights", (0.0, 1.0)),
        (GatysConfig, "style_scale", 0.25),
        (HubConfig, "style_scale", 4),
        (GatysConfig, "color_strength", 0),
        (make_job, "max_side", 1),
    ],
)
def test_bounds_themselves_are_allowed(kind, name, value):
    assert getattr(kind(**{name: value}), name) == value


def test_weights_are_counted_against_the_layers_given():
    layers = ("block1_conv1", "block2_conv1")
    config = GatysConfig(style_layers=layers, style_layer_weights=(1.0, 3.0))
    assert config.style_layer_weights == (1.0, 3.0)
    with pytest.raises(ValueError, match="for each of the 2 style layers"):
        GatysConfig(style_layers=layers, style_layer_weights=(1.0,) * 5)


@pytest.mark.parametrize(
    "config",
    [
        GatysConfig(),
        GatysConfig(steps=7, style_layer_weights=(1.0, 2.0, 3.0, 4.0, 5.0), seed=3),
        HubConfig(),
        HubConfig(model="here", style_size=99),
        HubConfig(style_weights=(1.0, 3.0), preserve_color="histogram"),
        GatysConfig(style_scale=2.0, color_strength=0.5),
    ],
)
def test_config_survives_json(config):
    values = json.loads(json.dumps(dataclasses.asdict(config)))
    assert from_dict(type(config), values) == config


def test_missing_settings_take_their_defaults():
    assert from_dict(GatysConfig, {"steps": 9}) == GatysConfig(steps=9)


def test_unknown_setting_is_named_beside_the_known_ones():
    with pytest.raises(ValueError) as caught:
        from_dict(HubConfig, {"model": "magenta", "stile_size": 256})
    assert str(caught.value) == (
        "HubConfig has no setting 'stile_size'; "
        "it has color_strength, model, preserve_color, strength, style_scale, "
        "style_size, style_weights"
    )


def test_bad_value_in_a_dict_is_refused():
    with pytest.raises(ValueError, match="^steps is 0"):
        from_dict(GatysConfig, {"steps": 0})


@pytest.mark.parametrize("mode, side", [("hub", 0), ("gatys", 512), ("compare", 512)])
def test_each_mode_has_its_own_longest_side(mode, side):
    assert make_job(mode=mode).max_side == side


def test_longest_side_that_was_asked_for_stays():
    assert make_job(mode="gatys", max_side=0).max_side == 0


@pytest.mark.parametrize("config", [GatysConfig(), HubConfig(), make_job()])
def test_configs_are_frozen(config):
    name = dataclasses.fields(config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, getattr(config, name))


@pytest.mark.parametrize("mode", MODES)
def test_styles_are_blended_if_told_or_weighted_or_masked_each(mode):
    *_, method = MODES[mode].METHODS
    _, config = METHODS[method]
    weighted = {method: config(style_weights=(1.0, 2.0))}
    assert make_job(mode=mode, **weighted).blends
    assert make_job(mode=mode, style_blend=True).blends
    assert make_job(mode=mode, masks=("a.png", "b.png")).blends
    assert not make_job(mode=mode, masks=("a.png",)).blends
    assert not make_job(mode=mode).blends


def test_weights_of_a_method_that_is_not_used_blend_nothing():
    assert not make_job(mode="gatys", hub=HubConfig(style_weights=(1.0, 2.0))).blends


@pytest.mark.parametrize("kind", [GatysConfig, HubConfig])
@pytest.mark.parametrize(
    "weights, styles, shares",
    [
        ((), 1, [1]),
        ((), 4, [0.25] * 4),
        ((6.0, 2.0), 2, [0.75, 0.25]),
        ((0.0, 5.0), 2, [0, 1]),
    ],
)
def test_shares_of_styles_sum_to_one(kind, weights, styles, shares):
    assert kind(style_weights=weights).share_among(styles) == pytest.approx(shares)


@pytest.mark.parametrize("styles", [1, 3])
def test_there_is_one_weight_for_each_style(styles):
    config = GatysConfig(style_weights=(1.0, 2.0))
    with pytest.raises(ValueError, match=f"2 numbers for {styles} styles; give one"):
        config.share_among(styles)


@pytest.mark.parametrize(
    "mode, init, expected",
    [
        ("hub", "hub", ("hub",)),
        ("gatys", "content", ("gatys",)),
        ("gatys", "hub", ("hub", "gatys")),
        ("compare", "hub", ("hub", "neighbors", "gatys")),
    ],
)
def test_methods_are_the_modes_and_what_the_first_picture_needs(mode, init, expected):
    assert make_job(mode=mode, gatys=GatysConfig(init=init)).methods == expected


@pytest.mark.parametrize("name", ["steps", "content_weight"])
def test_a_long_value_is_shown_in_part(name):
    with pytest.raises(ValueError) as caught:
        GatysConfig(**{name: 10**400})
    assert len(str(caught.value)) < 200
    assert str(caught.value).startswith(f"{name} is 1000")
    assert "...; it must be from " in str(caught.value)


OF_TYPE = {
    bool: [bool, np.bool_],
    str: [str, np.str_, Path],
    int: [int, np.int8, np.uint16, np.int64],
    float: [int, float, np.float16, np.float32, np.longdouble, np.int64, Fraction],
}


def alien(kind):
    """Values of a type as callers may hold them: NumPy's, a path, a fraction."""
    plain = {bool: st.booleans(), str: st.sampled_from(["a", "b/c"])}
    plain = plain.get(kind, st.integers(1, 4))
    return st.builds(
        lambda make, value: make(value), st.sampled_from(OF_TYPE[kind]), plain
    )


def aliens(kind):
    """Tuples of them, or lists, or arrays."""
    items = st.lists(alien(kind), min_size=1, max_size=3)
    return st.builds(
        lambda make, value: make(value), st.sampled_from([list, tuple, np.array]), items
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.builds(
        make_job,
        contents=aliens(str),
        styles=alien(str),
        masks=alien(str),
        output=alien(str),
        sweep=aliens(str),
        style_blend=alien(bool),
        max_side=alien(int),
        checkpoint_every=alien(float),
        hub=st.builds(HubConfig, model=alien(str), style_weights=aliens(float)),
        gatys=st.builds(
            GatysConfig,
            style_layers=aliens(str),
            style_scale=alien(float),
            init=alien(str),
            steps=alien(int),
            tv_weight=alien(float),
            deterministic=alien(bool),
        ),
    )
)
def test_whatever_makes_a_config_is_kept_as_plain_values(job):
    values = json.loads(json.dumps(dataclasses.asdict(job)))
    values |= {"gatys": from_dict(GatysConfig, values["gatys"])}
    values |= {"hub": from_dict(HubConfig, values["hub"])}
    values |= {"neighbors": from_dict(NeighborsConfig, values["neighbors"])}
    assert from_dict(Job, values) == job
    plain = (str, int, float, bool)
    for config in (job, job.gatys, job.hub):
        for value in dataclasses.asdict(config).values():
            items = value if type(value) is tuple else [value]
            assert type(value) is dict or all(type(item) in plain for item in items)


def test_one_input_need_not_be_in_a_tuple():
    job = Job(Path("a.jpg"), "b.jpg", masks="c.png")
    assert (job.contents, job.styles, job.masks) == (("a.jpg",), ("b.jpg",), ("c.png",))


def test_a_config_may_be_left_out_but_not_be_of_another_kind():
    assert checked(None, HubConfig) == HubConfig()
    config = GatysConfig(steps=1)
    assert checked(config, GatysConfig) is config
    with pytest.raises(ValueError) as caught:
        checked(config, HubConfig, "hub_config")
    assert str(caught.value) == "hub_config is a GatysConfig; it must be a HubConfig"
    with pytest.raises(ValueError, match="^gatys is a HubConfig; it must be a Gatys"):
        make_job(gatys=HubConfig())


UNUSED = [
    ("hub", {"steps": 9}, {}, {}, ["steps does nothing in mode hub"]),
    (
        "hub",
        {"tile": 64, "deterministic": True},
        {},
        {},
        [
            "tile does nothing in mode hub",
            "deterministic does nothing in mode hub",
        ],
    ),
    # What both methods have is the other's.
    ("hub", {"style_size": 99, "preserve_color": "luminance"}, {}, {}, []),
    ("hub", {}, {"strength": 0.5, "model": "builtin", "style_size": 99}, {}, []),
    ("gatys", {}, {"strength": 0.5}, {}, ["strength does nothing in mode gatys"]),
    ("gatys", {"init": "hub"}, {"strength": 0.5}, {}, []),
    ("compare", {"steps": 9}, {"strength": 0.5}, {}, []),
    (
        "compare",
        {"color_strength": 0.5},
        {"color_strength": 0.5},
        {},
        ["color_strength does nothing without preserve_color"],
    ),
    (
        "hub",
        {},
        {"color_strength": 0.5, "preserve_color": "histogram"},
        {},
        [],
    ),
    (
        "hub",
        {},
        {"style_weights": (3,)},
        {},
        ["style_weights does nothing with one style"],
    ),
    ("hub", {}, {"style_weights": (3, 1)}, {}, []),
    (
        "gatys",
        {"beta1": 0.5, "epsilon": 1e-3},
        {},
        {},
        [
            "beta1 does nothing with optimizer=lbfgs",
            "epsilon does nothing with optimizer=lbfgs",
        ],
    ),
    ("gatys", {"beta1": 0.5, "epsilon": 1e-3, "optimizer": "adam"}, {}, {}, []),
    ("gatys", {"seed": 3}, {}, {}, ["seed does nothing without init=noise"]),
    ("gatys", {"seed": 3, "init": "noise"}, {}, {}, []),
    (
        "gatys",
        {"steps": 9, "time_budget": 5},
        {},
        {},
        ["steps does nothing beside time_budget"],
    ),
    ("gatys", {"steps": 9}, {}, {}, []),
    (
        "gatys",
        {"temporal_weight": 5},
        {},
        {},
        ["temporal_weight does nothing without a film"],
    ),
    ("gatys", {"temporal_weight": 5}, {}, {"film": True}, []),
    (
        "gatys",
        {"temporal_weight": 5},
        {},
        {"film": True, "flow": False},
        ["temporal_weight does nothing with flow=False"],
    ),
    ("hub", {}, {}, {"flow": False}, ["flow=False does nothing without a film"]),
    ("hub", {}, {}, {"flow": False, "film": True}, []),
    (
        "hub",
        {},
        {},
        {"resume": True, "checkpoint_every": 5},
        [
            "checkpoint_every does nothing in mode hub",
            "resume does nothing in mode hub",
        ],
    ),
    ("hub", {}, {}, {"resume": True, "film": True}, []),
    # It keeps what is there, which else is painted anew.
    ("hub", {}, {}, {"resume": True, "checksums": {"content": "0"}}, []),
    ("compare", {}, {}, {"resume": True, "save_every": 5}, []),
    ("compare", {}, {}, {"resume": True}, ["resume does nothing in mode compare"]),
    ("gatys", {}, {}, {"resume": True, "checkpoint_every": 5}, []),
    # A sweep sets it, be it to its default.
    (
        "gatys",
        {},
        {},
        {"sweep": ("seed=0,1",)},
        ["seed does nothing without init=noise"],
    ),
]


@pytest.mark.parametrize("mode, gatys, hub, more, lines", UNUSED)
def test_a_setting_that_does_nothing_is_told(mode, gatys, hub, more, lines):
    more = dict(more)
    film = more.pop("film", False)
    job = make_job(mode=mode, gatys=GatysConfig(**gatys), hub=HubConfig(**hub), **more)
    assert unused_settings(job, film) == lines


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("film", [False, True])
def test_defaults_are_never_told(mode, film):
    assert unused_settings(make_job(mode=mode), film) == []


def test_every_method_has_its_settings_and_every_mode_its_methods():
    kinds = {spec.name: spec.type for spec in dataclasses.fields(MethodConfigs)}
    assert kinds == {name: kind for name, (_, kind) in METHODS.items()}
    assert all({*mode.METHODS} <= {*kinds} for mode in MODES.values())


@pytest.mark.parametrize("kind", [GatysConfig, NeighborsConfig, HubConfig, Job])
def test_every_setting_is_explained_in_a_sentence(kind):
    explained = {spec.name for spec in dataclasses.fields(kind)}
    if kind is Job:  # Those of methods are explained in their configs.
        explained -= {"hub", "neighbors", "gatys", "checksums"}
    for name in explained:
        text = help_of(kind, name)
        assert text[0].isupper() or text[0].isdigit(), name
        assert text.endswith("."), name
