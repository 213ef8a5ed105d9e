"""The memory's timing models against the published figures, without RTL."""

import pytest

from sim.timing import TimingModel, measure

NAMES = ("ideal", "random", "hbm2", "ddr4")


@pytest.mark.parametrize("beats", [1, 4, 16, 64])
def test_hbm2_streaming_reads_reach_shuhais_share(beats):
    result = measure(TimingModel.hbm2(), bursts=160_000 // beats, burst_beats=beats)
    assert 0.90 <= result.share <= 0.93
    assert 14.4 * 0.90 <= result.bytes_per_ns <= 14.4 * 0.93


def test_hbm2_is_the_limit_at_a_faster_clock_and_the_port_at_a_slower():
    fast = measure(TimingModel.hbm2(clock_mhz=450), bursts=10_000)
    assert 0.90 <= fast.share <= 0.93
    slow = measure(TimingModel.hbm2(clock_mhz=100), bursts=10_000)
    assert slow.bytes_per_ns == pytest.approx(6.4, rel=0.02)


def test_random_64_byte_reads_get_far_less():
    for model in (TimingModel.hbm2(), TimingModel.ddr4()):
        many = measure(model, burst_beats=1, random=True)
        assert 0.15 < many.share < 0.35
        one = measure(model, bursts=2000, burst_beats=1, random=True, outstanding=1)
        assert one.share < 0.05
        longer = measure(model, burst_beats=16, random=True, bursts=5000)
        assert longer.share > 2 * many.share


def test_ddr4_streaming_reads():
    result = measure(TimingModel.ddr4(), bursts=10_000)
    assert 0.92 <= result.share <= 0.95  # Shuhai: 18.0 of 19.2 GB/s
    assert result.bytes_per_ns == pytest.approx(18.0, rel=0.02)


@pytest.mark.parametrize(("model", "hit", "closed", "miss"), [
    (TimingModel.hbm2(clock_mhz=1000), 106.7, 122.2, 137.8), (TimingModel.ddr4(clock_mhz=1000), 73.3, 89.9, 106.6),
])
def test_idle_latencies_are_shuhais(model, hit, closed, miss):
    first = measure(model, bursts=1, burst_beats=1, outstanding=1)
    assert first.latency_cycles == pytest.approx(closed, abs=1 + model.rrd)  # an HBM2 beat opens a row in two groups
    # One at a time. In one row: hits. Over all of memory: most find another row open in their bank.

    def period(latency):  # mean, of whole cycles and one for the next address
        own = latency + 1.5
        lost = model.refresh + model.rp + model.rcd - own / 2  # by a refresh; it begins anywhere in a period
        return own * model.refresh_interval / (model.refresh_interval - lost)

    def measured(**options):
        return measure(model, bursts=2000, burst_beats=1, outstanding=1, **options).cycles / 2000

    assert measured(span=64) == pytest.approx(period(hit), rel=0.02)
    assert period(closed) < measured(random=True) < period(miss)  # a refresh closes all banks: not all are misses


def test_turnaround_costs():
    for model in (TimingModel.hbm2(), TimingModel.ddr4()):
        reads = measure(model, bursts=5000)
        writes = measure(model, bursts=5000, writes=1.0)
        mixed = measure(model, bursts=5000, writes=0.5)
        assert writes.share > 0.9
        assert 0.6 < mixed.share < reads.share - 0.05


@pytest.mark.parametrize("name", NAMES)
def test_every_model_answers_everything(name):
    for writes in (0.0, 0.3, 1.0):
        result = measure(TimingModel.named(name), bursts=500, writes=writes, random=True, burst_beats=4)
        counters = result.counters
        assert counters["read_bursts"] + counters["write_bursts"] == 500
        assert counters["read_beats"] == 4 * counters["read_bursts"]
        assert counters["written_bytes"] == 64 * 4 * counters["write_bursts"]
        assert counters["read_errors"] == counters["write_errors"] == 0


def test_narrow_ports_share_a_column_access():
    narrow = measure(TimingModel.hbm2(), beat_bytes=8, burst_beats=64, bursts=5000)
    assert narrow.bytes_per_ns == pytest.approx(8 * 0.225, rel=0.05)  # the port is the limit


def test_random_is_reproducible_and_seeded():
    same = [measure(TimingModel.random(seed=5), bursts=300, writes=0.5).cycles for _ in range(2)]
    assert same[0] == same[1]
    assert measure(TimingModel.random(seed=6), bursts=300, writes=0.5).cycles != same[0]


def test_illegal_models():
    with pytest.raises(ValueError, match="stall 1"):
        TimingModel.random(stall=1)
    with pytest.raises(ValueError, match="cross 4 KiB"):
        measure(TimingModel.ideal(), burst_beats=3)
    with pytest.raises(ValueError, match="timing 'hbm9'"):
        TimingModel.named("hbm9")
