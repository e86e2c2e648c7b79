"""Quantities: what is read, what is refused and with which proposal, and what comes back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright import units
from clusterwright.units import DIMENSIONS, UnitError, unit_of

ALIASES = {
    name: alias
    for name, alias in vars(units).items()
    if isinstance(unit_of(alias), units.Unit) and name in units.__all__ and name != "Unit"
}

READ = {
    "terabytes a second": ("3.35 TB/s", units.BytesPerSecond, 3.35e12),
    "bits are an eighth of bytes": ("400 Gbit/s", units.BytesPerSecond, 50e9),
    "the short form of bits": ("400 Gb/s", units.BytesPerSecond, 50e9),
    "bytes a day": ("1 PB/day", units.BytesPerSecond, 1e15 / 86400),
    "kilowatts": ("10.2 kW", units.Watts, 10_200),
    "without a space": ("10.2kW", units.Watts, 10_200),
    "weeks": ("2 weeks", units.Seconds, 1_209_600),
    "days": ("14 d", units.Seconds, 1_209_600),
    "parts of a duration": ("1d 4h", units.Seconds, 100_800),
    "hours and minutes": ("2h30m", units.Seconds, 9_000),
    "a year is 365 days": ("3 years", units.Seconds, 3 * 365 * 86400),
    "binary prefixes": ("80 GiB", units.Bytes, 80 * 1024**3),
    "decimal prefixes": ("80 GB", units.Bytes, 80e9),
    "millions of dollars": ("90 MUSD", units.Usd, 90e6),
    "a dollar sign": ("$90M", units.Usd, 90e6),
    "billions": ("1.2 bn USD", units.Usd, 1.2e9),
    "percent": ("60 %", units.Fraction, 0.6),
    "a plain share": ("0.6", units.Fraction, 0.6),
    "price of energy": ("0.085 USD/kWh", units.UsdPerJoule, 0.085 / 3.6e6),
    "carbon": ("570 gCO2/kWh", units.GramsPerJoule, 570 / 3.6e6),
    "building cost by the megawatt": ("11.7 MUSD/MW", units.UsdPerWatt, 11.7),
    "trillions": ("15.6 T", units.Count, 15.6e12),
    "millions in words": ("2 million", units.Count, 2e6),
    "thousands separated": ("1,024", units.Count, 1024),
    "requests": ("200/s", units.PerSecond, 200),
    "requests a day": ("86400/day", units.PerSecond, 1),
    "petaflops": ("1.979 PFLOP/s", units.FlopPerSecond, 1.979e15),
    "flops in one word": ("989 TFLOPS", units.FlopPerSecond, 989e12),
}

REFUSED = {
    "bytes or bits": ("80 G", units.Bytes, "80 GB"),
    "lower case leaves bits and bytes open": ("80 gb", units.Bytes, "80 GB"),
    "another dimension": ("45 kB", units.Watts, "bytes"),
    "no unit": ("45", units.Watts, "has no unit"),
    "months differ": ("2 months", units.Seconds, "30 d"),
    "sixty is no share": ("60", units.Fraction, "percent"),
    "more than all": ("120 %", units.Fraction, "above 1"),
    "below zero": ("-3 d", units.Seconds, "below zero"),
    "not a number": ("nan W", units.Watts, "number"),
    "infinite": ("1e999 W", units.Watts, "finite"),
    "empty": ("", units.Watts, "quantity"),
    "endless": ("9" * 5000, units.Watts, "quantity"),
    "words": ("lots", units.Bytes, "number"),
    "an unknown unit": ("4 Q", units.Count, "Q"),
}


@pytest.mark.parametrize(("text", "alias", "value"), READ.values(), ids=READ)
def test_it_is_read(text, alias, value):
    assert units.parse(text, alias) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(("text", "alias", "says"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_a_proposal(text, alias, says):
    with pytest.raises(UnitError, match=r"write|fixed length") as caught:
        units.parse(text, alias)
    assert says in str(caught.value)


@given(
    st.sampled_from(sorted(ALIASES)),
    st.floats(min_value=0, max_value=1e30, allow_nan=False, allow_subnormal=False),
)
def test_what_is_written_exactly_reads_as_the_same(name, value):
    alias = ALIASES[name]
    if unit_of(alias).dimension == "fraction":
        value = value / 1e30
    text = units.format(value, alias, digits=None)
    assert units.parse(text, alias) == value


@given(st.sampled_from(sorted(ALIASES)), st.text(max_size=30))
def test_any_text_is_read_or_refused_and_nothing_else(name, text):
    try:
        value = units.parse(text, ALIASES[name])
    except UnitError:
        return
    assert math.isfinite(value)


@given(st.floats(min_value=1e-3, max_value=1e18))
def test_prose_is_within_half_a_percent(value):
    text = units.format(value, units.Watts)
    assert units.parse(text.replace(",", ""), units.Watts) == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize("name", sorted(DIMENSIONS))
def test_every_dimension_offers_an_example_that_it_reads_itself(name):
    unit = units.Unit("", "", name, signed=True)
    for example in DIMENSIONS[name].example.split(" or "):
        from clusterwright.units.parsing import parse_text

        parse_text(example, unit)


def test_bits_taken_for_bytes_would_be_caught():
    bits = units.parse("400 Gbit/s", units.BytesPerSecond)
    assert units.parse("400 GB/s", units.BytesPerSecond) == 8 * bits
    assert units.parse("80 GiB", units.Bytes) > 1.07 * units.parse("80 GB", units.Bytes)
